//! Whether a route is for a request.
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/router/config_impl.cc` `RouteEntryImplBase::matchRoute`,
//! `source/common/http/header_utility.cc` `HeaderUtility::matchHeaders`.
use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_authz::matcher::joins_lines;
use mesh_envoy_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{
    HeaderMatcher, QueryParameterMatcher, RouteMatch,
};

use super::re2::{self, Alphabet};
use super::scheme::{Came, FORWARDED_PROTO};
use super::{Request, path, text};

/// A request as routes see it.
pub(super) struct Seen<'r> {
    pub(super) host: &'r str,
    /// The path, with its query.
    pub(super) path: &'r str,
    pub(super) came: Came,
    /// Values by lower-case name.
    headers: BTreeMap<String, Vec<Cow<'r, str>>>,
    alphabet: Alphabet,
}

impl<'r> Seen<'r> {
    pub(super) fn new(request: &'r Request, path: &'r str, came: Came, alphabet: Alphabet) -> Self {
        let mut headers: BTreeMap<String, Vec<Cow<'r, str>>> = BTreeMap::new();
        let pseudo = [
            (":method", &*request.method),
            (":authority", &*request.host),
            (":path", path),
            (":scheme", came.scheme),
        ];
        let given = request.headers.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in pseudo.into_iter().chain(given) {
            let values = headers.entry(name.to_ascii_lowercase()).or_default();
            match values.last_mut().filter(|_| joins_lines(name)) {
                Some(known) => append(known, value),
                None => values.push(Cow::Borrowed(value)),
            }
        }
        // The proxy says it before it looks for a route.
        headers.insert(FORWARDED_PROTO.to_owned(), vec![Cow::Owned(came.forwarded.clone())]);
        Self { host: &request.host, path, came, headers, alphabet }
    }

    /// The values of a header; none if it is not there.
    fn header(&self, name: &str) -> &[Cow<'r, str>] {
        self.headers.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default()
    }

    /// The first value of a query parameter, as it is written.
    fn parameter(&self, name: &str) -> Option<&str> {
        let (_, rest) = path::split(self.path);
        let query = rest.strip_prefix('?')?.split('#').next()?;
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find_map(|(key, value)| (key == name).then_some(value))
    }
}

/// Makes another line part of a header that proxies keep as one text: an empty one leaves no comma.
fn append<'r>(known: &mut Cow<'r, str>, value: &'r str) {
    if known.is_empty() {
        *known = Cow::Borrowed(value);
    } else if !value.is_empty() {
        known.to_mut().extend([",", value]);
    }
}

/// Whether a request meets every condition of a route. Conditions on a token's claims are not met:
/// the request has no token.
pub(super) fn matches(seen: &Seen<'_>, condition: &RouteMatch) -> bool {
    matches_path(seen, condition)
        && condition.headers.iter().all(|matcher| matches_header(seen, matcher))
        && condition.query_parameters.iter().all(|matcher| matches_parameter(seen, matcher))
        && condition.dynamic_metadata.iter().all(|matcher| matcher.invert)
}

fn matches_path(seen: &Seen<'_>, condition: &RouteMatch) -> bool {
    let (bare, _) = path::split(seen.path);
    let ignores_case = condition.case_sensitive == Some(false);
    let fold = |text: &str| {
        if ignores_case { text.to_ascii_lowercase() } else { text.to_owned() }
    };
    match &condition.path_specifier {
        Some(PathSpecifier::Prefix(prefix)) => fold(bare).starts_with(&fold(prefix)),
        Some(PathSpecifier::Path(exact)) => fold(bare) == fold(exact),
        Some(PathSpecifier::SafeRegex(regex)) => {
            re2::is_whole_match(&regex.regex, seen.alphabet, bare)
        }
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            let given = fold(bare);
            let rest = given.strip_prefix(&fold(prefix));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        Some(PathSpecifier::ConnectMatcher(_)) => {
            seen.header(":method").iter().any(|method| *method == "CONNECT")
        }
        Some(PathSpecifier::PathMatchPolicy(_)) | None => false,
    }
}

/// Whether one of a header's values meets a condition, or with a condition that is turned around none
/// of them. A condition on a header that is not there is not met, even turned around, unless it says
/// that such a header is empty.
fn matches_header(seen: &Seen<'_>, matcher: &HeaderMatcher) -> bool {
    let specifier = &matcher.header_match_specifier;
    let values = seen.header(&matcher.name);
    let counts_as_empty = matcher.treat_missing_header_as_empty;
    if let Some(HeaderMatchSpecifier::PresentMatch(present)) = specifier {
        let is_there = !values.is_empty() || counts_as_empty;
        return (is_there == *present) != matcher.invert_match;
    }
    let values = match values {
        [] if counts_as_empty => &[Cow::Borrowed("")],
        // Without any condition the header only has to be there.
        [] => return specifier.is_none() && matcher.invert_match,
        values => values,
    };
    let is_met = |value: &Cow<'_, str>| is_value(specifier.as_ref(), seen.alphabet, value);
    values.iter().any(is_met) != matcher.invert_match
}

fn is_value(specifier: Option<&HeaderMatchSpecifier>, alphabet: Alphabet, value: &str) -> bool {
    match specifier {
        Some(HeaderMatchSpecifier::ExactMatch(exact)) => value == exact,
        Some(HeaderMatchSpecifier::PrefixMatch(prefix)) => value.starts_with(&**prefix),
        Some(HeaderMatchSpecifier::SuffixMatch(suffix)) => value.ends_with(&**suffix),
        Some(HeaderMatchSpecifier::ContainsMatch(part)) => value.contains(&**part),
        Some(HeaderMatchSpecifier::SafeRegexMatch(regex)) => {
            re2::is_whole_match(&regex.regex, alphabet, value)
        }
        Some(HeaderMatchSpecifier::RangeMatch(range)) => {
            value.parse::<i64>().is_ok_and(|number| (range.start..range.end).contains(&number))
        }
        Some(HeaderMatchSpecifier::StringMatch(matcher)) => text::matches(matcher, alphabet, value),
        Some(HeaderMatchSpecifier::PresentMatch(_)) | None => true,
    }
}

fn matches_parameter(seen: &Seen<'_>, matcher: &QueryParameterMatcher) -> bool {
    let value = seen.parameter(&matcher.name);
    match &matcher.query_parameter_match_specifier {
        Some(QueryParameterMatchSpecifier::StringMatch(condition)) => {
            value.is_some_and(|value| text::matches(condition, seen.alphabet, value))
        }
        Some(QueryParameterMatchSpecifier::PresentMatch(present)) => value.is_some() == *present,
        None => value.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use mesh_envoy_proto::envoy::r#type::matcher::v3::{
        StringMatcher, string_matcher::MatchPattern,
    };

    use super::*;

    fn seen(request: &Request) -> Seen<'_> {
        let came = Came { scheme: "http", forwarded: "http".to_owned() };
        Seen::new(request, &request.path, came, Alphabet::Latin1)
    }

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: "GET".to_owned(),
            host: "cart.shop".to_owned(),
            path: path.to_owned(),
            headers: headers.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            ..Request::default()
        }
    }

    fn check_path(specifier: PathSpecifier, path: &str, expected: bool) {
        let condition = RouteMatch { path_specifier: Some(specifier), ..RouteMatch::default() };
        assert_eq!(matches(&seen(&request(path, &[])), &condition), expected, "{path}");
    }

    #[test]
    fn the_query_is_no_part_of_the_path() {
        check_path(PathSpecifier::Path("/a".to_owned()), "/a?b", true);
        check_path(PathSpecifier::Prefix("/a".to_owned()), "/ab?c", true);
        check_path(PathSpecifier::Prefix("/a?".to_owned()), "/a?c", false);
    }

    #[test]
    fn a_separated_prefix_ends_at_a_segment() {
        let prefix = || PathSpecifier::PathSeparatedPrefix("/a".to_owned());
        check_path(prefix(), "/a", true);
        check_path(prefix(), "/a/b", true);
        check_path(prefix(), "/ab", false);
    }

    /// `x` is exactly `red`.
    fn is_red(invert_match: bool, treat_missing_header_as_empty: bool) -> HeaderMatcher {
        let exact = StringMatcher {
            match_pattern: Some(MatchPattern::Exact("red".to_owned())),
            ..StringMatcher::default()
        };
        HeaderMatcher {
            name: "X".to_owned(),
            invert_match,
            treat_missing_header_as_empty,
            header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(exact)),
        }
    }

    fn check_header(matcher: &HeaderMatcher, values: &[&str], expected: bool) {
        let headers: Vec<(&str, &str)> = values.iter().map(|value| ("x", *value)).collect();
        let request = request("/", &headers);
        assert_eq!(matches_header(&seen(&request), matcher), expected, "{values:?}");
    }

    #[test]
    fn one_value_of_several_is_enough_and_too_many() {
        check_header(&is_red(false, false), &["blue", "red"], true);
        check_header(&is_red(true, false), &["blue", "red"], false);
        check_header(&is_red(true, false), &["blue"], true);
    }

    #[test]
    fn lines_of_a_header_that_proxies_work_with_are_one_value() {
        let matcher = HeaderMatcher { name: "user-agent".to_owned(), ..is_red(false, false) };
        for (values, expected) in [
            (&["red"][..], true),
            (&["red", "blue"], false),
            (&["", "red", ""], true),
            (&["blue", "red"], false),
        ] {
            let headers: Vec<(&str, &str)> =
                values.iter().map(|value| ("User-Agent", *value)).collect();
            let request = request("/", &headers);
            assert_eq!(matches_header(&seen(&request), &matcher), expected, "{values:?}");
        }
    }

    #[test]
    fn a_header_that_is_not_there_meets_nothing_unless_it_is_empty() {
        check_header(&is_red(false, false), &[], false);
        check_header(&is_red(true, false), &[], false);
        check_header(&is_red(true, true), &[], true);
    }

    #[test]
    fn parameters_are_read_as_they_are_written() {
        let request = request("/?q=1&r&q=2#q=3", &[]);
        let seen = seen(&request);
        assert_eq!(seen.parameter("q"), Some("1"));
        assert_eq!(seen.parameter("r"), Some(""));
        assert_eq!(seen.parameter("s"), None);
    }
}
