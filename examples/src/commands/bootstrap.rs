//! `mesh bootstrap`: what an Envoy beside a pod, or a gRPC program in it, starts with, to be steered
//! by `mesh serve`.
use std::net::IpAddr;
use std::path::Path;

use clap::Args;
use mesh_envoy_proto::envoy::config::bootstrap::v3::Bootstrap;
use mesh_envoy_proto::envoy::config::core::v3::Node;
use mesh_envoy_proto::json as proto3;
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::resource::MeshConfig;
use mesh_model::view::Proxy;
use serde_json::{Value, json};

use crate::node::node;
use crate::{Failure, data_plane, folder, json};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The pod that the Envoy runs beside.
    #[arg(long, value_name = "CLUSTER/NS/POD")]
    proxy: String,
    /// Where `mesh serve` listens.
    #[arg(long, value_name = "HOST:PORT")]
    xds: String,
    /// Where Envoy's admin interface listens; by default a free port of 127.0.0.1.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    admin: String,
    /// Asks for changes only, instead of the state of the world.
    #[arg(long)]
    delta: bool,
    /// What will run: `envoy`, a stock one, `istio-proxy`, or `grpc`, a client with xDS, which reads
    /// another kind of bootstrap (`GRPC_XDS_BOOTSTRAP` names the file).
    #[arg(long, value_parser = data_plane::with_node(), value_name = "DATA_PLANE", default_value = "envoy")]
    data_plane: DataPlane,
}

pub(crate) fn run(folder: &Path, arguments: &Arguments) -> Result<(), Failure> {
    let (xds, admin) = (address("--xds", &arguments.xds)?, address("--admin", &arguments.admin)?);
    if xds.port == 0 {
        return Err(Failure::Unanswered(format!("--xds {}: no server has port 0", arguments.xds)));
    }
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let proxy = mesh.proxy(&arguments.proxy)?;
    if arguments.data_plane == DataPlane::Grpc {
        json::print(&grpc(&proxy, mesh.config(), &arguments.xds)?);
        return Ok(());
    }
    let api = if arguments.delta { "DELTA_GRPC" } else { "GRPC" };
    let node = node(&proxy, mesh.config(), arguments.data_plane);
    let bootstrap = bootstrap(&node, &xds, &admin, api)?;
    json::print(&bootstrap);
    Ok(())
}

/// A host and a port of a flag.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Address {
    host: String,
    port: u16,
}

fn address(flag: &str, text: &str) -> Result<Address, Failure> {
    let parsed = text.rsplit_once(':').and_then(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let is_whole = !host.is_empty() && (!host.contains(':') || host.parse::<IpAddr>().is_ok());
        Some(Address { host: host.to_owned(), port: port.parse().ok().filter(|_| is_whole)? })
    });
    parsed.ok_or_else(|| {
        Failure::Unanswered(format!(
            "{flag} `{text}`: not HOST:PORT, such as `127.0.0.1:15010` or `[::1]:15010`"
        ))
    })
}

impl Address {
    fn to_json(&self) -> Value {
        json!({"socketAddress": {"address": self.host, "portValue": self.port}})
    }
}

/// The bootstrap in proto3 JSON; it has been a message in between, so every field exists.
///
/// # Upstream
///
/// istio/istio `tools/packaging/common/envoy_bootstrap.json`, without what belongs to the agent: its
/// pipes, its listeners for scraping and probes, its cluster of files.
fn bootstrap(node: &Node, xds: &Address, admin: &Address, api: &str) -> Result<Value, Failure> {
    let over_ads = json!({"ads": {}, "initialFetchTimeout": "0s", "resourceApiVersion": "V3"});
    let value = json!({
        "node": proto3::to_value(node)?,
        "admin": {"address": admin.to_json()},
        "dynamicResources": {
            "ldsConfig": over_ads,
            "cdsConfig": over_ads,
            "adsConfig": {
                "apiType": api,
                "transportApiVersion": "V3",
                "setNodeOnFirstMessageOnly": true,
                "grpcServices": [{"envoyGrpc": {"clusterName": "xds-grpc"}}],
            },
        },
        "staticResources": {"clusters": [cluster("xds-grpc", xds), cluster("sds-grpc", xds)]},
    });
    let message: Bootstrap = proto3::from_value(&value)?;
    Ok(proto3::to_value(&message)?)
}

/// What a gRPC program with xDS starts with. It has the state of the world only, and no
/// certificates: an agent that has some adds them as `certificate_providers`.
///
/// # Upstream
///
/// istio/istio `pkg/istio-agent/grpcxds/grpc_bootstrap.go` `GenerateBootstrap`.
fn grpc(proxy: &Proxy, config: &MeshConfig, xds: &str) -> Result<Value, Failure> {
    let server = json!({
        "server_uri": xds,
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3"],
    });
    Ok(json!({
        "xds_servers": [server],
        "node": proto3::to_value(&node(proxy, config, DataPlane::Grpc))?,
        "server_listener_resource_name_template": "xds.istio.io/grpc/lds/inbound/%s",
    }))
}

