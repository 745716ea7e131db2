use std::sync::Arc;

use super::*;
use crate::resource::testing::node;

/// Admits a partial document and checks what is told, as `RULE FIELD`.
fn check(json: &str, expected: &[&str]) -> MeshConfig {
    let (config, diagnostics) = MeshConfig::admit(&node(json), &Arc::from("mesh.yaml"));
    let mut told: Vec<_> = diagnostics.iter().map(|d| format!("{} {}", d.code, d.field)).collect();
    told.sort();
    assert_eq!(told, expected, "{json}");
    config
}

#[test]
fn istios_own_settings_break_no_rule() {
    check("{}", &[]);
}

#[test]
fn what_is_wrong_falls_back_alone() {
    let config = check(
        r#"{"trustDomain": "a/b", "connectTimeout": "2h", "rootNamespace": "root",
            "trustDomainAliases": ["ok", "not/ok"], "defaultConfig": {"drainDuration": "1ms"},
            "localityLbSetting": {"failover": [{"from": "a", "to": "a"}]},
            "serviceSettings": [{"hosts": ["a.b", "a.*"]}]}"#,
        &[
            "DUR-PRECISION defaultConfig.drainDuration",
            "HOST-LABEL serviceSettings[0].hosts[1]",
            "LLB-FAILOVER-SAME localityLbSetting.failover[0]",
            "MC-CONNECT-TIMEOUT connectTimeout",
            "MC-TRUST-DOMAIN trustDomain",
            "MC-TRUST-DOMAIN trustDomainAliases[0]",
        ],
    );
    let expected = MeshConfig {
        root_namespace: "root".into(),
        trust_domain_aliases: vec!["ok".into()],
        service_settings: config.service_settings.clone(),
        ..MeshConfig::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.service_settings[0].hosts, ["a.b".into()]);
}
