//! Headers with an underscore in their name, which applications may take for those with a hyphen.

/// What becomes of a request with such a header (`connectionSettings.httpHeadersWithUnderscoresAction`).
///
/// # Upstream
///
/// envoyproxy/envoy `source/common/http/http1/codec_impl.cc` and `http2/codec_impl.cc`
/// `ServerConnectionImpl::checkHeaderNameForUnderscores`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every option")]
pub enum UnderscoredHeaders {
    /// It is a header like any other.
    #[default]
    Allow,
    /// The proxy answers 400, or ends the stream of HTTP/2, before any policy is asked.
    RejectRequest,
    /// Neither policies nor routes nor the workload see the header.
    DropHeader,
}

impl UnderscoredHeaders {
    /// Returns whether a header of this name is seen by policies and routes, where the request is served.
    pub fn shows(self, name: &str) -> bool {
        self == Self::Allow || !name.contains('_')
    }

    /// Returns whether a request with headers of these names is refused.
    pub fn refuses<'n>(self, mut names: impl Iterator<Item = &'n str>) -> bool {
        self == Self::RejectRequest && names.any(|name| name.contains('_'))
    }
}
