//! What a finding is about: an object and where it stands.
use std::sync::Arc;

use crate::endpoint::{Address, Endpoint, Provider};
use crate::manifest::{Diagnostic, Place, Severity};
use crate::name::{ClusterId, Namespace};
use crate::registry::{Mesh, Origin, Refused, Service};
use crate::resource::{Meta, ObjectKey, ServiceEntry, WorkloadEntrySpec};

/// What a finding is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    file: Arc<str>,
    place: Place,
    object: String,
}

impl Subject {
    /// An object that counts for a control plane: of the config folder, else of the plane's own cluster,
    /// else of any.
    pub fn of(mesh: &Mesh, plane: &ClusterId, kind: &'static str, meta: &Meta) -> Self {
        Self::at(mesh, Some(plane), kind, (&meta.namespace, &meta.name))
    }

    /// An object of a cluster.
    pub fn in_cluster(mesh: &Mesh, cluster: &ClusterId, kind: &'static str, meta: &Meta) -> Self {
        let key = ObjectKey { kind, namespace: meta.namespace.clone(), name: meta.name.clone() };
        Self::of_key(mesh, cluster, key)
    }

    /// An object of a cluster, by its key.
    pub(super) fn of_key(mesh: &Mesh, cluster: &ClusterId, key: ObjectKey) -> Self {
        Self::find(mesh, [Origin::Cluster(cluster.clone())], key)
    }

    /// An object by its name, looked for as [`of`](Self::of) does.
    pub fn at(
        mesh: &Mesh,
        plane: Option<&ClusterId>,
        kind: &'static str,
        (namespace, name): (&Namespace, &str),
    ) -> Self {
        let key = ObjectKey { kind, namespace: namespace.clone(), name: name.into() };
        let own = plane.map(|id| Origin::Cluster(id.clone()));
        let others = mesh.clusters().map(|id| Origin::Cluster(id.clone()));
        Self::find(mesh, [Origin::Config].into_iter().chain(own).chain(others), key)
    }

    /// The object of a service: of ServiceEntries that share a host the one that the service is of.
    pub fn of_service(mesh: &Mesh, plane: &ClusterId, service: &Service) -> Self {
        let (kind, name) = match service.provider {
            Provider::Kubernetes => ("Service", &*service.name),
            Provider::External => {
                let entry = entry_of(mesh, plane, service);
                ("ServiceEntry", entry.map_or(&*service.name, |entry| &*entry.meta.name))
            }
        };
        Self::at(mesh, Some(plane), kind, (&service.namespace, name))
    }

    /// What writes an endpoint of a service, if that is no pod: a WorkloadEntry, or the service's own
    /// ServiceEntry; with the path of the part of the object that is the endpoint.
    pub fn of_machine(
        mesh: &Mesh,
        plane: &ClusterId,
        (service, endpoint): (&Service, &Endpoint),
    ) -> Option<(Self, String)> {
        let workload = &endpoint.workload;
        let is_it = |spec: &WorkloadEntrySpec| Address::parse(&spec.address) == endpoint.address;
        if service.provider == Provider::External {
            let entry = entry_of(mesh, plane, service)?;
            let index = endpoint.instance.strip_prefix(&*entry.meta.name);
            let index = index.and_then(|rest| rest.strip_prefix('-')?.parse::<usize>().ok());
            let listed = index.and_then(|index| Some((index, entry.spec.endpoints.get(index)?)));
            if let Some((index, _)) = listed.filter(|(_, spec)| is_it(spec)) {
                let subject = Self::of(mesh, plane, "ServiceEntry", &entry.meta);
                return Some((subject, format!("spec.endpoints[{index}]")));
            }
        }
        let of = |id: &ClusterId| mesh.parts.clusters.get(id).map(|part| &part.store);
        let stores = [Some(&mesh.parts.config), of(plane), of(&workload.place.cluster)];
        let key = (workload.namespace.as_str(), &*endpoint.instance);
        let entry = stores
            .into_iter()
            .flatten()
            .find_map(|store| store.workload_entries.get(key).filter(|entry| is_it(&entry.spec)))?;
        let (namespace, name) = (entry.meta.namespace.clone(), entry.meta.name.clone());
        let object = ObjectKey { kind: "WorkloadEntry", namespace, name };
        let origins = [plane, &workload.place.cluster].map(|id| Origin::Cluster(id.clone()));
        let subject = Self::find(mesh, [Origin::Config].into_iter().chain(origins), object);
        Some((subject, "spec".to_owned()))
    }

    /// What another finding says of it: its name, and where it is written.
    pub(super) fn mention(&self) -> String {
        match self.place.line {
            0 => format!("`{}`", self.object),
            line => format!("`{}` at {}:{line}", self.object, self.file),
        }
    }

