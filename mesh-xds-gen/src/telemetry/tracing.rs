//! How requests are traced.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/telemetry.go` `Tracing`; `pilot/pkg/networking/core/tracing.go`
//! `configureTracing`, `configureTracingFromTelemetry`, `buildHCMTracing`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as hcm;
use mesh_envoy_proto::envoy::r#type::v3::Percent;
use mesh_model::compat::DataPlane;
use mesh_model::resource::mesh_config::{self, ExtensionProvider, MeshConfig, ProxyConfig};
use mesh_model::resource::telemetry::{TelemetryTag, TelemetryTracing};
use mesh_model::view::{ProxyKind, ProxyView};

use super::objects::Objects;
use super::tags::Tags;
use super::tracer::{Tracer, tracer};
use super::{Class, fits, provider};

/// What a filter of requests needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traced {
    /// How requests are traced; `None`: not at all.
    pub(super) tracing: Option<hcm::Tracing>,
    /// Whether the id of a request tells whether it is traced.
    pub(super) samples_by_id: bool,
}

impl Traced {
    const NOTHING: Self = Self { tracing: None, samples_by_id: true };
}

/// How the requests of a class are traced.
pub(super) fn tracing(
    view: &ProxyView<'_>,
    objects: &Objects<'_>,
    settings: &ProxyConfig,
    class: Class,
) -> Traced {
    let (config, entries) = (&view.plane().config, objects.tracing());
    let own = settings.tracing.as_ref();
    if entries.is_empty() && config.default_providers.tracing.is_empty() {
        let tracing = config.enable_tracing.then(|| of_settings(view, own));
        return Traced { tracing, ..Traced::NOTHING };
    }
    of_objects(view, own, &Layers::of(config, &entries, class)).unwrap_or(Traced::NOTHING)
}

/// As the proxy's settings say, without a provider.
fn of_settings(view: &ProxyView<'_>, own: Option<&mesh_config::Tracing>) -> hcm::Tracing {
    let mut tags = Tags::default();
    if own.and_then(|tracing| tracing.enable_istio_tags).unwrap_or(true) {
        tags.add_istio(view.proxy());
    }
    tags.add_settings(own);
    hcm::Tracing {
        max_path_tag_length: max_path_tag_length(0, own),
        custom_tags: tags.into_messages(),
        ..sampled(sampling(own))
    }
}

/// As Telemetry objects say; `None`: not at all.
fn of_objects(
    view: &ProxyView<'_>,
    own: Option<&mesh_config::Tracing>,
    layers: &Layers<'_>,
) -> Option<Traced> {
    let provider = layers.provider.filter(|_| !layers.is_silent)?;
    let Tracer { config, backend, spawns_spans, max_tag_length, decides } = tracer(view, provider)?;
    // A stock Envoy refuses a listener whose tracer names a cluster that it does not have.
    let is_refused = view.proxy().data_plane == DataPlane::Envoy && !backend.is_known_to(view);
    let mut tags = Tags::default();
    if layers.istio_tags.unwrap_or(true) {
        tags.add_istio(view.proxy());
    }
    match layers.tags.filter(|tags| !tags.is_empty()) {
        Some(found) => tags.add_objects(found),
        None => tags.add_settings(own),
    }
    let percentage = layers.percentage.unwrap_or_else(|| sampling(own));
    let is_router = view.proxy().kind == ProxyKind::Router;
    let tracing = hcm::Tracing {
        provider: (!is_refused).then_some(config),
        max_path_tag_length: max_path_tag_length(max_tag_length, own),
        custom_tags: tags.into_messages(),
        spawn_upstream_span: (is_router || spawns_spans).then_some(true),
        no_context_propagation: layers.hides_context == Some(true),
        ..sampled(if decides { 100.0 } else { percentage })
    };
    let samples_by_id = layers.samples_by_id.unwrap_or(true);
    Some(Traced { tracing: Some(tracing), samples_by_id })
}

/// What the entries that fit a class come to: the last word on each setting.
#[derive(Clone, Debug, Default)]
struct Layers<'o> {
    provider: Option<&'o ExtensionProvider>,
    is_silent: bool,
    percentage: Option<f64>,
    tags: Option<&'o BTreeMap<Box<str>, Option<TelemetryTag>>>,
    samples_by_id: Option<bool>,
    istio_tags: Option<bool>,
    hides_context: Option<bool>,
}

