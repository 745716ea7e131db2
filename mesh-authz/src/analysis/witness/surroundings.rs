//! What of a request no policy says: who is let in, and where it may go.
use std::net::IpAddr;

use super::super::sample::Sample;

/// What requests have in common that come as far as the policies of a workload. The default: anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers say all of it")]
pub struct Surroundings {
    /// The trust domains of which one name of a peer must be; empty: of any, or of none.
    pub trust_domains: Vec<Box<str>>,
    /// Whether peers must show a name.
    pub demands_identity: bool,
    /// The addresses that requests may go to; empty: any.
    pub destinations: Vec<IpAddr>,
}

impl Surroundings {
    /// The request as it is let in, and as it goes where it may.
    pub(super) fn entering(&self, mut sample: Sample) -> Sample {
        if self.demands_identity {
            let domain = self.trust_domains.first().map_or("x", |domain| domain);
            sample.identity = Some(format!("spiffe://{domain}/ns/x/sa/x").into());
        }
        if let Some(address) = self.destinations.first() {
            sample.destination_ip = *address;
        }
        sample
    }

    /// What a name must start with that is let in.
    pub(super) fn starts(&self) -> impl Iterator<Item = String> {
        self.trust_domains.iter().map(|domain| format!("spiffe://{domain}/"))
    }

    /// Whether a peer with these names is let in.
    pub(super) fn admits<'n>(&self, mut names: impl Iterator<Item = &'n str>) -> bool {
        self.trust_domains.is_empty()
            || names.any(|name| self.starts().any(|start| name.starts_with(&start)))
    }
}
