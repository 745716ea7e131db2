//! Where a proxy has the keys of an issuer from.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authn/policy_applier.go` `convertToEnvoyJwtConfig`;
//! `pilot/pkg/model/jwks_resolver.go` `BuildLocalJwks`; `pkg/config/security/security.go`
//! `ParseJwksURI`.
use mesh_envoy_proto::envoy::config::core::v3::{DataSource, HttpUri, data_source, http_uri};
use mesh_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::{
    RemoteJwks, jwt_provider::JwksSourceSpecifier,
};
use mesh_envoy_proto::prost_types::Duration;
use mesh_model::compat::JwksFetch;
use mesh_model::resource::JwtRule;
use mesh_model::view::ProxyView;

use crate::name::ClusterName;

/// The keys that are sent where an issuer's could not be had: one whose private half nobody has, so
/// that every token is refused.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/jwks_resolver.go` `PublicOnlyJwks`, byte for byte.
pub const NO_KEYS: &str = r#"{
  "keys": [
    {
      "kty": "RSA",
      "e": "AQAB",
      "n": "0xObjM0UvS_oaazjpEYlAbwctEJ4L8pH3OuTb7qth7gUwqet-EzQB4dgFdvSdMgrLnSncQGRjpEYz3F3viIbH-3EN3TxSlPNviHxeOdyiBVfumN8dMxbLvVJUpfNOnvmMxJcl-8NNjAwcOjk4otSALaYgYYyOPyvKtgVdrQr-FoubWX4yrjxW-MJ2-7OBeepUUNOsVwGV23YX03sVkkyvY3otRflkBcY3_HKpBxJl9wk2GyOShN4_PNUF9-vwfnvOXMbCDX-w4PTef4geeb_GiT40YCKHTKMSPVanGRn5GExIWmki-mmqh94-mPTJyBR74ShspL3BxPZitDL574T1w"
    }
  ]
}"#;
/// How long fetching keys may take where nothing is said.
const TIMEOUT: Duration = Duration { seconds: 5, nanos: 0 };
/// How long a proxy keeps keys that it fetched.
const CACHED: Duration = Duration { seconds: 300, nanos: 0 };

/// Where a proxy has the keys of a rule from.
pub(super) fn source(view: &ProxyView<'_>, rule: &JwtRule) -> JwksSourceSpecifier {
    let mode = view.mesh().compat().flags.pilot_jwt_enable_remote_jwks;
    if mode == JwksFetch::Istiod || rule.jwks_uri.is_empty() {
        return inline(if rule.jwks.is_empty() { NO_KEYS } else { &rule.jwks });
    }
    let (host, port) = authority(&rule.jwks_uri).unwrap_or_default();
    if mode == JwksFetch::Envoy || view.plane().services.lookup(host).found().is_some() {
        remote(rule, ClusterName::outbound(port, "", host).to_string())
    } else {
        inline(NO_KEYS)
    }
}

fn inline(keys: &str) -> JwksSourceSpecifier {
    let specifier = data_source::Specifier::InlineString(keys.to_owned());
    JwksSourceSpecifier::LocalJwks(DataSource {
        specifier: Some(specifier),
        ..DataSource::default()
    })
}

fn remote(rule: &JwtRule, cluster: String) -> JwksSourceSpecifier {
    let written =
        rule.timeout.map(|of| Duration { seconds: of.as_secs(), nanos: of.subsec_nanos() });
    JwksSourceSpecifier::RemoteJwks(RemoteJwks {
        http_uri: Some(HttpUri {
            uri: rule.jwks_uri.to_string(),
            timeout: Some(written.unwrap_or(TIMEOUT)),
            http_upstream_type: Some(http_uri::HttpUpstreamType::Cluster(cluster)),
        }),
        cache_duration: Some(CACHED),
        ..RemoteJwks::default()
    })
}

/// The host that keys are fetched from; `None` where nothing fetches them.
pub(crate) fn host(uri: &str) -> Option<&str> {
    authority(uri).map(|(host, _)| host)
}

/// The host and the port of an address of HTTP; `None` for any other.
fn authority(uri: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = uri.split_once("://")?;
    let default = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, after)| after);
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    match port.strip_prefix(':') {
        None | Some("") => Some((host, default)),
        Some(port) => Some((host, port.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expected: Option<(&str, u16)>) {
        assert_eq!(authority(uri), expected, "{uri}");
    }

    #[test]
    fn the_port_follows_from_the_scheme_unless_it_is_written() {
        check("https://keys.example.com/jwks.json", Some(("keys.example.com", 443)));
        check("http://keys.example.com", Some(("keys.example.com", 80)));
        check("http://keys.auth.svc.cluster.local:8080/k?a=b", {
            Some(("keys.auth.svc.cluster.local", 8080))
        });
        check("https://u:p@h:1/", Some(("h", 1)));
        check("https://[2001:db8::1]:8443/k", Some(("2001:db8::1", 8443)));
        check("https://[2001:db8::1]/k", Some(("2001:db8::1", 443)));
    }

    #[test]
    fn nothing_but_http_is_fetched() {
        check("ftp://keys.example.com", None);
        check("keys.example.com", None);
        check("http://h:x/", None);
    }
}
