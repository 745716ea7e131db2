//! Which services a namespace can see, in the order in which they count.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ExportTo, Service};
use crate::endpoint::Provider;
use crate::name::{Hostname, Namespace};

/// The services of a control plane.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/push_context.go` `initServiceRegistry`, `servicesExportedToNamespace`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Services {
    /// Oldest first: by creation time, then name, then namespace.
    public: Vec<Arc<Service>>,
    /// Exported to single namespaces only, in the same order.
    exported: BTreeMap<Namespace, Vec<Arc<Service>>>,
    /// One service a host and namespace.
    by_host: BTreeMap<Hostname, BTreeMap<Namespace, Arc<Service>>>,
    all: Vec<Arc<Service>>,
    /// Those that share a host and namespace with others, oldest first.
    shared: BTreeMap<Hostname, BTreeMap<Namespace, Vec<Arc<Service>>>>,
}

/// What [`Services::lookup`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one, none or several")]
pub enum Lookup<'s> {
    /// One service.
    Found(&'s Arc<Service>),
    /// None.
    None,
    /// A host of several namespaces, none of which is meant.
    Several,
}

impl<'s> Lookup<'s> {
    /// Returns the service, if there is exactly one.
    pub const fn found(self) -> Option<&'s Arc<Service>> {
        match self {
            Self::Found(service) => Some(service),
            Self::None | Self::Several => None,
        }
    }
}

impl Services {
    /// Indexes services given in any order.
    ///
    /// Of several services of one host and namespace the first counts, but a Kubernetes service
    /// replaces another. `default_export_to` is `MeshConfig.defaultServiceExportTo`.
    pub fn new(services: Vec<Arc<Service>>, default_export_to: &ExportTo) -> Self {
        let mut all = services;
        // Stable: services of one age stay in the order of their registries.
        all.sort_by(|a, b| {
            (a.creation, &a.name, &a.namespace).cmp(&(b.creation, &b.name, &b.namespace))
        });
        let mut index = Self::default();
        for service in &all {
            let namespaces = index.by_host.entry(service.hostname.clone()).or_default();
            if let Some(first) = namespaces.get(&service.namespace) {
                let shared = index.shared.entry(service.hostname.clone()).or_default();
                let of_key = shared.entry(service.namespace.clone());
                of_key.or_insert_with(|| vec![first.clone()]).push(service.clone());
            }
            let known =
                namespaces.entry(service.namespace.clone()).or_insert_with(|| service.clone());
            if known.provider != Provider::Kubernetes && service.provider == Provider::Kubernetes {
                *known = service.clone();
            }
            index.export(service, service.export_to.as_ref().unwrap_or(default_export_to));
        }
        Self { all, ..index }
    }

    /// `*` beats everything; else `~` hides it, whatever else is listed.
    fn export(&mut self, service: &Arc<Service>, export_to: &ExportTo) {
        if export_to.public {
            self.public.push(service.clone());
            return;
        }
        if export_to.none {
            return;
        }
        let mut namespaces: Vec<&Namespace> = export_to.namespaces.iter().collect();
        if export_to.private {
            namespaces.push(&service.namespace);
        }
        namespaces.sort();
        namespaces.dedup();
        for namespace in namespaces {
            self.exported.entry(namespace.clone()).or_default().push(service.clone());
        }
    }

    /// Returns the services that a namespace sees: those exported to it by name or by `.`, then the
    /// public ones, each oldest first.
    pub fn visible_to(&self, namespace: &Namespace) -> impl Iterator<Item = &Arc<Service>> + Clone {
        self.exported.get(namespace).into_iter().flatten().chain(&self.public)
    }

    /// Returns the services of a host, by namespace, visible or not.
    pub fn of_host(&self, host: &str) -> impl Iterator<Item = &Arc<Service>> + Clone {
        self.by_host.get(host).into_iter().flat_map(BTreeMap::values)
    }

    /// Returns the service of a host in a namespace, visible or not.
    pub fn get(&self, host: &str, namespace: &str) -> Option<&Arc<Service>> {
        self.by_host.get(host)?.get(namespace)
    }

    /// Returns the identities that a service's servers may show beside those of its endpoints: of several services
    /// of its host and namespace, whoever may see them, those of the youngest.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `initServiceRegistry`, `addServiceAccounts`.
    pub fn accounts<'s>(&'s self, service: &'s Service) -> &'s [Arc<str>] {
        let mut all = self.sharing(service);
        all.next().map_or(&service.service_accounts, |youngest| &youngest.service_accounts)
    }

    /// Returns the services of a service's host and namespace, itself too, whoever may see them: youngest first.
    pub(crate) fn sharing<'s>(
        &'s self,
        service: &'s Service,
    ) -> impl Iterator<Item = &'s Service> + Clone {
        let shared = self.shared.get(&service.hostname);
        let shared = shared.and_then(|shared| shared.get(&service.namespace));
        let alone = shared.is_none().then_some(service);
        shared.into_iter().flatten().rev().map(AsRef::as_ref).chain(alone)
    }

    /// Returns the service that a name of the mesh's settings means, visible or not: `NAMESPACE/HOST`, with exactly
    /// one `/`, or a host, which only one namespace may have.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/telemetry_logging.go` `LookupCluster`.
    pub fn lookup(&self, name: &str) -> Lookup<'_> {
        let of_namespace = name.split_once('/').filter(|(_, host)| !host.contains('/'));
        if let Some((namespace, host)) = of_namespace {
            return self.get(host, namespace).map_or(Lookup::None, Lookup::Found);
        }
        let mut found = self.of_host(name);
        match (found.next(), found.next()) {
            (None, _) => Lookup::None,
            (Some(service), None) => Lookup::Found(service),
            (Some(_), Some(_)) => Lookup::Several,
        }
    }

    /// Returns whether a service is visible to a namespace.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `IsServiceVisible`.
    pub fn is_visible(
        service: &Service,
        namespace: &Namespace,
        default_export_to: &ExportTo,
    ) -> bool {
        let export_to = service.export_to.as_ref().unwrap_or(default_export_to);
        export_to.reaches(&service.namespace, namespace)
    }

    /// Returns every service, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Service>> + Clone {
        self.all.iter()
    }

    /// Returns the hosts, sorted.
    pub fn hosts(&self) -> impl Iterator<Item = &Hostname> {
        self.by_host.keys()
    }
}
