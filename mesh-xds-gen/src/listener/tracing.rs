//! How requests are traced where no Telemetry object says otherwise.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/tracing.go` `configureTracing`, `buildServiceTags`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as hcm;
use mesh_envoy_proto::envoy::r#type::metadata::v3::{
    MetadataKey, MetadataKind, metadata_key, metadata_kind,
};
use mesh_envoy_proto::envoy::r#type::tracing::v3::{CustomTag, custom_tag};
use mesh_envoy_proto::envoy::r#type::v3::Percent;
use mesh_model::resource::mesh_config;
use mesh_model::view::{Proxy, ProxyView};

/// The filter whose trials are told.
const RBAC: &str = "envoy.filters.http.rbac";

/// How requests are traced; `None`: not at all.
pub(super) fn tracing(view: &ProxyView<'_>) -> Option<hcm::Tracing> {
    let config = &view.plane().config;
    if !config.enable_tracing {
        return None;
    }
    let settings = config.default_config.tracing.as_ref();
    let percent = |value| Some(Percent { value });
    let max_path = settings.map_or(0, |tracing| tracing.max_path_tag_length);
    Some(hcm::Tracing {
        client_sampling: percent(100.0),
        random_sampling: percent(sampling(settings)),
        overall_sampling: percent(100.0),
        max_path_tag_length: (max_path != 0).then_some(max_path),
        custom_tags: tags(view.proxy(), settings),
        ..hcm::Tracing::default()
    })
}

/// The share of requests, percent; what is no share counts as the default.
fn sampling(settings: Option<&mesh_config::Tracing>) -> f64 {
    match settings.map_or(0.0, |tracing| tracing.sampling) {
        value if value > 0.0 && value <= 100.0 => value,
        _ => 1.0,
    }
}

/// The tags by name.
fn tags(proxy: &Proxy, settings: Option<&mesh_config::Tracing>) -> Vec<CustomTag> {
    let mut tags: BTreeMap<String, custom_tag::Type> = BTreeMap::new();
    if settings.and_then(|tracing| tracing.enable_istio_tags).unwrap_or(true) {
        for action in ["allow", "deny"] {
            let name = |kind: &str| format!("istio.authorization.dry_run.{action}_policy.{kind}");
            let trial = |key: &str| metadata(&format!("istio_dry_run_{action}_shadow_{key}"));
            tags.insert(name("name"), trial("effective_policy_id"));
            tags.insert(name("result"), trial("engine_result"));
        }
        for (tag, value) in of_proxy(proxy) {
            tags.insert(tag.to_owned(), literal(value));
        }
    }
    for (tag, value) in settings.iter().flat_map(|tracing| &tracing.custom_tags) {
        if let Some(value) = value {
            tags.insert(tag.to_string(), custom(value));
        }
    }
    tags.into_iter().map(|(tag, value)| CustomTag { tag, r#type: Some(value) }).collect()
}

/// What the proxy is.
fn of_proxy(proxy: &Proxy) -> [(&'static str, &str); 5] {
    let label = |key, default| match proxy.labels.value(key) {
        "" => default,
        value => value,
    };
    let metadata = |key, default| match proxy.metadata_text(key) {
        "" => default,
        value => value,
    };
    [
        ("istio.canonical_revision", label("service.istio.io/canonical-revision", "latest")),
        ("istio.canonical_service", label("service.istio.io/canonical-name", "unknown")),
        ("istio.cluster_id", metadata("CLUSTER_ID", "unknown")),
        ("istio.mesh_id", metadata("MESH_ID", "unknown")),
        ("istio.namespace", metadata("NAMESPACE", "default")),
    ]
}

fn literal(value: &str) -> custom_tag::Type {
    custom_tag::Type::Literal(custom_tag::Literal { value: value.to_owned() })
}

fn metadata(key: &str) -> custom_tag::Type {
    let segment = metadata_key::path_segment::Segment::Key(key.to_owned());
    custom_tag::Type::Metadata(custom_tag::Metadata {
        kind: Some(MetadataKind {
            kind: Some(metadata_kind::Kind::Request(metadata_kind::Request {})),
        }),
        metadata_key: Some(MetadataKey {
            key: RBAC.to_owned(),
            path: vec![metadata_key::PathSegment { segment: Some(segment) }],
        }),
        default_value: String::new(),
    })
}

fn custom(tag: &mesh_config::CustomTag) -> custom_tag::Type {
    match tag {
        mesh_config::CustomTag::Literal(tag) => literal(&tag.value),
        mesh_config::CustomTag::Environment(tag) => {
            custom_tag::Type::Environment(custom_tag::Environment {
                name: tag.name.to_string(),
                default_value: tag.default_value.to_string(),
            })
        }
        mesh_config::CustomTag::Header(tag) => {
            custom_tag::Type::RequestHeader(custom_tag::Header {
                name: tag.name.to_string(),
                default_value: tag.default_value.to_string(),
            })
        }
    }
}
