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
