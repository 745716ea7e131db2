//! Headers that several lines make one text of.
//!
//! Proxies keep the headers that they themselves work with in places of their own, one value each: a
//! second line is appended to the first while the request is read, whatever policies look at later.

/// The headers of requests that are kept so, but for `host`: those that Envoy 1.40 was seen to join,
/// and those that it takes away again before a policy is asked.
// INVARIANT: sorted, in lower case.
const JOINED: [&str; 61] = [
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "proxy-connection",
    "proxy-status",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-is-timeout-retry",
    "x-envoy-max-retries",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// Returns whether the lines of a header, its name in any case, are one text when any policy or route
/// is asked.
///
/// # Examples
///
/// ```
/// use mesh_authz::matcher::{append_lines, joins_lines};
/// assert!(joins_lines("User-Agent") && !joins_lines("x-role"));
/// assert_eq!(append_lines([&b"a"[..], b"", b"b"].into_iter()), b"a,b");
/// ```
///
/// # Upstream
///
/// envoyproxy/envoy `envoy/http/header_map.h` `INLINE_REQ_HEADERS`, `INLINE_REQ_RESP_HEADERS`, and what
/// extensions add with `RegisterCustomInlineHeader`; `source/common/http/header_map_impl.cc`
/// `insertByKey`.
pub fn joins_lines(name: &str) -> bool {
    let lower = |text: &str, at: usize| text.as_bytes().get(at).map(u8::to_ascii_lowercase);
    let order = |known: &&str| {
        let different = (0..=known.len()).find(|at| lower(known, *at) != lower(name, *at));
        different.map_or(known.len().cmp(&name.len()), |at| lower(known, at).cmp(&lower(name, at)))
    };
    JOINED.binary_search_by(order).is_ok()
}

/// Returns the one text that the lines are: empty ones leave no comma.
pub fn append_lines<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Vec<u8> {
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(&b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_list_is_found_in_any_case() {
        assert!(JOINED.is_sorted(), "a search needs it");
        for name in JOINED {
            assert!(joins_lines(name), "{name}");
            assert!(joins_lines(&name.to_ascii_uppercase()), "{name}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in ["", "t", "tea", "x-h", "user-agent2", "x-envoy", "z", "cookie", "User_Agent"] {
            assert!(!joins_lines(name), "{name}");
        }
    }

    #[test]
    fn empty_lines_leave_no_comma() {
        let lines: [&[u8]; 5] = [b"", b"a", b"", b"b,c", b""];
        assert_eq!(append_lines(lines.into_iter()), b"a,b,c");
        assert_eq!(append_lines(lines.into_iter().take(1)), b"");
    }
}
