//! The protocol of a service port.
use mesh_model::name::Protocol;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Port {
    port: u32,
    port_name: String,
    kubernetes_protocol: String,
    app_protocol: Option<String>,
}

pub(super) fn protocol(input: &Port) -> Result<Value, String> {
    let Port { port, port_name, kubernetes_protocol, app_protocol } = input;
    let app = app_protocol.as_deref();
    Ok(json!(Protocol::of_service_port(*port, port_name, kubernetes_protocol, app).as_str()))
}
