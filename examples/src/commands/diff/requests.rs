//! Requests that may be answered differently: those that meet and just miss each rule of both sides,
//! and the plainest ones at every port, with and without an identity.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use mesh_authz::analysis::{Sample, samples};
use mesh_authz::identity::Value as Claim;
use mesh_authz::{Authorizer, Traffic};
use mesh_model::registry::Mesh;
use mesh_model::view::Proxy;
use serde_json::{Map, Value, json};

use super::Sides;
use crate::commands::authz::entrance::Door;

/// Returns requests for a workload as request files, without repetition.
///
/// Those for a service behind a waypoint name one of its addresses; the others are left to go to the
/// workload's own.
pub(super) fn requests(
    sides: Sides<'_>,
    to: &Proxy,
    authorizers: [&Authorizer; 2],
    doors: &[Option<Door<'_>>; 2],
) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let mut found = of_workload(sides, to, authorizers);
    let services: BTreeSet<&str> =
        authorizers.iter().flat_map(|of| of.services()).map(|service| &*service.host).collect();
    for host in services {
        let of = authorizers.map(|of| of.services().iter().find(|known| *known.host == *host));
        let addresses = of.iter().flatten().flat_map(|service| service.addresses.first());
        let addresses: BTreeSet<&IpAddr> = addresses.collect();
        let known = of.map(|service| service.map(|service| &service.authorizer));
        let [old, new] = known;
        let Some((old, new)) = old.or(new).zip(new.or(old)) else { continue };
        for request in of_workload(sides, to, [old, new]) {
            found.extend(addresses.iter().map(|address| {
                let mut request = request.clone();
                if let Some(fields) = request.as_object_mut() {
                    fields.insert("destination_ip".to_owned(), address.to_string().into());
                }
                request
            }));
        }
    }
    let tokens = issuers(doors);
    found.extend(found.clone().iter().flat_map(|request| with_issuers(request, &tokens)));
    found.retain(|request| seen.insert(request.to_string()));
    found
}

/// Issuers whose tokens are tried.
const ISSUERS: usize = 8;

/// Who may issue tokens for a workload, on either side, and for whom.
fn issuers<'d>(doors: &'d [Option<Door<'_>>; 2]) -> BTreeSet<(&'d str, Option<&'d str>)> {
    let rules = doors.iter().flatten().flat_map(|door| &door.tokens);
    let known = rules.map(|rule| (&*rule.issuer, rule.audiences.first().map(AsRef::as_ref)));
    known.take(ISSUERS).collect()
}

/// A request with a token as each issuer would have made it.
fn with_issuers(request: &Value, issuers: &BTreeSet<(&str, Option<&str>)>) -> Vec<Value> {
    let has_token = request.get("jwt").is_some();
    let made = issuers.iter().filter(|_| has_token).filter_map(|(issuer, audience)| {
        let mut request = request.clone();
        let claims = request.pointer_mut("/jwt/claims")?.as_object_mut()?;
        claims.insert("iss".to_owned(), (*issuer).into());
        if let Some(audience) = audience {
            claims.insert("aud".to_owned(), (*audience).into());
        }
        Some(request)
    });
    made.collect()
}

fn of_workload(sides: Sides<'_>, to: &Proxy, authorizers: [&Authorizer; 2]) -> Vec<Value> {
    let mut found = Vec::new();
    for port in ports(sides, to) {
        let identity =
            format!("spiffe://{}/ns/{}/sa/default", sides.new.config().trust_domain, to.namespace);
        for identity in [None, Some(identity.into())] {
            let plain = Sample::plain(Traffic::Http);
            found.push(Sample { identity, destination_port: port, ..plain });
        }
    }
    for traffic in [Traffic::Http, Traffic::Tcp] {
        found.extend(authorizers.into_iter().flat_map(|authorizer| samples(authorizer, traffic)));
    }
    let mut seen = BTreeSet::new();
    let files = found.iter().map(file);
    files.filter(|file| seen.insert(file.to_string())).collect()
}

/// The ports at which services reach the workload, on either side; 80 if none does.
fn ports(sides: Sides<'_>, to: &Proxy) -> BTreeSet<u16> {
    let mut ports: BTreeSet<u16> =
        sides.each().into_iter().flat_map(|mesh| ports_of(mesh, to)).collect();
    if ports.is_empty() {
        ports.insert(80);
    }
    ports
}

fn ports_of(mesh: &Mesh, to: &Proxy) -> Vec<u16> {
    let Some(plane) = mesh.control_plane_of(to.cluster.as_str()) else { return Vec::new() };
    let shards = plane.services.iter().filter_map(|service| plane.shards(service));
    let all = shards.flat_map(|shards| shards.endpoints());
    let own = all.filter(|endpoint| {
        let workload = &endpoint.workload;
        workload.cluster == to.cluster
            && workload.namespace == to.namespace
            && *workload.instance == *to.name
    });
    own.map(|endpoint| endpoint.port).collect()
}

/// A request as the request file of `mesh authz` has it; what it does not say is left out.
fn file(sample: &Sample) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("source_ip", sample.source_ip.to_string().into());
    put("remote_ip", sample.remote_ip.to_string().into());
    put("destination_port", sample.destination_port.into());
    let peer = sample.identity.as_ref().map(|identity| {
        let names: Vec<&str> =
            [identity].into_iter().chain(&sample.other_names).map(AsRef::as_ref).collect();
        json!({"uri_sans": names})
    });
    put("peer", peer.unwrap_or_default());
    if let Some(name) = &sample.server_name {
        put("sni", (**name).into());
    }
    if !sample.metadata.namespaces.is_empty() {
        put("filter_metadata", claims(&sample.metadata.namespaces));
    }
    let Some(http) = &sample.http else {
        put("protocol", "tcp".into());
        return fields.into();
    };
    put("method", (*http.method).into());
    put("path", (*http.path).into());
    if let Some(host) = &http.authority {
        put("host", (**host).into());
    }
    if !http.headers.is_empty() {
        put("headers", json!(http.headers));
    }
    if let Some(known) = &http.claims {
        put("jwt", json!({"claims": claims(known)}));
    }
    fields.into()
}

fn claims(map: &BTreeMap<Box<str>, Claim>) -> Value {
    map.iter().map(|(key, value)| (key.to_string(), claim(value))).collect::<Map<_, _>>().into()
}

fn claim(value: &Claim) -> Value {
    match value {
        Claim::Null => Value::Null,
        Claim::Bool(value) => (*value).into(),
        Claim::Number(number) => json!(number),
        Claim::Text(text) => (**text).into(),
        Claim::List(items) => items.iter().map(claim).collect::<Vec<_>>().into(),
        Claim::Map(map) => claims(map),
    }
}