    /// Kind, namespace and name, as findings have it.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// An object that was refused.
    pub(super) fn of_refused(refused: &Refused) -> Self {
        let object = refused.object.to_string();
        Self { file: refused.file.clone(), place: refused.place, object }
    }

    /// What `cluster.yaml` says of a cluster.
    pub fn cluster(mesh: &Mesh, cluster: &ClusterId) -> Self {
        let name = cluster.as_str().into();
        let key = ObjectKey { kind: "ClusterDescription", namespace: Namespace::default(), name };
        let mut subject = Self::find(mesh, [Origin::Description(cluster.clone())], key);
        subject.object = format!("cluster {cluster}");
        subject
    }

    /// The mesh's settings (`MeshConfig`).
    pub fn config(mesh: &Mesh) -> Self {
        Self::settings(mesh, Origin::MeshConfig, "MeshConfig")
    }

    /// The mesh's networks (`MeshNetworks`).
    pub fn networks(mesh: &Mesh) -> Self {
        Self::settings(mesh, Origin::MeshNetworks, "MeshNetworks")
    }

    /// The list of proxies.
    pub fn proxies(mesh: &Mesh, proxy: &str) -> Self {
        let mut subject = Self::settings(mesh, Origin::Proxies, "ProxyEntry");
        subject.object = format!("proxy {proxy}");
        subject
    }

    fn settings(mesh: &Mesh, origin: Origin, kind: &'static str) -> Self {
        let key = ObjectKey { kind, namespace: Namespace::default(), name: "".into() };
        let mut subject = Self::find(mesh, [origin], key);
        subject.object = kind.to_owned();
        subject
    }

    fn find(mesh: &Mesh, origins: impl IntoIterator<Item = Origin>, key: ObjectKey) -> Self {
        let places = &mesh.parts.places;
        let object = key.to_string();
        let mut pair = (Origin::Config, key);
        for origin in origins {
            pair.0 = origin;
            if let Some((file, place)) = places.get(&pair) {
                return Self { file: file.clone(), place: *place, object };
            }
        }
        Self { file: Arc::from(""), place: Place::default(), object }
    }

    /// A finding about it that loses traffic or makes a policy void.
    pub fn error(&self, code: &'static str, field: &str, texts: (String, &str)) -> Diagnostic {
        self.finding(code, Severity::Error, field, texts)
    }

    /// A finding about it that makes things worse.
    pub fn warning(&self, code: &'static str, field: &str, texts: (String, &str)) -> Diagnostic {
        self.finding(code, Severity::Warning, field, texts)
    }

    /// A finding about it that is good to know.
    pub fn info(&self, code: &'static str, field: &str, texts: (String, &str)) -> Diagnostic {
        self.finding(code, Severity::Info, field, texts)
    }

    fn finding(
        &self,
        code: &'static str,
        severity: Severity,
        field: &str,
        (message, help): (String, &str),
    ) -> Diagnostic {
        Diagnostic {
            code,
            severity,
            file: self.file.clone(),
            place: self.place,
            object: self.object.clone(),
            field: field.to_owned(),
            message,
            help: help.to_owned(),
        }
    }
}

/// The ServiceEntry that a service is of.
fn entry_of<'m>(mesh: &'m Mesh, plane: &ClusterId, service: &Service) -> Option<&'m ServiceEntry> {
    let plane = mesh.control_planes().find(|known| known.id == *plane)?;
    let is_beside = |other: &&Arc<Service>| {
        other.provider == Provider::External
            && other.hostname == service.hostname
            && other.namespace == service.namespace
    };
    let others = plane.services.iter().filter(is_beside);
    // Equal services may be one allocation, and that of another mesh not the one that is asked for.
    let rank = others.clone().position(|other| std::ptr::eq(&raw const **other, service));
    let rank = rank.or_else(|| others.clone().position(|other| **other == *service));
    let entries = mesh.manifests(plane).entries_of(&service.hostname, &service.namespace);
    entries.get(rank.unwrap_or_default()).copied()
}

/// Sorts findings by file, line and code, drops those that are said twice (control planes share what
/// the config folder holds) and cuts texts that are long beyond reading.
pub fn sort(found: &mut Vec<Diagnostic>) {
    found.iter_mut().for_each(Diagnostic::shorten);
    found.sort_by(|a, b| {
        (&a.file, a.place, a.code, &a.object, &a.field, &a.message)
            .cmp(&(&b.file, b.place, b.code, &b.object, &b.field, &b.message))
    });
    found.dedup();
}
