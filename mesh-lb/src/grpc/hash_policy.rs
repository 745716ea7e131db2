//! What of an RPC a gRPC client hashes: several values of a header are joined, not chained.
use std::borrow::Cow;

use crate::pick::hash::xx_hash_64;

/// One thing to hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrpcHashPolicy {
    /// What.
    pub method: GrpcHashMethod,
    /// Whether the policies after this one are ignored once something was hashed.
    pub terminal: bool,
}

/// A part of an RPC or its channel.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GrpcHashMethod {
    /// All values of a header, joined by commas. A name that ends in `-bin` is passed over.
    Header(Box<str>),
    /// The random number that the channel was given (`io.grpc.channel_id` of the filter state).
    ChannelId,
    /// Anything else that Envoy could hash: ignored.
    Unsupported,
}

/// Hashes an RPC; none if nothing was hashed, when a random number is drawn for it.
///
/// `rewrite` gets the index of a header policy and the joined values, and returns them as the
/// policy's regular expression rewrites them.
///
/// # Upstream
///
/// grpc-go `internal/xds/resolver/serviceconfig.go`, `configSelector.generateHash`.
pub fn hash<'h>(
    policies: &[GrpcHashPolicy],
    headers: &'h [(&'h str, &'h str)],
    channel_id: u64,
    rewrite: impl Fn(usize, Cow<'h, str>) -> Cow<'h, str>,
) -> Option<u64> {
    let mut hash = None;
    for (index, policy) in policies.iter().enumerate() {
        let found = match &policy.method {
            // Not even its terminal flag counts.
            GrpcHashMethod::Header(name) if name.ends_with("-bin") => continue,
            GrpcHashMethod::Header(name) => {
                let Some(joined) = joined(headers, name) else { continue };
                Some(xx_hash_64(rewrite(index, joined).as_bytes(), 0))
            }
            GrpcHashMethod::ChannelId => Some(channel_id),
            GrpcHashMethod::Unsupported => None,
        };
        if let Some(found) = found {
            hash = Some(hash.unwrap_or(0_u64).rotate_left(1) ^ found);
        }
        if policy.terminal && hash.is_some() {
            break;
        }
    }
    hash
}

fn joined<'h>(headers: &'h [(&'h str, &'h str)], name: &str) -> Option<Cow<'h, str>> {
    let mut values = headers.iter().filter(|header| header.0.eq_ignore_ascii_case(name));
    let mut joined = Cow::Borrowed(values.next()?.1);
    for (_, value) in values {
        joined = Cow::Owned([&joined, ",", value].concat());
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policies: &[(&str, bool)], expected: Option<u64>) {
        let policies: Vec<GrpcHashPolicy> = policies
            .iter()
            .map(|&(name, terminal)| GrpcHashPolicy {
                method: GrpcHashMethod::Header(name.into()),
                terminal,
            })
            .collect();
        let headers = [("x-a", "1"), ("X-A", "2"), ("x-a-bin", "3")];
        assert_eq!(hash(&policies, &headers, 7, |_, value| value), expected);
    }

    #[test]
    fn values_are_joined_by_commas() {
        check(&[("x-a", false)], Some(xx_hash_64(b"1,2", 0)));
    }

    #[test]
    fn a_header_that_is_absent_or_binary_does_not_end_the_search() {
        let both = xx_hash_64(b"1,2", 0).rotate_left(1) ^ xx_hash_64(b"1,2", 0);
        check(&[("x-a", false), ("x-b", true), ("x-a-bin", true), ("x-a", true)], Some(both));
        check(&[("x-b", true)], None);
    }

    #[test]
    fn the_channel_and_a_rewrite_are_hashed_too() {
        let policies = [
            GrpcHashPolicy { method: GrpcHashMethod::ChannelId, terminal: false },
            GrpcHashPolicy { method: GrpcHashMethod::Header("x-a".into()), terminal: false },
        ];
        let got = hash(&policies, &[("x-a", "1")], 7, |index, value| {
            Cow::Owned(format!("{index}{value}"))
        });
        assert_eq!(got, Some(7_u64.rotate_left(1) ^ xx_hash_64(b"11", 0)));
    }
}
