//! What fails must be there: selectors that match nothing are refused, and the nearest that would match is
//! named.
use std::collections::BTreeSet;

use mesh_lb::whatif::{Failure as Fails, Scenario};
use mesh_model::endpoint::Endpoint;
use mesh_model::name::{Locality, closest_name, nearest_name};
use mesh_model::registry::Mesh;

use super::plan::endpoint::host_port;
use crate::Failure;

/// So many values are listed; of more the nearest is named.
const FEW: usize = 6;

/// Refuses a scenario in which something fails that the mesh does not have.
pub(crate) fn must_exist(scenario: &Scenario, mesh: &Mesh) -> Result<(), Failure> {
    match scenario.failures.iter().find(|failure| !failure.exists_in(mesh)) {
        None => Ok(()),
        Some(failure) => Err(Failure::Unanswered(format!(
            "`{failure}` selects nothing in this mesh{}",
            instead(failure, mesh)
        ))),
    }
}

/// What exists instead.
fn instead(failure: &Fails, mesh: &Mesh) -> String {
    let (key, written, values) = match failure {
        Fails::Cluster(name) => {
            ("cluster", name.to_string(), mesh.clusters().map(ToString::to_string).collect())
        }
        Fails::Region(name) => {
            let region = |place: Locality| place.region().to_owned();
            ("region", name.to_string(), localities(mesh, region))
        }
        Fails::Zone(region, zone) => {
            let zone_of = |place: Locality| format!("{}/{}", place.region(), place.zone());
            ("zone", format!("{region}/{zone}"), localities(mesh, zone_of))
        }
        Fails::Network(name) => ("network", name.to_string(), networks(mesh)),
        Fails::Gateway(address) => ("gateway", address.to_string(), gateways(mesh, address)),
        Fails::Endpoint(address) => ("endpoint", address.to_string(), addresses(mesh, address)),
        Fails::Service(host, _) => ("service", host.to_string(), hosts(mesh)),
    };
    let names = || values.iter().map(String::as_str);
    if let Some(nearest) = nearest_name(&written, names()) {
        return format!("; did you mean `{key}={nearest}`?");
    }
    if values.is_empty() {
        return format!("; the mesh has no {key}");
    }
    if values.len() <= FEW {
        let each: Vec<String> = names().map(|name| format!("`{key}={name}`")).collect();
        return format!("; there are {}", each.join(", "));
    }
    let nearest = closest_name(&written, names());
    nearest.map(|name| format!("; the nearest is `{key}={name}`")).unwrap_or_default()
}

fn endpoints(mesh: &Mesh) -> impl Iterator<Item = &Endpoint> {
    mesh.control_planes().flat_map(|plane| {
        let shards = plane.services.iter().filter_map(|service| plane.shards(service));
        shards.flat_map(|shards| shards.endpoints())
    })
}

fn localities(mesh: &Mesh, of: impl Fn(Locality) -> String) -> BTreeSet<String> {
    let places = endpoints(mesh).map(|endpoint| Locality::parse(&endpoint.workload.place.locality));
    places.filter(|place| !place.is_empty()).map(of).collect()
}

fn networks(mesh: &Mesh) -> BTreeSet<String> {
    let of_gateways = mesh.control_planes().flat_map(|plane| plane.named_gateways.iter());
    let of_gateways = of_gateways.map(|gateway| gateway.network.to_string());
    let of_endpoints = endpoints(mesh).map(|endpoint| endpoint.workload.place.network.to_string());
    of_gateways.chain(of_endpoints).filter(|network| !network.is_empty()).collect()
}

/// The gateways as `written` names them: with a port if it has one.
fn gateways(mesh: &Mesh, written: &str) -> BTreeSet<String> {
    let gateways = mesh.control_planes().flat_map(|plane| plane.named_gateways.iter());
    let text = gateways.map(|gateway| {
        let port = if gateway.port == 0 { gateway.hbone_port } else { gateway.port };
        in_form(written, &gateway.address.to_string(), port)
    });
    text.collect()
}

fn addresses(mesh: &Mesh, written: &str) -> BTreeSet<String> {
    let text = |endpoint: &Endpoint| in_form(written, &endpoint.address.to_string(), endpoint.port);
    endpoints(mesh).map(text).collect()
}

fn in_form(written: &str, address: &str, port: u16) -> String {
    let has_port = written.starts_with('[') || written.matches(':').count() == 1;
    host_port(address, if has_port { port } else { 0 })
}

/// The services by the names that people type.
fn hosts(mesh: &Mesh) -> BTreeSet<String> {
    let of_plane = mesh.control_planes().flat_map(|plane| {
        let domain = format!(".svc.{}", plane.domain);
        plane.services.iter().map(move |service| {
            let host = service.hostname.as_str();
            host.strip_suffix(domain.as_str()).unwrap_or(host).to_owned()
        })
    });
    of_plane.collect()
}
