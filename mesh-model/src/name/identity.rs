//! Who a workload is: trust domains and SPIFFE identities.
use std::fmt;
use std::str::FromStr;

use super::Namespace;
use super::cluster::name;

name! {
    /// A trust domain: the authority of the identities of a mesh.
    TrustDomain
}

/// A workload's identity, `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`.
///
/// # Upstream
///
/// istio/istio `pkg/spiffe/spiffe.go` `Identity`, `ParseIdentity`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "an identity has these three parts")]
pub struct Identity {
    /// Whose authority signed it.
    pub trust_domain: TrustDomain,
    /// The workload's namespace.
    pub namespace: Namespace,
    /// The workload's service account.
    pub service_account: Box<str>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // istio writes `.` for the `@` of a Google trust domain.
        let trust_domain = self.trust_domain.as_str().replace('@', ".");
        write!(f, "spiffe://{trust_domain}/ns/{}/sa/{}", self.namespace, self.service_account)
    }
}

/// The text is not a workload identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidIdentity(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum Kind {
    #[error("identity does not start with `spiffe://`")]
    Scheme,
    #[error("identity is not of the form `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`")]
    Path,
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let path = text.strip_prefix("spiffe://").ok_or(InvalidIdentity(Kind::Scheme))?;
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [trust_domain, "ns", namespace, "sa", service_account] => Ok(Self {
                trust_domain: TrustDomain::from(*trust_domain),
                namespace: Namespace::from(*namespace),
                service_account: Box::from(*service_account),
            }),
            _ => Err(InvalidIdentity(Kind::Path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_round_trip() {
        let text = "spiffe://cluster.local/ns/shop/sa/web";
        assert_eq!(text.parse::<Identity>().unwrap().to_string(), text);
        assert!("spiffe://td/ns/a/sa/b/c".parse::<Identity>().is_err());
        assert!("cluster.local/ns/shop/sa/web".parse::<Identity>().is_err());
    }
}
