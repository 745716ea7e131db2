//! Limits of connections and requests.
use super::super::{
    ConnectionKeepalive, ConnectionPoolSettings, H2UpgradePolicy, HttpSettings, TcpSettings,
};
use crate::resource::validate::{Violations, duration};

/// Checks the block `connectionPool`, if it is given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateConnectionPool`.
pub(in crate::resource) fn check(
    violations: &mut Violations,
    block: Option<&ConnectionPoolSettings>,
) {
    violations.field("connectionPool", |violations| settings(violations, block));
}

/// Checks such a block under the name that is being looked at.
pub(in crate::resource) fn settings(
    violations: &mut Violations,
    block: Option<&ConnectionPoolSettings>,
) {
    let Some(block) = block else { return };
    if block.http.is_none() && block.tcp.is_none() {
        violations.error("CP-EMPTY", "the block says nothing", "add `tcp` or `http`");
        return;
    }
    if let Some(block) = &block.http {
        violations.field("http", |violations| http(violations, block));
    }
    if let Some(block) = &block.tcp {
        violations.field("tcp", |violations| tcp(violations, block));
    }
}

fn http(violations: &mut Violations, block: &HttpSettings) {
    let limits = [
        ("http1MaxPendingRequests", block.http1_max_pending_requests),
        ("http2MaxRequests", block.http2_max_requests),
        ("maxRequestsPerConnection", block.max_requests_per_connection),
        ("maxRetries", block.max_retries),
        ("maxConcurrentStreams", block.max_concurrent_streams),
    ];
    for (name, limit) in limits {
        not_negative(violations, name, limit);
    }
    duration::check(violations, "idleTimeout", block.idle_timeout);
    if block.h2_upgrade_policy == H2UpgradePolicy::Upgrade && block.use_client_protocol {
        let message = "the client's protocol cannot be kept and upgraded";
        let help = "remove `useClientProtocol` or `h2UpgradePolicy: UPGRADE`";
        violations.error_at("useClientProtocol", "CP-H2-CLIENT", message, help);
    }
    if let Some(block) = &block.http2_keep_alive {
        violations.field("http2KeepAlive", |violations| keepalive(violations, block));
    }
}

fn keepalive(violations: &mut Violations, block: &ConnectionKeepalive) {
    for (name, given) in [("interval", block.interval), ("timeout", block.timeout)] {
        if given.is_none() {
            let message = format!("`{name}` is missing");
            violations.error("CP-KEEPALIVE", &message, "give both `interval` and `timeout`");
        }
        duration::check(violations, name, given);
    }
}

fn tcp(violations: &mut Violations, block: &TcpSettings) {
    not_negative(violations, "maxConnections", block.max_connections);
    duration::check(violations, "connectTimeout", block.connect_timeout);
    duration::check(violations, "maxConnectionDuration", block.max_connection_duration);
    // Less than a millisecond: no limit.
    let idle = block.idle_timeout.filter(|timeout| timeout.as_millis() != 0);
    duration::check(violations, "idleTimeout", idle);
    if let Some(block) = &block.tcp_keepalive {
        violations.field("tcpKeepalive", |violations| {
            duration::check(violations, "time", block.time);
            duration::check(violations, "interval", block.interval);
        });
    }
}

fn not_negative(violations: &mut Violations, name: &str, limit: i32) {
    if limit < 0 {
        let message = format!("the limit `{limit}` is negative");
        violations.error_at(name, "CP-NEGATIVE", &message, "0 is no limit");
    }
}
