use std::sync::Arc;

use super::*;
use crate::resource::testing::node;

#[test]
fn entries_that_break_a_rule_are_left_out_alone() {
    let text = r#"{"networks": {"n": {
        "endpoints": [{"fromCidr": "10.0.0.0/40"}, {"fromRegistry": "east"}],
        "gateways": [{"address": "a b", "port": 1}, {"address": "10.0.0.1", "port": 0},
                     {"address": "gw.example.com", "port": 15443}]}}}"#;
    let (networks, diagnostics) = MeshNetworks::admit(&node(text), &Arc::from("networks.yaml"));
    let mut told: Vec<_> = diagnostics.iter().map(|d| format!("{} {}", d.code, d.field)).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "CIDR networks.n.endpoints[0].fromCidr",
            "MN-GATEWAY-ADDRESS networks.n.gateways[0].address",
            "PORT-RANGE networks.n.gateways[1].port",
        ]
    );
    let network = &networks.networks["n"];
    assert_eq!((network.endpoints.len(), network.gateways.len()), (1, 1));
}

#[test]
fn a_network_of_which_nothing_is_said_is_empty() {
    let text = r#"{"networks": {"n1": null, "n2": {"endpoints": [{"fromRegistry": "east"}]}}}"#;
    let (networks, diagnostics) = MeshNetworks::admit(&node(text), &Arc::from("networks.yaml"));
    assert_eq!(diagnostics, []);
    let lengths: Vec<_> = networks
        .networks
        .iter()
        .map(|(name, network)| (&**name, network.endpoints.len()))
        .collect();
    assert_eq!(lengths, [("n1", 0), ("n2", 1)]);
    for wrong in ["[]", "5", r#"{"endpoints": [null]}"#] {
        let text = format!(r#"{{"networks": {{"n1": {wrong}}}}}"#);
        let (_, diagnostics) = MeshNetworks::admit(&node(&text), &Arc::from("networks.yaml"));
        assert_eq!(diagnostics.len(), 1, "{wrong}");
    }
}

#[test]
fn what_cannot_be_read_does_not_hide_the_rest() {
    let text = r#"{"networks": {"n": {
        "endpoints": [{"fromCidr": "10.0.0.0/8", "fromRegistry": "c1"}],
        "gateways": [{"address": "10.0.0.1", "port": 0}]}, "m": {
        "gateways": [{"address": "10.0.0.1", "registryServiceName": "a", "port": 1}, {"address": "a b", "port": 1}]}}}"#;
    let (networks, diagnostics) = MeshNetworks::admit(&node(text), &Arc::from("networks.yaml"));
    assert_eq!(networks, MeshNetworks::default());
    let mut told: Vec<_> = diagnostics.iter().map(|d| (d.code, d.field.as_str())).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("FIELD-ONEOF", "networks.m.gateways[0]"),
            ("FIELD-ONEOF", "networks.n.endpoints[0]"),
            ("PORT-RANGE", "networks.n.gateways[0].port"),
        ]
    );
}
