//! A proxy as it presents itself to a control plane: Envoy's node.
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::prost_types::{ListValue, Struct, Value, value::Kind};
use mesh_model::compat::DataPlane;
use mesh_model::resource::{Json, MeshConfig};
use mesh_model::view::Proxy;

/// The version that an Istio proxy claims whose pod names none.
const ISTIO_VERSION: &str = "1.32.0";

/// The node that a proxy's bootstrap has. Its metadata tell what it is: a stock Envoy names no
/// Istio version, a gRPC client names its generator. All tell the settings that they were started with.
///
/// # Upstream
///
/// istio/istio `pkg/bootstrap/config.go` `GetNodeMetaData`.
pub(crate) fn node(proxy: &Proxy, config: &MeshConfig, plane: DataPlane) -> core::Node {
    let texts = proxy.metadata.iter().map(|(key, value)| (key.to_string(), to_value(value)));
    let mut metadata = Struct { fields: texts.collect() };
    let settings = to_value(&proxy.settings(config).to_json());
    metadata.fields.insert("PROXY_CONFIG".to_owned(), settings);
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    match plane {
        DataPlane::IstioProxy => {
            let version = || text(ISTIO_VERSION);
            metadata.fields.entry("ISTIO_VERSION".to_owned()).or_insert_with(version);
        }
        DataPlane::Envoy | DataPlane::Grpc | DataPlane::Ztunnel => {
            metadata.fields.remove("ISTIO_VERSION");
        }
    }
    if plane == DataPlane::Grpc {
        metadata.fields.insert("GENERATOR".to_owned(), text("grpc"));
    } else if proxy.metadata_text("GENERATOR") == "grpc" {
        metadata.fields.remove("GENERATOR");
    }
    core::Node {
        id: proxy.node_id(),
        cluster: service_cluster(proxy),
        locality: locality(proxy),
        metadata: Some(metadata),
        ..core::Node::default()
    }
}

/// `APP.NAMESPACE` by the first label that names the application, else by the workload.
fn service_cluster(proxy: &Proxy) -> String {
    let labels = ["app", "app.kubernetes.io/name", "service.istio.io/canonical-name"];
    let labelled = labels.into_iter().map(|key| proxy.labels.value(key));
    let names = labelled.chain([proxy.metadata_text("WORKLOAD_NAME")]);
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or("istio-proxy");
    format!("{name}.{}", proxy.namespace)
}

fn locality(proxy: &Proxy) -> Option<core::Locality> {
    let locality = core::Locality {
        region: proxy.locality.region().to_owned(),
        zone: proxy.locality.zone().to_owned(),
        sub_zone: proxy.locality.sub_zone().to_owned(),
    };
    (locality != core::Locality::default()).then_some(locality)
}

fn to_value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(value) => Kind::NumberValue(*value),
        Json::String(text) => Kind::StringValue(text.to_string()),
        Json::List(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(to_value).collect() })
        }
        Json::Map(entries) => {
            let fields = entries.iter().map(|(key, value)| (key.to_string(), to_value(value)));
            Kind::StructValue(Struct { fields: fields.collect() })
        }
    };
    Value { kind: Some(kind) }
}
