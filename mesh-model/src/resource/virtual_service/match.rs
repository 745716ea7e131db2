//! Which requests a route means.
use std::collections::BTreeMap;

use crate::manifest::decode::{message, oneof};
use crate::name::Labels;

message! {
    /// A condition on requests: every field that is given must match.
    pub struct HttpMatchRequest {
        /// A name for logs.
        name: Box<str> = "name",
        /// The path and, for `exact` and `prefix`, what follows it.
        uri: Option<StringMatch> = "uri",
        /// The scheme.
        scheme: Option<StringMatch> = "scheme",
        /// The method.
        method: Option<StringMatch> = "method",
        /// The host.
        authority: Option<StringMatch> = "authority",
        /// Headers by lower-case name; `None` stands for `null`, which validation refuses.
        headers: BTreeMap<Box<str>, Option<StringMatch>> = "headers",
        /// The port of the listener; 0: any.
        port: u32 = "port",
        /// Labels that the client workload has.
        source_labels: Labels = "sourceLabels" | "source_labels",
        /// Where the condition applies; empty: where the rule does.
        gateways: Vec<Box<str>> = "gateways",
        /// Parameters of the query by name; `None` as in `headers`.
        query_params: BTreeMap<Box<str>, Option<StringMatch>> = "queryParams" | "query_params",
        /// Whether the case of the path does not count, for `exact` and `prefix`.
        ignore_uri_case: bool = "ignoreUriCase" | "ignore_uri_case",
        /// Headers that must not match; `None` as in `headers`.
        without_headers: BTreeMap<Box<str>, Option<StringMatch>> =
            "withoutHeaders" | "without_headers",
        /// The namespace of the client workload, empty for any.
        source_namespace: Box<str> = "sourceNamespace" | "source_namespace",
        /// A prefix for statistics of the route.
        stat_prefix: Box<str> = "statPrefix" | "stat_prefix",
    }
}

oneof! {
    /// A condition on a text, case-sensitive.
    pub enum StringMatch or Present {
        /// No condition: `{}`. A header only has to be there.
        _,
        /// It is this text.
        Exact(Box<str>) = "exact",
        /// It begins with this text.
        Prefix(Box<str>) = "prefix",
        /// All of it matches this RE2 expression.
        Regex(Box<str>) = "regex",
    }
}
