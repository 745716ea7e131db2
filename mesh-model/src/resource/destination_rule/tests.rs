use super::*;
use crate::manifest::decode::{Cursor, Decode};
use crate::resource::testing::node;

/// Reads a traffic policy that is expected to be fine.
fn check(json: &str) -> TrafficPolicy {
    let mut cursor = Cursor::default();
    let policy = TrafficPolicy::decode(&node(json), &mut cursor);
    assert_eq!((&*cursor.errors, &*cursor.unknown), (&[][..], &[][..]));
    policy.unwrap()
}

/// The errors of a traffic policy.
fn check_refused(json: &str, expected: &[(&str, &str)]) {
    let mut cursor = Cursor::default();
    assert_eq!(TrafficPolicy::decode(&node(json), &mut cursor), None);
    let found: Vec<_> = cursor.errors.iter().map(|p| (p.code, p.field.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_presence_of_a_block_is_kept() {
    let policy = check(r#"{"outlierDetection": {}, "tls": {}, "connectionPool": null}"#);
    assert_eq!(policy.outlier_detection, Some(OutlierDetection::default()));
    assert_eq!(policy.tls.map(|tls| tls.mode), Some(ClientTlsMode::Disable));
    assert_eq!(policy.connection_pool, None);
}

#[test]
fn zero_and_absent_differ_where_upstream_tells_them_apart() {
    let policy = check(
        r#"{"outlierDetection": {"consecutive5xxErrors": 0, "interval": "0s"},
            "loadBalancer": {"localityLbSetting": {"enabled": false}}}"#,
    );
    let outlier = policy.outlier_detection.unwrap();
    assert_eq!(outlier.consecutive_5xx_errors, Some(0));
    assert_eq!(outlier.consecutive_gateway_errors, None);
    assert_eq!(outlier.interval, Some(Duration::ZERO));
    let locality = policy.load_balancer.unwrap().locality_lb_setting.unwrap();
    assert_eq!(locality.enabled, Some(false));
}

#[test]
fn a_hash_has_a_key_and_an_algorithm() {
    let policy = check(
        r#"{"loadBalancer": {"consistentHash":
            {"http_cookie": {"name": "c", "ttl": "0s"}, "ring_hash": {"minimumRingSize": "8"}}}}"#,
    );
    let Some(LbPolicy::ConsistentHash(hash)) = policy.load_balancer.unwrap().policy else {
        panic!("another policy")
    };
    let cookie =
        HttpCookie { name: "c".into(), ttl: Some(Duration::ZERO), ..HttpCookie::default() };
    assert_eq!(hash.key, Some(HashKey::HttpCookie(cookie)));
    assert_eq!(hash.algorithm, Some(HashAlgorithm::RingHash(RingHash { minimum_ring_size: 8 })));
}

#[test]
fn two_members_of_a_oneof_are_refused() {
    check_refused(
        r#"{"loadBalancer": {"simple": "RANDOM", "consistentHash": {}}, "portLevelSettings": [
            {"loadBalancer": {"consistentHash": {"useSourceIp": false, "httpHeaderName": "x",
              "maglev": {}, "ringHash": {}}}}]}"#,
        &[
            ("FIELD-ONEOF", "loadBalancer"),
            ("FIELD-ONEOF", "portLevelSettings[0].loadBalancer.consistentHash"),
            ("FIELD-ONEOF", "portLevelSettings[0].loadBalancer.consistentHash"),
        ],
    );
}

#[test]
fn numbers_out_of_their_type_are_refused_and_other_nonsense_is_kept() {
    check_refused(
        r#"{"outlierDetection": {"consecutiveGatewayErrors": -1, "maxEjectionPercent": 2147483648},
            "tunnel": {"targetPort": 1.5}, "connectionPool": {"tcp": {"idleTimeout": 5}}}"#,
        &[
            ("FIELD-TYPE", "connectionPool.tcp.idleTimeout"),
            ("FIELD-RANGE", "outlierDetection.consecutiveGatewayErrors"),
            ("FIELD-RANGE", "outlierDetection.maxEjectionPercent"),
            ("FIELD-TYPE", "tunnel.targetPort"),
        ],
    );
    let policy =
        check(r#"{"outlierDetection": {"maxEjectionPercent": 400, "interval": "1500us"}}"#);
    assert_eq!(policy.outlier_detection.map(|outlier| outlier.max_ejection_percent), Some(400));
}