/// A cluster of one server that speaks HTTP/2 in plain text.
fn cluster(name: &str, server: &Address) -> Value {
    let is_address = server.host.parse::<IpAddr>().is_ok();
    let endpoint = json!({"endpoint": {"address": server.to_json()}});
    json!({
        "name": name,
        "type": if is_address { "STATIC" } else { "STRICT_DNS" },
        "connectTimeout": "1s",
        "loadAssignment": {"clusterName": name, "endpoints": [{"lbEndpoints": [endpoint]}]},
        "upstreamConnectionOptions": {"tcpKeepalive": {"keepaliveTime": 300}},
        "typedExtensionProtocolOptions": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicitHttpConfig": {"http2ProtocolOptions": {}},
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pod: &str, plane: DataPlane) -> Value {
        let loopback = folder::example().join("../loopback");
        let mesh = folder::load_and_tell(&loopback, &Compat::default()).unwrap();
        let xds = address("--xds", "127.0.0.1:15010").unwrap();
        let admin = address("--admin", "127.0.0.1:0").unwrap();
        let node = node(&mesh.proxy(pod).unwrap(), mesh.config(), plane);
        bootstrap(&node, &xds, &admin, "GRPC").unwrap()
    }

    #[test]
    fn the_node_is_the_pod_and_names_no_version_of_istio() {
        let node = of("loop/shop/web-0", DataPlane::Envoy)["node"].clone();
        assert_eq!(node["id"], "sidecar~127.1.0.1~web-0.shop~shop.svc.cluster.local");
        assert_eq!(node["cluster"], "web.shop");
        assert_eq!(node["locality"], json!({"region": "eu", "zone": "a"}));
        assert_eq!(node["metadata"]["CLUSTER_ID"], "loop");
        assert_eq!(node["metadata"]["INTERCEPTION_MODE"], "NONE");
        let settings = &node["metadata"]["PROXY_CONFIG"];
        assert_eq!(settings["interceptionMode"], "NONE");
        assert_eq!(settings["discoveryAddress"], "istiod.istio-system.svc:15012");
        assert_eq!(settings["terminationDrainDuration"], "5s");
        assert_eq!(node["metadata"].get("ISTIO_VERSION"), None);
    }

    #[test]
    fn an_istio_proxy_says_which_it_is() {
        let node = of("loop/shop/web-0", DataPlane::IstioProxy)["node"].clone();
        assert_eq!(node["metadata"]["ISTIO_VERSION"], ISTIO);
    }

    const ISTIO: &str = "1.32.0";

    #[test]
    fn a_grpc_program_has_a_bootstrap_of_its_own_kind() {
        let loopback = folder::example().join("../loopback");
        let mesh = folder::load_and_tell(&loopback, &Compat::default()).unwrap();
        let proxy = mesh.proxy("loop/shop/web-0").unwrap();
        let bootstrap = grpc(&proxy, mesh.config(), "127.0.0.1:15010").unwrap();
        assert_eq!(bootstrap["xds_servers"][0]["server_uri"], "127.0.0.1:15010");
        assert_eq!(bootstrap["node"]["metadata"]["GENERATOR"], "grpc");
        assert_eq!(bootstrap["node"]["metadata"]["PROXY_CONFIG"]["statusPort"], 15020.0);
        assert_eq!(bootstrap["node"]["locality"], json!({"region": "eu", "zone": "a"}));
    }

    #[test]
    fn both_clusters_are_the_server() {
        let bootstrap = of("loop/shop/web-0", DataPlane::Envoy);
        for (index, name) in ["xds-grpc", "sds-grpc"].into_iter().enumerate() {
            let cluster = &bootstrap["staticResources"]["clusters"][index];
            let socket = "/loadAssignment/endpoints/0/lbEndpoints/0/endpoint/address/socketAddress";
            assert_eq!(cluster["name"], name);
            let expected = json!({"address": "127.0.0.1", "portValue": 15010});
            assert_eq!(cluster.pointer(socket), Some(&expected));
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let parsed = |text: &str| address("--xds", text).ok().map(|it| (it.host, it.port));
        assert_eq!(parsed("127.0.0.1:1"), Some(("127.0.0.1".to_owned(), 1)));
        assert_eq!(parsed("[::1]:15010"), Some(("::1".to_owned(), 15010)));
        assert_eq!(parsed("istiod.istio-system:15010").unwrap().1, 15010);
        for text in ["", "127.0.0.1", ":1", "127.0.0.1:x", "127.0.0.1:65536", "a:b:1"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
