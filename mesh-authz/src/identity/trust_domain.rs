//! The trust domains of a mesh, and what they make of the values of policies.
use mesh_model::name::TrustDomain;

/// The trust domain of a mesh, then its aliases.
///
/// The order shows in generated lists; reading MeshConfig leaves the aliases sorted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a bundle is its list")]
pub struct TrustBundle {
    /// The mesh's own trust domain first; empty only in upstream's tests.
    pub trust_domains: Vec<TrustDomain>,
}

impl Default for TrustBundle {
    /// `cluster.local` without aliases.
    fn default() -> Self {
        Self { trust_domains: vec![TrustDomain::from(LOCAL)] }
    }
}

/// Stands for the mesh's own trust domain and its aliases, whatever they are called.
const LOCAL: &str = "cluster.local";

impl TrustBundle {
    /// Rewrites values of `principals` and `source.principal`: what names one trust domain of the mesh
    /// names them all.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/trustdomain/bundle.go` `ReplaceTrustDomainAliases`.
    pub fn rewrite_principals(&self, values: &[Box<str>]) -> Vec<Box<str>> {
        let mut rewritten = Vec::with_capacity(values.len());
        for value in values {
            match value.split_once('/') {
                Some((domain, rest))
                    if domain != "*" && rest.split('/').count() == 4 && self.knows(domain) =>
                {
                    self.push_aliases(value, domain, rest, &mut rewritten);
                }
                _ => rewritten.push(value.clone()),
            }
        }
        rewritten
    }

    /// Rewrites values of `trustDomains` and `source.trustDomain`: a trust domain of the mesh, in full,
    /// becomes all of them; what is there twice stays once.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/trustdomain/bundle.go` `ExpandTrustDomainAliases`.
    pub fn rewrite_trust_domains(&self, values: &[Box<str>]) -> Vec<Box<str>> {
        let mut rewritten: Vec<Box<str>> = Vec::with_capacity(values.len());
        let mut push = |value: &str| {
            if !rewritten.iter().any(|other| **other == *value) {
                rewritten.push(value.into());
            }
        };
        for value in values {
            if self.trust_domains.iter().any(|domain| *domain == **value) {
                self.trust_domains.iter().for_each(|domain| push(domain.as_str()));
            } else {
                push(value);
            }
        }
        rewritten
    }

    fn push_aliases(&self, value: &str, domain: &str, rest: &str, out: &mut Vec<Box<str>>) {
        let first = out.len();
        for alias in &self.trust_domains {
            let principal: Box<str> = if matches_suffix(alias.as_str(), domain) {
                value.into()
            } else {
                format!("{alias}/{rest}").into()
            };
            if !out.iter().skip(first).any(|other| *other == principal) {
                out.push(principal);
            }
        }
    }

    fn knows(&self, domain: &str) -> bool {
        domain == LOCAL
            || self.trust_domains.iter().map(TrustDomain::as_str).any(|known| {
                known == domain
                    || known == "*"
                    || matches_prefix(known, domain)
                    || matches_prefix(domain, known)
                    || matches_suffix(known, domain)
                    || matches_suffix(domain, known)
            })
    }
}

/// Returns whether `pattern` is `X*` and `text` starts with `X`.
fn matches_prefix(text: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').is_some_and(|prefix| text.starts_with(prefix))
}

/// Returns whether `pattern` is `*X` and `text` ends with `X`.
fn matches_suffix(text: &str, pattern: &str) -> bool {
    pattern.strip_prefix('*').is_some_and(|suffix| text.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(domains: &[&str], value: &str, expected: &[&str]) {
        let trust_domains = domains.iter().copied().map(TrustDomain::from).collect();
        let rewritten = TrustBundle { trust_domains }.rewrite_principals(&[value.into()]);
        let rewritten: Vec<&str> = rewritten.iter().map(|value| &**value).collect();
        assert_eq!(rewritten, expected);
    }

    #[test]
    fn cluster_local_stands_for_the_trust_domain_of_the_mesh() {
        check(&["td1", "td2"], "cluster.local/ns/a/sa/b", &["td1/ns/a/sa/b", "td2/ns/a/sa/b"]);
        check(&[], "cluster.local/ns/a/sa/b", &[]);
    }

    #[test]
    fn a_foreign_trust_domain_is_kept() {
        check(&["td1"], "td3/ns/a/sa/b", &["td3/ns/a/sa/b"]);
        check(&["td1"], "*/ns/a/sa/b", &["*/ns/a/sa/b"]);
        check(&["td1", "td2"], "td1/ns/a", &["td1/ns/a"]);
    }

    #[test]
    fn a_wildcard_is_kept_for_the_domains_that_it_covers() {
        check(&["new-td", "old-td"], "*-td/ns/a/sa/b", &["*-td/ns/a/sa/b"]);
    }
}