impl<'o> Layers<'o> {
    fn of(config: &'o MeshConfig, entries: &[&'o TelemetryTracing], class: Class) -> Self {
        let default = config.default_providers.tracing.first();
        let provider = default.and_then(|name| provider::find(config, name));
        let mut found = Self { provider, ..Self::default() };
        let is_for = |entry: &&&TelemetryTracing| {
            fits(entry.selector.as_ref().map(|selector| selector.mode), class)
        };
        for entry in entries.iter().filter(is_for) {
            found.add(config, entry);
        }
        found
    }

    fn add(&mut self, config: &'o MeshConfig, entry: &'o TelemetryTracing) {
        if let Some(named) = entry.providers.first() {
            self.provider = provider::find(config, &named.name);
        }
        self.is_silent = entry.disable_span_reporting.unwrap_or(self.is_silent);
        if !entry.custom_tags.is_empty() {
            self.tags = Some(&entry.custom_tags);
        }
        self.percentage = entry.random_sampling_percentage.or(self.percentage);
        self.samples_by_id = entry.use_request_id_for_trace_sampling.or(self.samples_by_id);
        self.istio_tags = entry.enable_istio_tags.or(self.istio_tags);
        self.hides_context = entry.disable_context_propagation.or(self.hides_context);
    }
}

fn sampled(percentage: f64) -> hcm::Tracing {
    let percent = |value| Some(Percent { value });
    hcm::Tracing {
        client_sampling: percent(100.0),
        random_sampling: percent(percentage),
        overall_sampling: percent(100.0),
        ..hcm::Tracing::default()
    }
}

/// The share of requests, percent; what is above all counts as the default.
fn sampling(own: Option<&mesh_config::Tracing>) -> f64 {
    match own.map_or(0.0, |tracing| tracing.sampling) {
        value if value == 0.0 || value > 100.0 => 1.0,
        value => value,
    }
}

/// The provider's, else the proxy's own; 0 is none.
fn max_path_tag_length(of_provider: u32, own: Option<&mesh_config::Tracing>) -> Option<u32> {
    let own = own.map_or(0, |tracing| tracing.max_path_tag_length);
    [of_provider, own].into_iter().find(|length| *length != 0)
}

#[cfg(test)]
mod tests {
    use mesh_model::resource::mesh_config::{ProviderKind, ZipkinProvider};
    use mesh_model::resource::telemetry::{ModeSelector, ProviderRef, WorkloadMode};

    use super::*;

    fn mesh(default: &[&str]) -> MeshConfig {
        let zipkin = |name: &str| ExtensionProvider {
            name: name.into(),
            kind: Some(ProviderKind::Zipkin(ZipkinProvider::default())),
        };
        let mut config = MeshConfig { extension_providers: Vec::new(), ..MeshConfig::default() };
        config.extension_providers.extend(["first", "second"].map(zipkin));
        config.default_providers.tracing = default.iter().map(|name| Box::from(*name)).collect();
        config
    }

    fn entry(mode: WorkloadMode, provider: &str) -> TelemetryTracing {
        let name = |name: &str| ProviderRef { name: name.into() };
        TelemetryTracing {
            selector: Some(ModeSelector { mode }),
            providers: Some(provider)
                .filter(|name| !name.is_empty())
                .map(name)
                .into_iter()
                .collect(),
            ..TelemetryTracing::default()
        }
    }

    /// The provider of what a workload sends.
    fn check(default: &[&str], entries: &[TelemetryTracing], expected: Option<&str>) {
        let (config, entries) = (mesh(default), entries.iter().collect::<Vec<_>>());
        let layers = Layers::of(&config, &entries, Class::Outbound);
        assert_eq!(layers.provider.map(|provider| &*provider.name), expected);
    }

    use WorkloadMode::{Client, ClientAndServer, Server};

    #[test]
    fn the_last_entry_that_names_a_provider_decides() {
        check(&["first"], &[], Some("first"));
        check(&["first"], &[entry(ClientAndServer, "SECOND"), entry(Client, "")], Some("second"));
    }

    #[test]
    fn an_unknown_provider_is_none() {
        check(&["first"], &[entry(Client, "third")], None);
    }

    #[test]
    fn an_entry_for_the_other_side_says_nothing() {
        check(&[], &[entry(Server, "first")], None);
        check(&["first"], &[entry(Server, "second")], Some("first"));
    }

    #[test]
    fn a_share_above_all_is_the_default() {
        let share = |sampling| mesh_config::Tracing { sampling, ..mesh_config::Tracing::default() };
        let shares = [0.0, 0.5, 100.0, 101.0].map(|value| sampling(Some(&share(value))));
        assert_eq!(
            shares.map(|share| share.to_bits()),
            [1.0, 0.5, 100.0, 1.0_f64].map(f64::to_bits)
        );
    }
}
