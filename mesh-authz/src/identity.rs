//! Who is calling: trust domains, the peer's certificate, the token's claims.
mod claims;
mod jwt;
mod peer;
#[cfg(feature = "rustls")]
pub mod tls;
mod trust_domain;

pub use self::claims::{Metadata, Payload, Value};
pub use self::jwt::{Authentication, Token, TokenLocation, TokenRequest, Validity, authenticate};
pub use self::peer::{IdentitySource, Peer};
pub use self::trust_domain::TrustBundle;
