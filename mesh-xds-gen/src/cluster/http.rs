//! Which HTTP a cluster speaks, and the options of it.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::core::v3::{
    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions as Common, KeepaliveSettings,
    TypedExtensionConfig, UpstreamHttpProtocolOptions, http1_protocol_options,
};
use mesh_envoy_proto::envoy::extensions::http::header_formatters::preserve_case::v3::PreserveCaseFormatterConfig;
use mesh_envoy_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use mesh_envoy_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use mesh_envoy_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, OutlierDetection, UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use mesh_envoy_proto::pack;
use mesh_model::name::Protocol;
use mesh_model::resource::destination_rule::{ConnectionPoolSettings, H2UpgradePolicy};
use mesh_model::resource::mesh_config::MeshH2UpgradePolicy;

use super::connection_pool::positive;
use super::{outlier, wire};

const KEY: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The HTTP options of a cluster under construction; none until something asks for them.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions(Option<HttpProtocolOptions>);

/// What a port without policy speaks.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct Upstream {
    /// The protocol of the port.
    pub protocol: Protocol,
    /// Whether a port whose protocol is not declared is sent what the client sent.
    pub detects: bool,
    /// Whether HTTP/1 headers keep their case.
    pub preserves_case: bool,
}

impl HttpOptions {
    /// Chooses by the port.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `setUpstreamProtocol`.
    pub fn of_port(port: Upstream) -> Self {
        let mut options = Self::default();
        if port.protocol.is_http2() {
            options.upgrade();
            return options;
        }
        let is_auto = port.protocol.is_unsupported();
        if port.preserves_case && (is_auto || port.protocol.is_http()) {
            options.choose(explicit(ProtocolConfig::HttpProtocolOptions(case_preserving())));
        }
        if port.detects && is_auto {
            options.use_downstream();
        }
        options
    }

    /// Chooses HTTP/2, unless something is chosen already.
    pub fn upgrade(&mut self) {
        if self.get_or_default().upstream_protocol_options.is_none() {
            let http2 = Http2ProtocolOptions::default();
            self.choose(explicit(ProtocolConfig::Http2ProtocolOptions(http2)));
        }
    }

    /// Applies a policy: timeouts and limits of connections, and the client's protocol if asked for.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyConnectionPool`.
    pub fn apply_pool(&mut self, pool: Option<&ConnectionPoolSettings>) {
        let tcp = pool.and_then(|pool| pool.tcp.as_ref());
        let http = pool.and_then(|pool| pool.http.as_ref());
        let idle = http.and_then(|http| http.idle_timeout);
        let common = Common {
            idle_timeout: idle.or(tcp.and_then(|tcp| tcp.idle_timeout)).map(wire::duration),
            max_connection_duration: tcp
                .and_then(|tcp| tcp.max_connection_duration)
                .map(wire::duration),
            max_requests_per_connection: http
                .and_then(|http| positive(http.max_requests_per_connection)),
            ..Common::default()
        };
        let streams = http.and_then(|http| positive(http.max_concurrent_streams));
        let pings = http.and_then(|http| http.http2_keep_alive.as_ref());
        if common != Common::default() || streams.is_some() || pings.is_some() {
            self.get_or_default().common_http_protocol_options = Some(common);
        }
        if let Some(http2) = self.http2() {
            http2.max_concurrent_streams = streams.or(http2.max_concurrent_streams);
            http2.connection_keepalive = pings.map(|pings| KeepaliveSettings {
                interval: pings.interval.map(wire::duration),
                timeout: pings.timeout.map(wire::duration),
                ..KeepaliveSettings::default()
            });
        }
        if http.is_some_and(|http| http.use_client_protocol) {
            self.use_downstream();
        }
    }

    /// Lets only some statuses count as errors; none: all of 5xx do.
    pub(super) fn apply_error_codes(&mut self, codes: &[u32]) {
        if !codes.is_empty() {
            let error_matcher = Some(outlier::error_matcher(codes));
            self.get_or_default().outlier_detection = Some(OutlierDetection { error_matcher });
        }
    }

    /// Takes the server name from the request, and checks the certificate for it.
    pub(super) fn apply_auto(&mut self, auto_sni: bool, auto_san_validation: bool) {
        if auto_sni || auto_san_validation {
            self.get_or_default().upstream_http_protocol_options =
                Some(UpstreamHttpProtocolOptions {
                    auto_sni,
                    auto_san_validation,
                    ..<_>::default()
                });
        }
    }

