//! What the answer to an HTTP check says.
use std::fmt;

use super::CheckResult;

/// A range of HTTP status codes, its end left out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StatusRange {
    // INVARIANT: 100 <= start < end <= 600.
    start: u32,
    end: u32,
}

/// The range of status codes is empty or leaves 100 to 599.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidStatusRange {
    start: u32,
    end: u32,
}

impl fmt::Display for InvalidStatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end } = self;
        write!(f, "status range `{start}` to `{end}` is empty or leaves 100 to 600")
    }
}

impl std::error::Error for InvalidStatusRange {}

impl StatusRange {
    /// Returns the range from `start` up to but without `end`.
    ///
    /// # Errors
    ///
    /// The range is empty, begins below 100 or ends above 600.
    pub const fn new(start: u32, end: u32) -> Result<Self, InvalidStatusRange> {
        if start < 100 || start >= end || end > 600 {
            Err(InvalidStatusRange { start, end })
        } else {
            Ok(Self { start, end })
        }
    }

    const fn contains(self, status: u32) -> bool {
        self.start <= status && status < self.end
    }
}

/// What an HTTP check expects.
///
/// # Examples
///
/// ```
/// use mesh_lb::health::active::{CheckResult, HttpCheck, HttpResponse};
///
/// let answer = |status| HttpResponse { status, ..HttpResponse::default() };
/// let check = HttpCheck::default();
/// assert_eq!(check.result(&answer(200)), CheckResult::Success);
/// assert_eq!(check.result(&answer(204)), CheckResult::Failed); // Only 200, unless told otherwise.
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct HttpCheck {
    /// Statuses that pass; none stands for 200 alone.
    pub expected_statuses: Vec<StatusRange>,
    /// Statuses that count towards the unhealthy threshold instead of failing at once.
    pub retriable_statuses: Vec<StatusRange>,
    /// What the body must hold, in this order; nothing by default.
    pub receive: Vec<Box<[u8]>>,
    /// How many bytes of the body are looked at: 1,024; 0 is all of them.
    pub response_buffer_size: usize,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            expected_statuses: Vec::new(),
            retriable_statuses: Vec::new(),
            receive: Vec::new(),
            response_buffer_size: 1024,
        }
    }
}

/// The answer to an HTTP check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct HttpResponse<'a> {
    /// The status: 200 by default.
    pub status: u32,
    /// The body.
    pub body: &'a [u8],
    /// Whether the header `x-envoy-degraded` is there.
    pub degraded_header: bool,
    /// Whether the header `x-envoy-immediate-health-check-fail` is there.
    pub immediate_fail_header: bool,
    /// Whether `x-envoy-upstream-healthchecked-cluster` (empty if absent) is what
    /// `service_name_matcher` asks for; true without such a matcher.
    pub service_name_matches: bool,
}

impl Default for HttpResponse<'_> {
    fn default() -> Self {
        Self {
            status: 200,
            body: &[],
            degraded_header: false,
            immediate_fail_header: false,
            service_name_matches: true,
        }
    }
}

impl HttpCheck {
    /// Returns what an answer says: the body is looked at first, then the status, then the name of
    /// the service.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/health_checkers/http/health_checker_impl.cc`,
    /// `HttpHealthCheckerImpl::HttpActiveHealthCheckSession::healthCheckResult`.
    pub fn result(&self, response: &HttpResponse<'_>) -> CheckResult {
        let within = |ranges: &[StatusRange]| ranges.iter().any(|r| r.contains(response.status));
        let expected = match self.expected_statuses.as_slice() {
            [] => response.status == 200,
            ranges => within(ranges),
        };
        if !receives(&self.receive, self.looked_at(response.body)) {
            CheckResult::Failed
        } else if !expected && within(&self.retriable_statuses) {
            CheckResult::Retriable
        } else if !expected || !response.service_name_matches {
            CheckResult::Failed
        } else if response.degraded_header {
            CheckResult::Degraded
        } else {
            CheckResult::Success
        }
    }

    /// Returns whether an answer also leaves the host out of the denominators of health: it carries
    /// the immediate-fail header, and its body or status failed the check.
    pub fn excludes(&self, response: &HttpResponse<'_>) -> bool {
        let named = HttpResponse { service_name_matches: true, ..*response };
        let passed = matches!(self.result(&named), CheckResult::Success | CheckResult::Degraded);
        response.immediate_fail_header && !passed
    }

    fn looked_at<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        let length = match self.response_buffer_size {
            0 => body.len(),
            size => size,
        };
        body.get(..length).unwrap_or(body)
    }
}

/// Returns whether a text holds all payloads in order, without overlap; other bytes may lie between.
///
/// A TCP check passes as soon as this holds of what was read, or on connection without payloads.
///
/// # Upstream
///
/// Envoy `source/extensions/health_checkers/common/utility.cc`, `PayloadMatcher::match`.
pub fn receives(payloads: &[Box<[u8]>], text: &[u8]) -> bool {
    let mut rest = text;
    payloads.iter().all(|payload| {
        let found = if payload.is_empty() {
            Some(0)
        } else {
            rest.windows(payload.len()).position(|window| window == &**payload)
        };
        let after = found.and_then(|at| rest.get(at + payload.len()..));
        rest = after.unwrap_or_default();
        after.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payloads: &[&str], text: &str, expected: bool) {
        let payloads: Vec<Box<[u8]>> = payloads.iter().map(|p| p.as_bytes().into()).collect();
        assert_eq!(receives(&payloads, text.as_bytes()), expected);
    }

    #[test]
    fn payloads_are_found_in_order_and_without_overlap() {
        check(&[], "", true);
        check(&["ab", "cd"], "xabycdz", true);
        check(&["cd", "ab"], "xabycdz", false);
        check(&["aba", "aba"], "ababa", false);
    }

    #[test]
    fn only_the_beginning_of_a_body_is_looked_at() {
        let check = HttpCheck {
            receive: vec![b"ok".as_slice().into()],
            response_buffer_size: 3,
            ..HttpCheck::default()
        };
        let answer = |body| HttpResponse { body, ..HttpResponse::default() };
        assert_eq!(check.result(&answer(b".ok")), CheckResult::Success);
        assert_eq!(check.result(&answer(b"..ok")), CheckResult::Failed);
        let all = HttpCheck { response_buffer_size: 0, ..check };
        assert_eq!(all.result(&answer(b"..ok")), CheckResult::Success);
    }

    #[test]
    fn the_immediate_header_counts_only_on_a_failing_answer() {
        let check = HttpCheck::default();
        let answer = |status, service_name_matches| HttpResponse {
            status,
            service_name_matches,
            immediate_fail_header: true,
            ..HttpResponse::default()
        };
        assert!(check.excludes(&answer(503, true)));
        assert!(!check.excludes(&answer(200, true)));
        assert!(!check.excludes(&answer(200, false)));
    }
}
