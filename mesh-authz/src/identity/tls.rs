//! Verifying the peers of TLS connections by rustls, both sides.
//!
//! ```text
//! certificate ─▶ names ─▶ its trust domain ─▶ the roots of that one ─▶ chain, times, purpose ─▶ names
//! ```
//!
//! A peer is believed if its certificate has exactly one URI name, that is a SPIFFE id, and a chain
//! ends at a root of the trust domain in that id: the roots of one domain vouch for no other, each in its own
//! time only. The time
//! comes from rustls, which takes it from the caller's `TimeProvider`. Nothing here does I/O or knows
//! an implementation of cryptography; the caller passes a provider.
//!
//! # Upstream
//!
//! SPIFFE `standards/X509-SVID.md`; istio/istio `pilot/pkg/security/authn/utils/utils.go`
//! `BuildInboundTLS`, and `security/pkg/pki/util` for what the certificates look like.
mod der;
mod names;
mod store;
mod verifier;

pub use self::names::{InvalidCertificate, PeerNames};
pub use self::store::{InvalidRoot, TrustStore};
pub use self::verifier::{ClientVerifier, ServerVerifier};
