//! Hash policy: what of a request is hashed, so that equal requests reach the same host.
use super::hash::{xx_hash_64, xx_hash_64_chain};

/// One thing to hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashPolicy {
    /// What.
    pub method: HashMethod,
    /// Whether the policies after this one are ignored once there is a hash, be it of an earlier
    /// policy.
    pub terminal: bool,
}

/// A part of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HashMethod {
    /// All values of a header, in byte order.
    Header(Box<str>),
    /// The value of a cookie.
    Cookie {
        /// Its name.
        name: Box<str>,
        /// What to do without one.
        absent: AbsentCookie,
    },
    /// The address of the caller, without port.
    SourceIp,
    /// The first value of a query parameter, not decoded.
    QueryParameter(Box<str>),
    /// The hash that an object in the filter state has of itself.
    FilterState(Box<str>),
}

/// What becomes of a request that lacks the cookie to hash, or has it empty.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a cookie has a lifetime or it has none")]
pub enum AbsentCookie {
    /// Nothing is hashed: the cookie is configured without a lifetime.
    Ignore,
    /// A value is made from the addresses of the connection, and set in the response.
    Generate,
}

/// What is hashed of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashInput<'a> {
    /// The headers, after any rewrite that the policy asks for.
    pub headers: &'a [(&'a str, &'a str)],
    /// The path, with its query.
    pub path: &'a str,
    /// The caller's address without port; empty if it has none.
    pub source_ip: &'a str,
    /// The caller's address with port, as text.
    pub remote_address: &'a str,
    /// The address that the caller connected to, with port, as text.
    pub local_address: &'a str,
    /// The hashes of objects in the filter state, by their keys.
    pub filter_state: &'a [(&'a str, u64)],
}

/// The hash of a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHash<'p> {
    /// The hash; none if no policy found anything, when the balancer draws a random number.
    pub hash: Option<u64>,
    /// The cookies to set in the response: name and value.
    pub cookies: Vec<(&'p str, String)>,
}

/// Hashes a request by the policies in order.
///
/// # Examples
///
/// ```
/// use mesh_lb::pick::hash_policy::{HashInput, HashMethod, HashPolicy, hash};
///
/// let policy = HashPolicy { method: HashMethod::Header("x-user".into()), terminal: false };
/// let input = HashInput { headers: &[("x-user", "foo")], ..HashInput::default() };
/// assert_eq!(hash(&[policy], &input).hash, Some(3728699739546630719));
/// ```
///
/// # Upstream
///
/// Envoy `source/common/http/hash_policy.cc`, `HashPolicyImpl::generateHash`.
pub fn hash<'p>(policies: &'p [HashPolicy], input: &HashInput<'_>) -> RequestHash<'p> {
    let mut result = RequestHash::default();
    for policy in policies {
        if let Some(found) = policy.method.hash(input, &mut result.cookies) {
            result.hash = Some(result.hash.unwrap_or(0).rotate_left(1) ^ found);
        }
        if policy.terminal && result.hash.is_some() {
            break;
        }
    }
    result
}

impl HashMethod {
    fn hash<'p>(
        &'p self,
        input: &HashInput<'_>,
        cookies: &mut Vec<(&'p str, String)>,
    ) -> Option<u64> {
        match self {
            Self::Header(name) => hash_header(input.headers, name),
            Self::Cookie { name, absent } => {
                let value = cookie(input.headers, name).filter(|value| !value.is_empty());
                match (value, absent) {
                    (Some(value), _) => Some(xx_hash_64(value.as_bytes(), 0)),
                    (None, AbsentCookie::Ignore) => None,
                    (None, AbsentCookie::Generate) => {
                        let value = generated(input);
                        let hash = xx_hash_64(value.as_bytes(), 0);
                        cookies.push((name, value));
                        Some(hash)
                    }
                }
            }
            Self::SourceIp => Some(input.source_ip)
                .filter(|address| !address.is_empty())
                .map(|address| xx_hash_64(address.as_bytes(), 0)),
            Self::QueryParameter(name) => {
                query_parameter(input.path, name).map(|value| xx_hash_64(value.as_bytes(), 0))
            }
            Self::FilterState(key) => {
                let object = input.filter_state.iter().find(|(name, _)| *name == &**key);
                object.map(|(_, hash)| *hash)
            }
        }
    }
}

