//! Values as the wire has them.
use mesh_envoy_proto::envoy::config::core::v3::RuntimeFractionalPercent;
use mesh_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use mesh_envoy_proto::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use mesh_envoy_proto::envoy::r#type::v3::FractionalPercent;
use mesh_envoy_proto::envoy::r#type::v3::fractional_percent::DenominatorType;
use mesh_envoy_proto::prost_types;
use mesh_model::name::Duration;
use mesh_model::resource::virtual_service::{Percent, StringMatch};

/// A span of time.
pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() }
}

/// A share in parts of a million; what is smaller is cut off.
pub(super) fn percent(percent: &Percent) -> FractionalPercent {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "upstream truncates; beyond the range `as` stays at its end"
    )]
    let numerator = (percent.value * 10_000.0) as u32;
    FractionalPercent { numerator, denominator: DenominatorType::Million.into() }
}

/// A share in whole percent.
pub(super) fn whole_percent(numerator: u32) -> FractionalPercent {
    FractionalPercent { numerator, denominator: DenominatorType::Hundred.into() }
}

/// A share that nothing changes at run time.
pub(super) fn fraction(value: FractionalPercent) -> RuntimeFractionalPercent {
    RuntimeFractionalPercent { default_value: Some(value), ..Default::default() }
}

/// An RE2 expression.
pub(super) fn regex(regex: &str) -> RegexMatcher {
    RegexMatcher { regex: regex.to_owned(), ..Default::default() }
}

/// A condition on a text; `None` where there is no condition.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `ConvertToEnvoyMatch`.
pub(super) fn string_match(condition: &StringMatch) -> Option<StringMatcher> {
    let pattern = match condition {
        StringMatch::Present => return None,
        StringMatch::Exact(text) => MatchPattern::Exact(text.to_string()),
        StringMatch::Prefix(text) => MatchPattern::Prefix(text.to_string()),
        StringMatch::Regex(text) => MatchPattern::SafeRegex(regex(text)),
    };
    Some(StringMatcher { match_pattern: Some(pattern), ..Default::default() })
}
