//! Making a snapshot: from nothing, beside one that is alike, or from an earlier one.
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::name::Hostname;
use mesh_model::registry::Service;
use mesh_model::view::ProxyView;

use super::encoded::{Writer, names_of, referred};
use super::{Part, Reach};
use crate::delta::Delta;
use crate::name::{ClusterName, Form, SubsetKey};
use crate::snapshot::{Collection, Resource, Snapshot, TypeUrl};

/// A snapshot made from nothing.
pub(super) fn cold(writer: &mut Writer, view: &ProxyView<'_>) -> Snapshot {
    let clusters = writer.clusters_of(view, view.services());
    let endpoints = writer.endpoints_of(view, &referred(&clusters));
    let listeners = writer.listeners_of(view);
    let routes = writer.routes_of(view, texts(&referred(&listeners)));
    let names = names_of(view);
    Snapshot::of_types(&[clusters, endpoints, listeners, routes, vec![names]].concat())
}

/// One type of a snapshot made from nothing; empty for a type that proxies are not sent.
pub(super) fn of_type(
    writer: &mut Writer,
    view: &ProxyView<'_>,
    type_url: &TypeUrl,
) -> Vec<Arc<Resource>> {
    if *type_url == TypeUrl::CLUSTER {
        writer.clusters_of(view, view.services())
    } else if *type_url == TypeUrl::ENDPOINT {
        let clusters = writer.clusters_of(view, view.services());
        writer.endpoints_of(view, &referred(&clusters))
    } else if *type_url == TypeUrl::LISTENER {
        writer.listeners_of(view)
    } else if *type_url == TypeUrl::ROUTE {
        let listeners = writer.listeners_of(view);
        writer.routes_of(view, texts(&referred(&listeners)))
    } else if *type_url == TypeUrl::NAME_TABLE {
        vec![names_of(view)]
    } else {
        Vec::new()
    }
}

/// A snapshot that shares with another one what a proxy's own ports and labels do not show.
pub(super) fn beside(writer: &mut Writer, view: &ProxyView<'_>, alike: &Snapshot) -> Snapshot {
    let mut delta = Delta::default();
    let reach =
        Reach { clusters: Part::Hosts(BTreeSet::new()), listeners: true, ..Reach::default() };
    apply(writer, view, alike, &reach, &mut delta);
    alike.apply(&delta)
}

/// What differs from an earlier snapshot, looked for only where a change reaches.
pub(super) fn delta(
    writer: &mut Writer,
    view: &ProxyView<'_>,
    previous: &Snapshot,
    reach: &Reach,
) -> Delta {
    let mut delta = Delta::default();
    apply(writer, view, previous, reach, &mut delta);
    delta
}

fn apply(
    writer: &mut Writer,
    view: &ProxyView<'_>,
    previous: &Snapshot,
    reach: &Reach,
    delta: &mut Delta,
) {
    let before = |type_url| previous.collection(&type_url).map(AsRef::as_ref);
    let clusters = match &reach.clusters {
        Part::None => None,
        Part::Hosts(hosts) => {
            let built = writer.clusters_of(view, &services(view, hosts));
            let is_meant = |name: &str| is_of(hosts, name) || is_own(name);
            let gone = gone(before(TypeUrl::CLUSTER), &built, is_meant);
            delta.patch(TypeUrl::CLUSTER, before(TypeUrl::CLUSTER), built.clone(), gone);
            Some(built)
        }
        Part::All => {
            let built = writer.clusters_of(view, view.services());
            delta.replace(TypeUrl::CLUSTER, before(TypeUrl::CLUSTER), built.clone());
            Some(built)
        }
    };
    let known = before(TypeUrl::ENDPOINT);
    match &reach.endpoints {
        Part::None => {}
        Part::Hosts(hosts) => {
            let (names, left) = match (&clusters, &reach.clusters) {
                (Some(clusters), Part::Hosts(built)) if hosts.is_subset(built) => {
                    let names = referred(clusters);
                    let is_left =
                        |name: &Arc<str>| is_of(hosts, name) && names.binary_search(name).is_err();
                    let left = known
                        .into_iter()
                        .flat_map(Collection::iter)
                        .filter(|resource| is_left(resource.name()))
                        .map(|resource| resource.name().clone())
                        .collect();
                    (names, left)
                }
                // Their clusters are what they were, or made anew with all others.
                (_, _) => {
                    let mut names: Vec<Arc<str>> = services(view, hosts)
                        .iter()
                        .flat_map(|service| cluster_names(view, service))
                        .filter_map(|name| Some(known?.find(&name)?.name().clone()))
                        .collect();
                    names.sort();
                    names.dedup();
                    (names, Vec::new())
                }
            };
            let built = writer.endpoints_of(view, &names);
            delta.patch(TypeUrl::ENDPOINT, known, built, left);
        }
        Part::All => {
            let found = clusters.unwrap_or_else(|| {
                before(TypeUrl::CLUSTER).into_iter().flat_map(Collection::iter).cloned().collect()
            });
            let built = writer.endpoints_of(view, &referred(&found));
            delta.replace(TypeUrl::ENDPOINT, known, built);
        }
    }
    apply_listeners(writer, view, previous, reach, delta);
    if reach.names {
        let built = vec![names_of(view)];
        delta.replace(TypeUrl::NAME_TABLE, before(TypeUrl::NAME_TABLE), built);
    }
}