    /// Whether HTTP/2 is spoken whatever the client speaks.
    pub fn is_http2(&self) -> bool {
        let chosen = self.0.as_ref().and_then(|options| options.upstream_protocol_options.as_ref());
        matches!(
            chosen,
            Some(UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
                protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(_)),
            }))
        )
    }

    /// Returns the options, of which Envoy wants one protocol to be chosen; `None` if nothing asked
    /// for any.
    pub fn finish(self) -> Option<HttpProtocolOptions> {
        let mut options = self.0?;
        options.upstream_protocol_options.get_or_insert_with(|| {
            explicit(ProtocolConfig::HttpProtocolOptions(Http1ProtocolOptions::default()))
        });
        Some(options)
    }

    /// Gives a cluster the options.
    pub(super) fn apply(self, cluster: &mut Cluster) {
        if let Some(options) = self.finish() {
            cluster.typed_extension_protocol_options.insert(KEY.to_owned(), pack(&options));
        }
    }

    /// The options of the clusters that pass traffic through.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `passthroughHttpProtocolOptions`.
    pub(super) fn passthrough(preserves_case: bool) -> Self {
        let mut options = Self::default();
        if preserves_case {
            options.choose(explicit(ProtocolConfig::HttpProtocolOptions(case_preserving())));
        }
        options.use_downstream();
        options.get_or_default().common_http_protocol_options =
            Some(Common { idle_timeout: Some(wire::seconds(300)), ..Common::default() });
        options
    }

    fn get_or_default(&mut self) -> &mut HttpProtocolOptions {
        self.0.get_or_insert_default()
    }

    fn choose(&mut self, protocol: UpstreamProtocolOptions) {
        self.get_or_default().upstream_protocol_options = Some(protocol);
    }

    fn http2(&mut self) -> Option<&mut Http2ProtocolOptions> {
        match self.0.as_mut()?.upstream_protocol_options.as_mut()? {
            UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
                protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(http2)),
            }) => Some(http2),
            UpstreamProtocolOptions::ExplicitHttpConfig(_)
            | UpstreamProtocolOptions::UseDownstreamProtocolConfig(_)
            | UpstreamProtocolOptions::AutoConfig(_) => None,
        }
    }

    /// Speaks what the client speaks, instead of what was chosen; options of HTTP/1 are kept.
    fn use_downstream(&mut self) {
        let known = self.get_or_default().upstream_protocol_options.take();
        let http1 = match known {
            Some(UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
                protocol_config: Some(ProtocolConfig::HttpProtocolOptions(http1)),
            })) => http1,
            _ => Http1ProtocolOptions::default(),
        };
        self.choose(UpstreamProtocolOptions::UseDownstreamProtocolConfig(
            UseDownstreamHttpConfig {
                http_protocol_options: Some(http1),
                http2_protocol_options: Some(Http2ProtocolOptions::default()),
                ..UseDownstreamHttpConfig::default()
            },
        ));
    }
}

/// Returns whether HTTP/1.1 is carried as HTTP/2: the policy's answer, else for HTTP the mesh's.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `shouldH2Upgrade`.
pub fn upgrades(
    pool: Option<&ConnectionPoolSettings>,
    protocol: Protocol,
    mesh: MeshH2UpgradePolicy,
) -> bool {
    if let Some(http) = pool.and_then(|pool| pool.http.as_ref()) {
        match http.h2_upgrade_policy {
            _ if http.use_client_protocol => return false,
            H2UpgradePolicy::Upgrade => return true,
            H2UpgradePolicy::DoNotUpgrade => return false,
            H2UpgradePolicy::Default => {}
        }
    }
    protocol.is_http() && mesh == MeshH2UpgradePolicy::Upgrade
}

const fn explicit(protocol: ProtocolConfig) -> UpstreamProtocolOptions {
    UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
        protocol_config: Some(protocol),
    })
}

fn case_preserving() -> Http1ProtocolOptions {
    let formatter = TypedExtensionConfig {
        name: "preserve_case".to_owned(),
        typed_config: Some(pack(&PreserveCaseFormatterConfig::default())),
    };
    let format =
        http1_protocol_options::header_key_format::HeaderFormat::StatefulFormatter(formatter);
    Http1ProtocolOptions {
        header_key_format: Some(http1_protocol_options::HeaderKeyFormat {
            header_format: Some(format),
        }),
        ..Http1ProtocolOptions::default()
    }
}
