//! The cluster of a story, as Envoy is told of it. Its endpoints come by EDS: what is part of a cluster's
//! configuration is no new host, and never left out until its first check.
use std::path::{Path, PathBuf};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use super::server::PATH;
use super::story::{Check, Host, Story};
use crate::e2e::balance;
use crate::problem::{Attempt, Problem};

const PORT: u16 = 19910;

/// The name of the cluster.
pub(super) fn name(story: usize) -> String {
    format!("c{story}")
}

/// The path of its route.
pub(super) fn path(story: usize) -> String {
    format!("/{story}/")
}

/// The address of a server: both numbers are far below 255.
pub(super) fn address(story: usize, host: usize) -> SocketAddr {
    let part = |number: usize| u8::try_from(number + 1).unwrap_or(u8::MAX);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 92, part(story), part(host))), PORT)
}

/// Writes the endpoints of a story into a file that Envoy reads them from.
pub(super) fn write_endpoints(dir: &Path, number: usize, story: &Story) -> Result<(), Problem> {
    let mut levels: Vec<usize> = story.hosts.iter().map(|host| host.priority).collect();
    levels.sort_unstable();
    levels.dedup();
    let endpoints: Vec<Value> = levels
        .into_iter()
        .map(|priority| {
            let here = story.hosts.iter().enumerate().filter(|(_, host)| host.priority == priority);
            let endpoints: Vec<Value> = here.map(|(at, host)| endpoint(number, at, host)).collect();
            json!({"priority": priority, "lb_endpoints": endpoints})
        })
        .collect();
    let assignment = json!({
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name(number),
        "endpoints": endpoints,
    });
    let file = file(dir, number);
    let text = json!({"version_info": "1", "resources": [assignment]}).to_string();
    std::fs::write(&file, text).attempt(format!("write `{}`", file.display()))
}

fn file(dir: &Path, number: usize) -> PathBuf {
    dir.join(name(number)).with_extension("json")
}

pub(super) fn of_story(dir: &Path, number: usize, story: &Story) -> Value {
    let source = json!({
        "resource_api_version": "V3",
        "path_config_source": {"path": file(dir, number)},
    });
    json!({
        "name": name(number),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": source},
        "connect_timeout": "5s",
        "common_lb_config": {
            "healthy_panic_threshold": {"value": story.panic},
            "ignore_new_hosts_until_first_hc": story.ignores_new,
            // Workers would hear of changes a second later otherwise.
            "update_merge_window": "0s",
        },
        "health_checks": [health_check(&story.check)],
    })
}

fn endpoint(story: usize, at: usize, host: &Host) -> Value {
    let address = address(story, at);
    let socket = json!({"address": address.ip(), "port_value": address.port()});
    json!({
        "health_status": balance::status(host.assigned),
        "endpoint": {"address": {"socket_address": socket}},
    })
}

fn health_check(check: &Check) -> Value {
    let config = &check.config;
    let ranges = |range: Option<(u32, u32)>| {
        let range = range.map(|(start, end)| json!({"start": start, "end": end}));
        range.into_iter().collect::<Vec<_>>()
    };
    let mut json = json!({
        "timeout": seconds(config.timeout_ms),
        "interval": seconds(config.interval_ms),
        "unhealthy_threshold": config.unhealthy_threshold,
        "healthy_threshold": config.healthy_threshold,
        "no_traffic_interval": seconds(config.no_traffic_interval_ms),
        "http_health_check": {
            "path": PATH,
            "expected_statuses": ranges(check.expected),
            "retriable_statuses": ranges(check.retriable),
        },
    });
    let more = [
        ("unhealthy_interval", config.unhealthy_interval_ms),
        ("unhealthy_edge_interval", config.unhealthy_edge_interval_ms),
        ("healthy_edge_interval", config.healthy_edge_interval_ms),
        ("no_traffic_healthy_interval", config.no_traffic_healthy_interval_ms),
    ];
    for (key, milliseconds) in more {
        if let (Value::Object(members), Some(milliseconds)) = (&mut json, milliseconds) {
            members.insert(key.to_owned(), seconds(milliseconds));
        }
    }
    json
}

fn seconds(milliseconds: u64) -> Value {
    json!(format!("{}.{:03}s", milliseconds / 1000, milliseconds % 1000))
}