/// Listeners, and the routes that they name; those that both snapshots have are made again only if
/// they are reached.
fn apply_listeners(
    writer: &mut Writer,
    view: &ProxyView<'_>,
    previous: &Snapshot,
    reach: &Reach,
    delta: &mut Delta,
) {
    let before = |type_url| previous.collection(&type_url).map(AsRef::as_ref);
    if !reach.listeners && !reach.routes {
        return;
    }
    let listeners: Vec<Arc<Resource>> = if reach.listeners {
        let built = writer.listeners_of(view);
        delta.replace(TypeUrl::LISTENER, before(TypeUrl::LISTENER), built.clone());
        built
    } else {
        before(TypeUrl::LISTENER).into_iter().flat_map(Collection::iter).cloned().collect()
    };
    let known = before(TypeUrl::ROUTE);
    let names = referred(&listeners);
    let built = if reach.routes {
        writer.routes_of(view, texts(&names))
    } else {
        let is_new = |name: &&str| known.is_none_or(|known| known.find(name).is_none());
        writer.routes_of(view, texts(&names).filter(is_new))
    };
    let routes = known.into_iter().flat_map(Collection::iter);
    let gone = routes.filter(|route| names.binary_search(route.name()).is_err());
    let gone = gone.map(|route| route.name().clone()).collect();
    delta.patch(TypeUrl::ROUTE, known, built, gone);
}

fn texts(names: &[Arc<str>]) -> impl Iterator<Item = &str> {
    names.iter().map(|name| &**name)
}

/// The services of these hosts that the proxy sees.
fn services(view: &ProxyView<'_>, hosts: &BTreeSet<Hostname>) -> Vec<Arc<Service>> {
    hosts.iter().filter_map(|host| view.scope().service(host.as_str()).cloned()).collect()
}

/// The names of the clusters of a service, of all forms.
fn cluster_names(view: &ProxyView<'_>, service: &Service) -> Vec<String> {
    let subsets = view.rule(service).map(|rule| rule.subsets.as_slice()).unwrap_or_default();
    let host = service.hostname.as_str();
    let forms: &[Form] =
        if view.passes_mutual_tls() { &[Form::Subset, Form::DnsSrv] } else { &[Form::Subset] };
    let mut names = Vec::new();
    for port in &service.ports {
        let subsets = subsets.iter().map(|subset| &*subset.name);
        for subset in std::iter::once("").chain(subsets) {
            let name = ClusterName::outbound(port.number, subset, host);
            names.extend(forms.iter().map(|&form| ClusterName { form, ..name }.to_string()));
        }
    }
    names
}

fn is_of(hosts: &BTreeSet<Hostname>, name: &str) -> bool {
    !hosts.is_empty() && hosts.contains(SubsetKey::parse(name).host)
}

/// Whether a cluster is one of the proxy's own ports.
fn is_own(name: &str) -> bool {
    name.starts_with("inbound")
}

/// The names of what was there, is meant and was not made again.
fn gone(
    before: Option<&Collection>,
    built: &[Arc<Resource>],
    is_meant: impl Fn(&str) -> bool,
) -> Vec<Arc<str>> {
    let built: BTreeSet<&str> = built.iter().map(|resource| &**resource.name()).collect();
    let names = before.into_iter().flat_map(Collection::iter).map(|resource| resource.name());
    names.filter(|name| is_meant(name) && !built.contains(&***name)).cloned().collect()
}