/// Values are sorted so that their order does not matter, then chained: not joined.
fn hash_header(headers: &[(&str, &str)], name: &str) -> Option<u64> {
    let mut values = values(headers, name);
    let first = values.next()?;
    let Some(second) = values.next() else { return Some(xx_hash_64(first.as_bytes(), 0)) };
    let mut all: Vec<&[u8]> =
        [first, second].into_iter().chain(values).map(str::as_bytes).collect();
    all.sort_unstable();
    Some(xx_hash_64_chain(all))
}

fn values<'a>(headers: &'a [(&str, &'a str)], name: &str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |header| header.0.eq_ignore_ascii_case(name)).map(|header| header.1)
}

/// Returns the first cookie of this name, without the quotes around its value.
///
/// # Upstream
///
/// Envoy `source/common/http/utility.cc`, `Utility::parseCookieValue`.
fn cookie<'a>(headers: &'a [(&str, &'a str)], name: &str) -> Option<&'a str> {
    let cookies = values(headers, "cookie").flat_map(|header| header.split(';'));
    let mut pairs = cookies.filter_map(|cookie| cookie.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim_start_matches(' ') == name)?;
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some(unquoted.unwrap_or(value))
}

/// Returns the value of a cookie that the response sets: the hash of both addresses.
///
/// # Upstream
///
/// Envoy `source/common/router/router.h`, `Filter::addDownstreamSetCookie`.
fn generated(input: &HashInput<'_>) -> String {
    let addresses = [input.remote_address, input.local_address].concat();
    format!("{:016x}", xx_hash_64(addresses.as_bytes(), 0))
}

fn query_parameter<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = path.split_once('?')?;
    let mut parameters =
        query.split('&').map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
    parameters.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: HashMethod, input: &HashInput<'_>, expected: Option<&str>) {
        let policies = [HashPolicy { method, terminal: false }];
        let expected = expected.map(|text| xx_hash_64(text.as_bytes(), 0));
        assert_eq!(hash(&policies, input).hash, expected);
    }

    fn cookie_policy(absent: AbsentCookie) -> HashMethod {
        HashMethod::Cookie { name: "sess".into(), absent }
    }

    #[test]
    fn the_first_cookie_of_a_name_counts_without_its_quotes() {
        let headers = [("Cookie", "a=b; sess=\"x y\"; sess=z")];
        let input = HashInput { headers: &headers, ..HashInput::default() };
        check(cookie_policy(AbsentCookie::Ignore), &input, Some("x y"));
    }

    #[test]
    fn an_empty_cookie_is_absent() {
        let headers = [("cookie", "sess=")];
        let input = HashInput { headers: &headers, ..HashInput::default() };
        check(cookie_policy(AbsentCookie::Ignore), &input, None);
    }

    #[test]
    fn a_cookie_with_a_lifetime_is_made_from_the_connection() {
        let input = HashInput {
            remote_address: "10.0.0.1:5000",
            local_address: "10.0.0.2:80",
            ..HashInput::default()
        };
        let value = format!("{:016x}", xx_hash_64(b"10.0.0.1:500010.0.0.2:80", 0));
        check(cookie_policy(AbsentCookie::Generate), &input, Some(&value));
        let policies =
            [HashPolicy { method: cookie_policy(AbsentCookie::Generate), terminal: true }];
        assert_eq!(hash(&policies, &input).cookies, [("sess", value)]);
    }

    #[test]
    fn a_query_parameter_is_hashed_as_it_is_written() {
        let input = HashInput { path: "/p?a=1&key=x%20y&key=z", ..HashInput::default() };
        check(HashMethod::QueryParameter("key".into()), &input, Some("x%20y"));
        check(HashMethod::QueryParameter("none".into()), &input, None);
    }

    #[test]
    fn a_caller_without_address_is_not_hashed() {
        check(HashMethod::SourceIp, &HashInput::default(), None);
    }

    #[test]
    fn filter_state_brings_its_own_hash() {
        let input = HashInput { filter_state: &[("key", 42)], ..HashInput::default() };
        let method = HashMethod::FilterState("key".into());
        assert_eq!(hash(&[HashPolicy { method, terminal: false }], &input).hash, Some(42));
    }
}
