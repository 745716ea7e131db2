//! What a cluster tells Istio's own extensions: services, the rule, the subset.
use mesh_envoy_proto::envoy::config::core::v3::Metadata;
use mesh_envoy_proto::prost_types::value::Kind;
use mesh_envoy_proto::prost_types::{ListValue, Struct, Value};
use mesh_model::registry::{MergedRule, Service};
use mesh_model::resource::destination_rule::ClientTlsMode;

use super::wire;

const ISTIO: &str = "istio";

/// The metadata of a cluster under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft(Struct);

impl Draft {
    /// Names the services that the cluster stands for.
    pub(super) fn services<'s>(&mut self, services: impl IntoIterator<Item = &'s Service>) {
        let values = services.into_iter().map(service).collect();
        self.put("services", Value { kind: Some(Kind::ListValue(ListValue { values })) });
    }

    /// Says that the service is outside the mesh.
    pub(super) fn external(&mut self) {
        self.put("external", wire::boolean(true));
    }

    /// Says that metadata need not be exchanged: all servers are spoken to by HBONE where that is sent.
    pub(super) fn without_exchange(&mut self) {
        self.put("disable_mx", wire::boolean(true));
    }

    /// Names the rule that the others were merged into.
    pub(super) fn rule(&mut self, rule: &MergedRule) {
        let meta = &rule.rule.meta;
        self.put(
            "config",
            wire::text(format!(
                "/apis/networking.istio.io/v1/namespaces/{}/destination-rule/{}",
                meta.namespace, meta.name
            )),
        );
    }

    /// Names the subset.
    pub(super) fn subset(&mut self, name: &str) {
        self.put("subset", wire::text(name));
    }

    /// Turns the protocol names of mutual TLS off where the rule brings its own TLS.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/util/util.go` `AddALPNOverrideToMetadata`.
    pub(super) fn alpn_override(&mut self, mode: Option<ClientTlsMode>) {
        if matches!(mode, Some(ClientTlsMode::Simple | ClientTlsMode::Mutual)) {
            self.put("alpn_override", wire::text("false"));
        }
    }

    fn put(&mut self, key: &str, value: Value) {
        self.0.fields.insert(key.to_owned(), value);
    }

    /// Returns the metadata, `None` if nothing was said.
    pub(super) fn finish(self) -> Option<Metadata> {
        (!self.0.fields.is_empty()).then(|| Metadata {
            filter_metadata: [(ISTIO.to_owned(), self.0)].into(),
            ..Metadata::default()
        })
    }
}

fn service(service: &Service) -> Value {
    let fields = wire::structure([
        ("host", wire::text(service.hostname.as_str())),
        ("name", wire::text(&*service.name)),
        ("namespace", wire::text(service.namespace.as_str())),
    ]);
    Value { kind: Some(Kind::StructValue(fields)) }
}
