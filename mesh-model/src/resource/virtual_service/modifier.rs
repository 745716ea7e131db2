//! What happens to requests and answers on the way.
use std::collections::BTreeMap;

use super::{Destination, Percent, StringMatch};
use crate::manifest::decode::{choice, message};
use crate::name::Duration;

message! {
    /// What changes before a request is forwarded.
    pub struct Rewrite {
        /// What replaces the matched prefix, or the path after another kind of match.
        uri: Box<str> = "uri",
        /// What replaces the host.
        authority: Box<str> = "authority",
        /// A substitution in the path.
        uri_regex_rewrite: Option<RegexRewrite> = "uriRegexRewrite" | "uri_regex_rewrite",
    }
}

message! {
    /// A substitution.
    pub struct RegexRewrite {
        /// An RE2 expression.
        pattern: Box<str> = "match",
        /// What replaces each place that matches; `\1` is the first group.
        rewrite: Box<str> = "rewrite",
    }
}

message! {
    /// Retries.
    pub struct Retry {
        /// How often a request is sent again; 0: never.
        attempts: i32 = "attempts",
        /// How long each attempt may take; absent: as long as the whole request.
        per_try_timeout: Option<Duration> = "perTryTimeout" | "per_try_timeout",
        /// Conditions and statuses, separated by commas; empty: Istio's list.
        retry_on: Box<str> = "retryOn" | "retry_on",
        /// Whether a retry may leave the locality; absent: it does not on purpose.
        retry_remote_localities: Option<bool> =
            "retryRemoteLocalities" | "retry_remote_localities",
        /// Whether a retry avoids endpoints that were tried; absent: it does, unless the load
        /// balancer is a consistent hash.
        retry_ignore_previous_hosts: Option<bool> =
            "retryIgnorePreviousHosts" | "retry_ignore_previous_hosts",
        /// The least time between attempts; absent: 25 ms.
        backoff: Option<Duration> = "backoff",
    }
}

message! {
    /// A host that gets a copy of requests, whose answers nobody reads.
    pub struct MirrorPolicy {
        /// The host; validation refuses an entry without one.
        destination: Option<Destination> = "destination",
        /// The share; absent: all.
        percentage: Option<Percent> = "percentage",
    }
}

message! {
    /// Header changes.
    pub struct Headers {
        /// Of requests, before they are forwarded.
        request: Option<HeaderOperations> = "request",
        /// Of answers, before they are returned.
        response: Option<HeaderOperations> = "response",
    }
}

message! {
    /// Changes of one set of headers.
    pub struct HeaderOperations {
        /// Values that replace what is there.
        set: BTreeMap<Box<str>, Box<str>> = "set",
        /// Values beside what is there.
        add: BTreeMap<Box<str>, Box<str>> = "add",
        /// Headers that go.
        remove: Vec<Box<str>> = "remove",
    }
}

message! {
    /// Cross-origin rules.
    pub struct CorsPolicy {
        /// Exact origins; deprecated, `allow_origins` replaces it.
        allow_origin: Vec<Box<str>> = "allowOrigin" | "allow_origin",
        /// Origins of which one must match.
        allow_origins: Vec<StringMatch> = "allowOrigins" | "allow_origins",
        /// Methods that are allowed.
        allow_methods: Vec<Box<str>> = "allowMethods" | "allow_methods",
        /// Request headers that are allowed.
        allow_headers: Vec<Box<str>> = "allowHeaders" | "allow_headers",
        /// Answer headers that a page may read.
        expose_headers: Vec<Box<str>> = "exposeHeaders" | "expose_headers",
        /// How long a browser may remember; absent: it is not told.
        max_age: Option<Duration> = "maxAge" | "max_age",
        /// Whether credentials are allowed; absent: it is not told.
        allow_credentials: Option<bool> = "allowCredentials" | "allow_credentials",
        /// What happens to preflight requests of other origins.
        unmatched_preflights: UnmatchedPreflights =
            "unmatchedPreflights" | "unmatched_preflights",
    }
}

choice! {
    /// What happens to preflight requests of origins that do not match.
    pub enum UnmatchedPreflights default Unspecified {
        /// The default: forward.
        Unspecified = 0 | "UNSPECIFIED",
        /// They are forwarded.
        Forward = 1 | "FORWARD",
        /// They are answered without leave.
        Ignore = 2 | "IGNORE",
    }
}
