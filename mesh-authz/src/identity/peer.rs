//! The certificate of the peer, as the transport has verified it.

/// What the verified certificate of the peer says.
///
/// The default is TLS without a client certificate; plain text is no `Peer` at all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build requests by hand")]
pub struct Peer<'r> {
    /// The URI names, such as `spiffe://cluster.local/ns/shop/sa/web`.
    pub uri_sans: &'r [&'r str],
    /// The DNS names.
    pub dns_sans: &'r [&'r str],
    /// The subject's distinguished name; empty without a client certificate.
    pub subject: &'r str,
}

impl<'r> Peer<'r> {
    /// Returns every name of the certificate, each of which may be an identity.
    ///
    /// # Upstream
    ///
    /// envoyproxy/envoy `source/extensions/filters/common/rbac/matchers.cc`
    /// `AuthenticatedMatcher::matches`.
    pub fn names(&self) -> impl Iterator<Item = &'r str> + use<'r> {
        self.uri_sans.iter().chain(self.dns_sans).copied().chain(std::iter::once(self.subject))
    }
}

/// Where a proxy reads the identity of its peer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on both")]
pub enum IdentitySource {
    /// In the certificate of the connection.
    #[default]
    Certificate,
    /// In the filter state `io.istio.peer_principal`: waypoints, and sidecars behind HBONE. It holds
    /// the URI names of the tunnel's certificate.
    FilterState,
}
