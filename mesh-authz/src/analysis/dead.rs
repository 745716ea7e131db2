//! Values that no request has.
//!
//! Proxies change what they compare: server names to lower case, paths by normalization and without
//! their query, principals by the scheme in front. A value that cannot come out of that matches nothing,
//! and excludes nothing.
use mesh_model::resource::AuthorizationPolicy;

use crate::matcher::PathOptions;
use crate::rbac::{Field, Place};
use crate::rule::{List, lists};

/// Values of a list of a rule that no request has.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct DeadValues {
    /// The place of the rule in `spec.rules`.
    pub rule: usize,
    /// The list, with the values that are meant.
    pub field: Field,
    /// The path of the first of them in the policy, such as `spec.rules[1].from[0].source.principals[2]`.
    pub path: String,
    /// Why no request has them.
    pub why: Dead,
}

/// Why no request has a value.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Dead {
    /// A server name with a letter in upper case: they are compared in lower case.
    UpperCase,
    /// A principal or a trust domain with `spiffe://`, which is put in front of it.
    Scheme,
    /// A path with `?` or `#`: paths are compared without what follows.
    Query,
    /// A path that does not begin with `/`.
    NoSlash,
    /// A path with a character that requests cannot have, or that normalization turns into another.
    Character,
    /// A path with `.` or `..` for a segment: normalization resolves them.
    DotSegment,
    /// A path with `//`: normalization merges slashes.
    TwoSlashes,
    /// A path with an escape that normalization decodes, or for which requests are answered by the proxy.
    Escape,
    /// A value that begins or ends with a blank, which nothing that it is compared with does.
    Blank,
}

impl Dead {
    /// Returns what is wrong with the values, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpperCase => "server names are compared in lower case",
            Self::Scheme => "`spiffe://` is put in front of the value, which has it already",
            Self::Query => "paths are compared without what follows `?` or `#`",
            Self::NoSlash => "paths begin with `/`",
            Self::Character => "no path has the character when it is compared",
            Self::DotSegment => "`.` and `..` are resolved before paths are compared",
            Self::TwoSlashes => "slashes are merged before paths are compared",
            Self::Escape => {
                "the escape is decoded, or its path refused, before paths are compared, and only one within \
                 another comes out so"
            }
            Self::Blank => "nothing that it is compared with begins or ends with a blank",
        }
    }
}

/// Finds the values of a policy's lists that no request has where paths are normalized as `paths` says.
///
/// # Examples
///
/// A path with a query is one: `paths: ["/search?q=a"]` never matches.
pub fn dead_values(policy: &AuthorizationPolicy, paths: PathOptions) -> Vec<DeadValues> {
    let mut found: Vec<DeadValues> = Vec::new();
    for (rule, written) in policy.spec.rules.iter().enumerate() {
        for list in lists(written) {
            let mut reasons: Vec<(Dead, Vec<Box<str>>)> = Vec::new();
            for value in list.values {
                let Some(why) = dead(&list, value, paths) else { continue };
                match reasons.iter_mut().find(|(known, _)| *known == why) {
                    Some((_, values)) => values.push(value.clone()),
                    None => reasons.push((why, vec![value.clone()])),
                }
            }
            found.extend(reasons.into_iter().map(|(why, values)| DeadValues {
                rule,
                path: list.path_of(rule, |value| values.iter().any(|of| **of == *value)),
                field: Field {
                    place: list.place.clone(),
                    is_negated: list.is_negated,
                    values: values.into(),
                },
                why,
            }));
        }
    }
    found
}

fn dead(list: &List<'_>, value: &str, paths: PathOptions) -> Option<Dead> {
    let name = match &list.place {
        Place::Source(name) | Place::Operation(name) => name,
        Place::When { key, .. } => &**key,
    };
    if name != "paths" && keeps_no_blanks(name) && has_outer_blank(value) {
        return Some(Dead::Blank);
    }
    match name {
        "connection.sni" => {
            value.bytes().any(|byte| byte.is_ascii_uppercase()).then_some(Dead::UpperCase)
        }
        "principals" | "source.principal" | "trustDomains" | "source.trustDomain" => {
            value.starts_with("spiffe://").then_some(Dead::Scheme)
        }
        "paths" => path(value, paths),
        _ => None,
    }
}

/// Whether what a field is compared with neither begins nor ends with a blank: methods, hosts and headers by
/// HTTP, server names by TLS, names of the mesh by Kubernetes. Claims of tokens may.
fn keeps_no_blanks(name: &str) -> bool {
    let is_of_token =
        name.starts_with("request.auth.") || matches!(name, "requestPrincipals" | "request.auth");
    let is_metadata = name.starts_with("experimental.");
    !is_of_token && !is_metadata
}

/// Whether a text that passes a value begins or ends with a blank.
fn has_outer_blank(value: &str) -> bool {
    let is_blank = |letter: char| matches!(letter, ' ' | '\t');
    let (starts, ends) = (value.starts_with(is_blank), value.ends_with(is_blank));
    // What follows a prefix, or stands before a suffix, is not blank on both sides.
    value != "*" && (starts || ends)
}

/// Why no path passes a value.
fn path(value: &str, options: PathOptions) -> Option<Dead> {
    let is_template = value.contains("{*}") || value.contains("{**}");
    let (text, is_suffix, is_prefix) = match (value.strip_prefix('*'), value.strip_suffix('*')) {
        _ if is_template => (value, false, false),
        (Some(rest), _) => (rest, true, false),
        (None, Some(rest)) => (rest, false, true),
        (None, None) => (value, false, false),
    };
    let is_normal = options.normalizes();
    let turned = |byte: &u8| is_normal && br#"\"<>^`{|}"#.contains(byte) && !is_template;
    if text.contains(['?', '#']) {
        return Some(Dead::Query);
    }
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || turned(&byte)) {
        return Some(Dead::Character);
    }
    // Envoy refuses such a template, which the rule's own finding tells.
    if !is_suffix && !is_template && !text.is_empty() && !text.starts_with('/') {
        return Some(Dead::NoSlash);
    }
    if is_normal && has_dots(text, is_suffix, is_prefix, options) {
        return Some(Dead::DotSegment);
    }
    let merges = options.merges_slashes();
    // Of slashes alone two are left.
    if merges && text.contains("//") && text != "//" {
        return Some(Dead::TwoSlashes);
    }
    let mut escapes = text.match_indices('%').filter_map(|(at, _)| text.get(at + 1..at + 3));
    escapes.any(|digits| options.has_no_escape(digits)).then_some(Dead::Escape)
}

/// Whether a whole segment of the text is one that normalization resolves.
fn has_dots(text: &str, is_suffix: bool, is_prefix: bool, options: PathOptions) -> bool {
    let segments: Vec<&str> = text.split('/').collect();
    let start = usize::from(is_suffix);
    let end = segments.len() - usize::from(is_prefix);
    let is_dots = |segment: &str| {
        let name = match segment.split_once(';') {
            Some((name, _)) if options.dot_segments_with_parameters => name,
            _ => segment,
        };
        name == "." || name == ".."
    };
    segments.get(start..end).is_some_and(|whole| whole.iter().any(|segment| is_dots(segment)))
}
