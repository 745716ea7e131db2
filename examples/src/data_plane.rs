//! The programs that `--data-plane` names.
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use mesh_model::compat::DataPlane;

/// All of them.
const ALL: [DataPlane; 4] =
    [DataPlane::IstioProxy, DataPlane::Envoy, DataPlane::Grpc, DataPlane::Ztunnel];

/// The word for one.
pub(crate) const fn name(plane: DataPlane) -> &'static str {
    match plane {
        DataPlane::IstioProxy => "istio-proxy",
        DataPlane::Envoy => "envoy",
        DataPlane::Grpc => "grpc",
        DataPlane::Ztunnel => "ztunnel",
    }
}

const fn help(plane: DataPlane) -> &'static str {
    match plane {
        DataPlane::IstioProxy => "Istio's build of Envoy",
        DataPlane::Envoy => "A stock Envoy",
        DataPlane::Grpc => {
            "A proxyless gRPC client: all to the first priority with a host that is ready"
        }
        DataPlane::Ztunnel => "A ztunnel: all to the best rank with a host",
    }
}

/// Reads any of them.
pub(crate) fn any() -> impl TypedValueParser<Value = DataPlane> {
    one_of(&ALL)
}

/// Reads one that has a node and asks for clusters, listeners and routes: no ztunnel.
pub(crate) fn with_node() -> impl TypedValueParser<Value = DataPlane> {
    one_of(&[DataPlane::IstioProxy, DataPlane::Envoy, DataPlane::Grpc])
}

fn one_of(planes: &[DataPlane]) -> impl TypedValueParser<Value = DataPlane> {
    let value = |plane: &DataPlane| PossibleValue::new(name(*plane)).help(help(*plane));
    let values: Vec<PossibleValue> = planes.iter().map(value).collect();
    PossibleValuesParser::new(values).try_map(|text| {
        let named = ALL.into_iter().find(|plane| name(*plane) == text);
        named.ok_or_else(|| format!("`{text}` is no data plane"))
    })
}
