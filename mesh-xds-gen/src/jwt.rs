//! The filter that believes or refuses the tokens of requests.
//!
//! ```text
//! any of: rule 0, …, rule n, all of: (rule 0 or no token), …, (rule n or no token)
//! ```
//!
//! Keys that stand in the rule are sent as they stand. Nothing here fetches keys: of a rule that only
//! says where its keys are, the proxy gets [`NO_KEYS`], as from an istiod that cannot reach them, and
//! refuses every token. A control plane that fetches keys itself puts them into the field `jwks` of
//! the RequestAuthentication before it applies it; proxies that fetch them are a flag
//! (`pilot_jwt_enable_remote_jwks`).
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authn/policy_applier.go` `convertToEnvoyJwtConfig`.
mod keys;
mod requirement;

use mesh_authz::jwt_rules_of_proxy;
use mesh_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtAuthentication, JwtClaimToHeader, JwtHeader, JwtProvider, jwt_provider::NormalizePayload,
};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use mesh_envoy_proto::pack;
use mesh_model::resource::JwtRule;
use mesh_model::view::{ProxyKind, ProxyView};

pub use self::keys::NO_KEYS;
pub(crate) use self::keys::host as key_host;

/// The name of the filter, and of the metadata that it writes.
const NAME: &str = "envoy.filters.http.jwt_authn";
/// The key of that metadata.
const PAYLOAD: &str = "payload";
/// Claims whose text is a list of words, whatever the rule says.
const SPACE_DELIMITED: [&str; 2] = ["permission", "scope"];

/// The filter of a proxy; `None` where no rule is for it.
pub(crate) fn http_filter(view: &ProxyView<'_>) -> Option<hcm::HttpFilter> {
    let rules = jwt_rules_of_proxy(view.mesh(), view.plane(), view.proxy());
    (!rules.is_empty()).then(|| hcm::HttpFilter {
        name: NAME.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(pack(&config(view, &rules)))),
        ..hcm::HttpFilter::default()
    })
}

fn config(view: &ProxyView<'_>, rules: &[&JwtRule]) -> JwtAuthentication {
    let named = rules.iter().enumerate();
    JwtAuthentication {
        providers: named.map(|(place, rule)| (name(place), provider(view, rule))).collect(),
        rules: vec![requirement::everywhere((0..rules.len()).map(name).collect())],
        bypass_cors_preflight: true,
        ..JwtAuthentication::default()
    }
}

fn name(place: usize) -> String {
    format!("origins-{place}")
}

fn provider(view: &ProxyView<'_>, rule: &JwtRule) -> JwtProvider {
    let headers = rule.from_headers.iter().map(|header| JwtHeader {
        name: header.name.to_string(),
        value_prefix: header.prefix.to_string(),
    });
    let claims = rule.output_claim_to_headers.iter().map(|told| JwtClaimToHeader {
        header_name: told.header.to_string(),
        claim_name: told.claim.to_string(),
        ..JwtClaimToHeader::default()
    });
    JwtProvider {
        issuer: rule.issuer.to_string(),
        audiences: texts(&rule.audiences),
        forward: rule.forward_original_token,
        from_headers: headers.collect(),
        from_params: texts(&rule.from_params),
        from_cookies: texts(&rule.from_cookies),
        forward_payload_header: rule.output_payload_to_header.to_string(),
        payload_in_metadata: PAYLOAD.to_owned(),
        normalize_payload_in_metadata: Some(NormalizePayload {
            space_delimited_claims: space_delimited(rule),
        }),
        claim_to_headers: claims.collect(),
        clear_route_cache: view.proxy().kind != ProxyKind::Sidecar,
        jwks_source_specifier: Some(keys::source(view, rule)),
        ..JwtProvider::default()
    }
}

fn texts(values: &[Box<str>]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn space_delimited(rule: &JwtRule) -> Vec<String> {
    let own = rule.space_delimited_claims.iter().map(AsRef::as_ref);
    let mut claims: Vec<&str> = SPACE_DELIMITED.into_iter().chain(own).collect();
    claims.sort_unstable();
    claims.dedup();
    claims.into_iter().map(str::to_owned).collect()
}
