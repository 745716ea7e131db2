//! What admission refuses in a VirtualService.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/validation.go`, `virtualservice.go`.
use std::collections::{BTreeMap, BTreeSet};

use super::{HttpRoute, VirtualService, VirtualServiceSpec};
use crate::manifest::decode::clip;
use crate::resource::validate::{
    Violation, Violations, address, export_to, gateway_ref, header, host, metadata,
};

mod destination;
mod fault;
mod header_operations;
mod http;
mod l4;
mod matching;
mod modifier;
mod redirect;
mod unreachable;

pub(in crate::resource) use self::destination::check as destination;
pub(in crate::resource) use self::modifier::retry;

/// The name that stands for the sidecars.
const MESH: &str = "mesh";

impl VirtualService {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateVirtualService`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            let spec = &self.spec;
            delegate(violations, spec);
            gateway_ref::check(violations, &spec.gateways);
            if !spec.is_for_gateways_only() {
                claims(violations, &spec.http);
            }
            if hosts(violations, spec) {
                duplicates(violations, &spec.hosts);
            }
            if spec.http.is_empty() && spec.tls.is_empty() && spec.tcp.is_empty() {
                let message = "the object routes nothing";
                violations.error("VS-NO-ROUTES", message, "add `http`, `tls` or `tcp`");
            }
            let part = if spec.hosts.is_empty() { http::Part::Delegate } else { http::Part::Root };
            violations.field("http", |violations| {
                violations.each(&spec.http, |violations, route| {
                    http::check(violations, route, part);
                });
            });
            l4::check(violations, spec);
            let namespace = self.meta.namespace.as_str();
            export_to::check(violations, namespace, &spec.export_to, export_to::Of::Other);
            unreachable::check(violations, spec);
        })
    }
}

impl VirtualServiceSpec {
    /// Whether there are gateways, and the sidecars are none of them.
    fn is_for_gateways_only(&self) -> bool {
        !self.gateways.is_empty() && self.gateways.iter().all(|gateway| **gateway != *MESH)
    }
}

/// Without hosts another VirtualService delegates here, and only requests are delegated.
fn delegate(violations: &mut Violations, spec: &VirtualServiceSpec) {
    let given = [
        ("gateways", !spec.gateways.is_empty()),
        ("tls", !spec.tls.is_empty()),
        ("tcp", !spec.tcp.is_empty()),
    ];
    for (name, is_given) in given {
        if is_given && spec.hosts.is_empty() {
            let message = format!("without hosts the object is a delegate, which has no `{name}`");
            violations.error_at(name, "VS-DELEGATE-FIELDS", &message, "add hosts, or remove it");
        }
    }
}

/// Claims of tokens are known at gateways only.
fn claims(violations: &mut Violations, routes: &[HttpRoute]) {
    violations.field("http", |violations| {
        violations.each(routes, |violations, route| {
            violations.field("match", |violations| {
                violations.each(&route.matches, |violations, condition| {
                    let conditions = [
                        ("headers", &condition.headers),
                        ("withoutHeaders", &condition.without_headers),
                    ];
                    for (name, headers) in conditions {
                        violations.field(name, |violations| {
                            violations.entries(headers, |violations, header, _| {
                                claim(violations, header)
                            });
                        });
                    }
                });
            });
        });
    });
}

fn claim(violations: &mut Violations, name: &str) {
    if header::is_claim(name) {
        let message = "claims of tokens are known at gateways, not in the mesh";
        violations.error("VS-JWT-CLAIM-MESH", message, "name gateways, without `mesh`");
    }
}

/// Checks the hosts; returns whether all of them are legal.
fn hosts(violations: &mut Violations, spec: &VirtualServiceSpec) -> bool {
    let is_gateway = spec.is_for_gateways_only();
    let has_sni = spec.tls.iter().flat_map(|route| &route.matches).any(|m| !m.sni_hosts.is_empty());
    let test = if is_gateway && has_sni { host::sni_domain } else { host::wildcard_domain };
    let mut are_legal = true;
    violations.field("hosts", |violations| {
        violations.each(&spec.hosts, |violations, host| {
            let verdict = test(host);
            if verdict.is_err() {
                if !address::is_ip(host) {
                    violations.take(verdict);
                    are_legal = false;
                }
            } else if !is_gateway && **host == *"*" {
                let message = "in the mesh `*` is no host";
                violations.error("VS-MESH-WILDCARD", message, "name the hosts, or gateways");
                are_legal = false;
            }
        });
    });
    are_legal
}

/// Reports every host that another one of the list covers.
///
/// Wildcards cover by what they end with. So the names are turned around and sorted, and what a
/// wildcard covers comes right after it.
fn duplicates(violations: &mut Violations, hosts: &[Box<str>]) {
    let mut turned: Vec<(Vec<u8>, bool, usize)> = Vec::with_capacity(hosts.len());
    for (index, host) in hosts.iter().enumerate() {
        let suffix = host.strip_prefix('*');
        let text = suffix.unwrap_or(host);
        turned.push((text.bytes().rev().collect(), suffix.is_none(), index));
    }
    turned.sort();
    let mut doubled: BTreeMap<usize, usize> = BTreeMap::new();
    let mut cover: Option<(&[u8], usize)> = None;
    let mut before: Option<(&[u8], usize)> = None;
    for (text, is_exact, index) in &turned {
        let covering = cover.filter(|(suffix, _)| text.starts_with(suffix));
        let same = before.filter(|(other, _)| other == text);
        if let Some((_, other)) = covering.or(same) {
            doubled.insert(*index.max(&other), *index.min(&other));
        }
        if !is_exact && covering.is_none() {
            cover = Some((text, *index));
        }
        before = Some((text, *index));
    }
    for (index, other) in doubled {
        let (host, other) = (hosts.get(index), hosts.get(other));
        let [host, other] =
            [host, other].map(|host| host.map(|host| clip(host)).unwrap_or_default());
        let message = format!("hosts `{other}` and `{host}` are one for some requests");
        violations.error_at(
            &format!("hosts[{index}]"),
            "VS-DUP-HOST",
            &message,
            "keep one of them",
        );
    }
}

/// The hosts of an object, by which it is known fast whether they cover a name.
#[derive(Debug)]
struct Hosts<'h> {
    exact: BTreeSet<&'h str>,
    suffixes: BTreeSet<&'h str>,
}

impl<'h> Hosts<'h> {
    fn new(hosts: &'h [Box<str>]) -> Self {
        let exact = hosts.iter().map(|host| &**host).filter(|host| !host.starts_with('*'));
        let suffixes = hosts.iter().filter_map(|host| host.strip_prefix('*'));
        Self { exact: exact.collect(), suffixes: suffixes.collect() }
    }

    /// Whether a host covers everything that a name, possibly a wildcard, does.
    fn cover(&self, name: &str) -> bool {
        let (text, is_exact) = match name.strip_prefix('*') {
            Some(suffix) => (suffix, false),
            None => (name, true),
        };
        let mut suffixes = text.char_indices().map(|(at, _)| text.get(at..).unwrap_or_default());
        (is_exact && self.exact.contains(text))
            || self.suffixes.contains("")
            || suffixes.any(|suffix| self.suffixes.contains(suffix))
    }
}

#[cfg(test)]
mod tests;
