//! Names of clusters, listeners and route configurations.
use mesh_xds_gen::name::{
    ClusterName, Direction, Form, GatewayServer, ListenerName, RouteName, ServerTls, SubsetKey,
    Transport,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    kind: Kind,
    direction: String,
    port: u16,
    subset: String,
    host: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Cluster,
    SniCluster,
}

pub(crate) fn build(input: &Build) -> Result<Value, String> {
    let form = match input.kind {
        Kind::Cluster => Form::Subset,
        Kind::SniCluster => Form::DnsSrv,
    };
    print(form, &input.direction, input.port, &input.subset, &input.host)
}

/// `build_cluster_name` of the area `endpoints-istio`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildCluster {
    form: ClusterForm,
    direction: String,
    port: u16,
    subset: String,
    host: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClusterForm {
    Subset,
    DnsSrv,
}

pub(crate) fn build_cluster(input: &BuildCluster) -> Result<Value, String> {
    let form = match input.form {
        ClusterForm::Subset => Form::Subset,
        ClusterForm::DnsSrv => Form::DnsSrv,
    };
    print(form, &input.direction, input.port, &input.subset, &input.host)
}

fn print(
    form: Form,
    direction: &str,
    port: u16,
    subset: &str,
    host: &str,
) -> Result<Value, String> {
    let direction = Direction::parse(direction).map_err(|error| error.to_string())?;
    Ok(json!(ClusterName { form, direction, port, subset, host }.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parse {
    name: String,
}

pub(crate) fn parse(input: &Parse) -> Result<Value, String> {
    let SubsetKey { direction, port, subset, host } = SubsetKey::parse(&input.name);
    Ok(json!({"direction": direction, "port": port, "subset": subset, "host": host}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    bind: String,
    port: u16,
    transport: String,
}

pub(crate) fn listener(input: &Listener) -> Result<Value, String> {
    let transport = match input.transport.as_str() {
        "tcp" => Transport::Tcp,
        "quic" => Transport::Quic,
        other => return Err(format!("unknown transport `{other}`")),
    };
    Ok(json!(ListenerName { bind: &input.bind, port: input.port, transport }.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayRds {
    protocol: String,
    server_port: u16,
    resolved_port: u16,
    port_name: String,
    gateway: String,
    namespace: String,
    bind: Option<String>,
    tls_mode: Option<String>,
}

pub(crate) fn gateway_rds(input: &GatewayRds) -> Result<Value, String> {
    let tls = match input.tls_mode.as_deref() {
        Some("PASSTHROUGH" | "AUTO_PASSTHROUGH") => ServerTls::PassedThrough,
        None | Some("SIMPLE" | "MUTUAL" | "ISTIO_MUTUAL" | "OPTIONAL_MUTUAL") => {
            ServerTls::Terminated
        }
        Some(other) => return Err(format!("unknown TLS mode `{other}`")),
    };
    let name = RouteName::of_server(&GatewayServer {
        protocol: &input.protocol,
        port: input.server_port,
        resolved_port: input.resolved_port,
        port_name: &input.port_name,
        gateway: &input.gateway,
        namespace: &input.namespace,
        bind: input.bind.as_deref().unwrap_or_default(),
        tls,
    });
    Ok(json!(name.map(|name| name.to_string()).unwrap_or_default()))
}
