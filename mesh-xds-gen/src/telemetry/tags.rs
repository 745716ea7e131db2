//! Tags of spans.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/tracing.go` `configureCustomTags`, `buildServiceTags`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::r#type::metadata::v3::{
    MetadataKey, MetadataKind, metadata_key, metadata_kind,
};
use mesh_envoy_proto::envoy::r#type::tracing::v3::{CustomTag, custom_tag};
use mesh_model::resource::mesh_config::{self, EnvironmentTag, HeaderTag};
use mesh_model::resource::telemetry::TelemetryTag;
use mesh_model::view::Proxy;

/// The filter whose trials are told.
const RBAC: &str = "envoy.filters.http.rbac";

/// Tags that grow, by name: later ones replace.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags(BTreeMap<String, custom_tag::Type>);

impl Tags {
    /// Adds what Istio itself tells: of trials of policies, and of the proxy.
    pub(super) fn add_istio(&mut self, proxy: &Proxy) {
        for action in ["allow", "deny"] {
            let name = |kind: &str| format!("istio.authorization.dry_run.{action}_policy.{kind}");
            let trial = |key: &str| metadata(&format!("istio_dry_run_{action}_shadow_{key}"));
            self.0.insert(name("name"), trial("effective_policy_id"));
            self.0.insert(name("result"), trial("engine_result"));
        }
        let own = of_proxy(proxy).into_iter();
        self.0.extend(own.map(|(tag, value)| (tag.to_owned(), literal(value))));
    }

    /// Adds those of the proxy's settings.
    pub(super) fn add_settings(&mut self, settings: Option<&mesh_config::Tracing>) {
        let tags = settings.into_iter().flat_map(|tracing| &tracing.custom_tags);
        let tags =
            tags.filter_map(|(tag, value)| Some((tag.to_string(), setting(value.as_ref()?))));
        self.0.extend(tags);
    }

    /// Adds those of Telemetry objects.
    pub(super) fn add_objects(&mut self, tags: &BTreeMap<Box<str>, Option<TelemetryTag>>) {
        let tags = tags.iter();
        let tags = tags.filter_map(|(tag, value)| Some((tag.to_string(), object(value.as_ref()?))));
        self.0.extend(tags);
    }

    /// The tags, sorted by name.
    pub(super) fn into_messages(self) -> Vec<CustomTag> {
        let tags = self.0.into_iter();
        tags.map(|(tag, value)| CustomTag { tag, r#type: Some(value) }).collect()
    }
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

fn setting(tag: &mesh_config::CustomTag) -> custom_tag::Type {
    match tag {
        mesh_config::CustomTag::Literal(tag) => literal(&tag.value),
        mesh_config::CustomTag::Environment(tag) => environment(tag),
        mesh_config::CustomTag::Header(tag) => header(tag),
    }
}

fn object(tag: &TelemetryTag) -> custom_tag::Type {
    match tag {
        TelemetryTag::Literal(tag) => literal(&tag.value),
        TelemetryTag::Environment(tag) => environment(tag),
        TelemetryTag::Header(tag) => header(tag),
        TelemetryTag::Formatter(tag) => custom_tag::Type::Value(tag.value.to_string()),
    }
}

fn literal(value: &str) -> custom_tag::Type {
    custom_tag::Type::Literal(custom_tag::Literal { value: value.to_owned() })
}

fn environment(tag: &EnvironmentTag) -> custom_tag::Type {
    custom_tag::Type::Environment(custom_tag::Environment {
        name: tag.name.to_string(),
        default_value: tag.default_value.to_string(),
    })
}

fn header(tag: &HeaderTag) -> custom_tag::Type {
    custom_tag::Type::RequestHeader(custom_tag::Header {
        name: tag.name.to_string(),
        default_value: tag.default_value.to_string(),
    })
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
