use serde_json::{Value, json};

use crate::resource::testing::check_rules;

fn check_server(server: &Value, expected: &[&str]) {
    check_rules("Gateway", &json!({ "servers": [server] }), expected);
}

#[test]
fn a_server_has_a_port_and_hosts() {
    check_server(&json!({}), &["GW-SERVER-HOSTS servers[0]", "GW-PORT-REQUIRED servers[0]"]);
    check_server(
        &json!({ "hosts": ["a.com"], "bind": "x",
                 "port": { "number": 80, "protocol": "SCTP", "targetPort": 8080 } }),
        &[
            "PROTOCOL servers[0].port.protocol",
            "GW-TARGET-PORT servers[0].port.targetPort",
            "GW-PORT-NAME servers[0].port",
            "BIND-IP servers[0].bind",
        ],
    );
}

#[test]
fn certificates_come_from_one_place() {
    let check = |tls: Value, expected: &[&str]| {
        let port = json!({ "number": 443, "protocol": "HTTPS", "name": "https" });
        check_server(&json!({ "hosts": ["a.com"], "port": port, "tls": tls }), expected);
    };
    check(
        json!({ "mode": "SIMPLE" }),
        &["TLS-SERVER-CERT servers[0].tls", "TLS-PRIVATE-KEY servers[0].tls"],
    );
    check(
        json!({ "mode": "MUTUAL", "serverCertificate": "c", "privateKey": "k" }),
        &["TLS-CA-REQUIRED servers[0].tls"],
    );
    check(
        json!({ "mode": "SIMPLE", "credentialName": "a", "credentialNames": ["b"] }),
        &["TLS-CERT-SOURCES servers[0].tls"],
    );
    check(json!({ "credentialName": "a" }), &["TLS-PASSTHROUGH-CERT servers[0].tls"]);
    let cipher = "AES128-SHA";
    check(
        json!({ "mode": "SIMPLE", "credentialName": "a", "cipherSuites": [cipher, cipher, "-x", "x"] }),
        &[
            "TLS-CIPHER-DUP servers[0].tls.cipherSuites[1]",
            "TLS-CIPHER-INVALID servers[0].tls.cipherSuites[3]",
        ],
    );
}

#[test]
fn an_expression_of_ciphers_begins_with_a_sign() {
    let check = |cipher: &str, expected: &[&str]| {
        let port = json!({ "number": 443, "protocol": "HTTPS", "name": "https" });
        let tls = json!({ "mode": "SIMPLE", "credentialName": "a", "cipherSuites": [cipher] });
        check_server(&json!({ "hosts": ["a.com"], "port": port, "tls": tls }), expected);
    };
    for cipher in ["", "ALL", "-x", "!x", "AES128-SHA", "\u{5d0}"] {
        check(cipher, &[]);
    }
    for cipher in ["x", "1", "é", "²", "\u{212a}"] {
        check(cipher, &["TLS-CIPHER-INVALID servers[0].tls.cipherSuites[0]"]);
    }
}
