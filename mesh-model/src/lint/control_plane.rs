//! Control planes that do not know what the others know, and clusters that hang on one.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Subject;
use super::drift::{Drift, Drifted, State};
use super::scene::{services, some};
use crate::manifest::Diagnostic;
use crate::manifest::encode::Encode;
use crate::name::ClusterId;
use crate::registry::{ControlPlane, Entry, Mesh, Store};
use crate::resource::{ClusterRole, DestinationRule, Meta, ObjectKey, Opaque, VirtualService};

pub(super) fn check(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    missing_secrets(mesh, found);
    found.extend(single(mesh));
    without_primary(mesh, found);
    let planes: Vec<&Arc<ControlPlane>> = mesh.control_planes().collect();
    if planes.len() < 2 {
        return;
    }
    for plane in &planes {
        let Some(part) = mesh.parts.clusters.get(&plane.id) else { continue };
        for other in planes.iter().filter(|other| other.id != plane.id) {
            let Some(theirs) = mesh.parts.clusters.get(&other.id) else { continue };
            let pair = Pair { mesh, plane, other, own: &part.store, theirs: &theirs.store };
            pair.check(found);
        }
    }
}

/// `TOPO-SECRET-MISSING`: a control plane that does not read a peer's cluster.
fn missing_secrets(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    let planes: Vec<&Arc<ControlPlane>> = mesh.control_planes().collect();
    for plane in &planes {
        let unread: Vec<&str> = planes
            .iter()
            .map(|other| &other.id)
            .filter(|id| mesh.parts.clusters.contains_key(*id) && !plane.clusters.contains(id))
            .map(ClusterId::as_str)
            .collect();
        if unread.is_empty() || planes.len() < 2 {
            continue;
        }
        let message = format!(
            "the control plane of `{}` does not read {}: its proxies know none of their endpoints",
            plane.id,
            some(&unread)
        );
        let help = "give it a remote secret of every cluster, and list it in `reads`";
        let subject = Subject::cluster(mesh, &plane.id);
        found.push(subject.error("TOPO-SECRET-MISSING", "reads", (message, help)));
    }
}

/// `TOPO-NO-PRIMARY`: clusters that are taken to be served by a remote, because nothing else is there.
fn without_primary(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    let is_remote = |id: &ClusterId| {
        mesh.description(id.as_str()).is_some_and(|says| says.role == Some(ClusterRole::Remote))
    };
    for plane in mesh.control_planes().filter(|plane| is_remote(&plane.id)) {
        let message = format!(
            "`{0}` is a remote, which has no control plane, and no cluster is a primary: what is said \
             here takes `{0}` for one",
            plane.id
        );
        let help = "give the cluster with the control plane the role `primary`, or name it in \
                    `controlPlane` of each remote";
        let subject = Subject::cluster(mesh, &plane.id);
        found.push(subject.error("TOPO-NO-PRIMARY", "role", (message, help)));
    }
}

/// `TOPO-SINGLE-CP`: one control plane for several regions.
fn single(mesh: &Mesh) -> Option<Diagnostic> {
    let mut planes = mesh.control_planes();
    let plane = planes.next().filter(|_| planes.next().is_none())?;
    let mut regions = BTreeSet::new();
    for id in mesh.clusters() {
        let described = mesh.description(id.as_str()).map(|says| says.region.to_string());
        regions.extend(described.filter(|region| !region.is_empty()));
    }
    if regions.len() < 2 {
        return None;
    }
    let regions: Vec<String> = regions.into_iter().collect();
    let message = format!(
        "one control plane, of `{}`, serves clusters in {}: if it is lost, all of them keep their last \
         configuration and get no new endpoints or certificates",
        plane.id,
        some(&regions)
    );
    let help = "run a control plane in each region if that must not happen";
    Some(Subject::cluster(mesh, &plane.id).info("TOPO-SINGLE-CP", "role", (message, help)))
}

struct Pair<'m> {
    mesh: &'m Mesh,
    plane: &'m ControlPlane,
    other: &'m ControlPlane,
    own: &'m Store,
    theirs: &'m Store,
}

impl<'m> Pair<'m> {
    fn check(&self, found: &mut Vec<Diagnostic>) {
        let mut drifted = Drifted::default();
        self.typed(&mut drifted, found);
        self.opaque(&mut drifted);
        for (kind, objects) in drifted.objects {
            found.extend(self.drift(kind, &objects));
        }
    }

    /// Objects of the kinds that are understood, which are missing or different there.
    fn typed(&self, drifted: &mut Drifted<'m>, found: &mut Vec<Diagnostic>) {
        macro_rules! compare {
            ($($kind:ident in $field:ident $(for the hosts of $named:path)?,)*) => {
                $(for object in self.own.$field.iter().filter(|object| is_shared(&object.meta)) {
                    let key = object.key();
                    let Some(other) = self.theirs.$field.get(key) else {
                        $(if let Some(wrong) = self.wrong_cluster(stringify!($kind), &$named(object)) {
                            found.push(wrong);
                            continue;
                        })?
                        drifted.missing(stringify!($kind), key);
                        continue;
                    };
                    if object.spec != other.spec {
                        let specs = [&object.spec, &other.spec].map(Encode::node);
                        drifted.different(stringify!($kind), key, specs.each_ref().map(Some));
                    }
                })*
            };
        }
        compare! {
            DestinationRule in destination_rules for the hosts of Named::Rule,
            VirtualService in virtual_services for the hosts of Named::Route,
            AuthorizationPolicy in authorization_policies,
            PeerAuthentication in peer_authentications,
            RequestAuthentication in request_authentications,
            Sidecar in sidecars,
            Gateway in gateways,
            ServiceEntry in service_entries,
            WorkloadEntry in workload_entries,
            WorkloadGroup in workload_groups,
            ProxyConfig in proxy_configs,
            Telemetry in telemetries,
        }
    }

    /// Objects of the kinds that are kept as they are, which are missing or different there.
    fn opaque(&self, drifted: &mut Drifted<'m>) {
        let spec = |object: &'m Opaque| object.node.get(&["spec"]);
        for (id, object) in self.own.opaque.iter().filter(|(_, object)| is_read(object)) {
            let key = (id.namespace.as_str(), &*id.name);
            match self.theirs.opaque.get(id) {
                Some(other) => drifted.different(id.kind, key, [spec(object), spec(other)]),
                None => drifted.missing(id.kind, key),
            }
        }
    }

    /// `TOPO-CONFIG-DRIFT`: primaries whose objects are not equal, told at the first of them; where it
    /// differs, at the first field that does.
    fn drift(
        &self,
        (kind, state): (&'static str, State),
        objects: &[Drift<'_>],
    ) -> Option<Diagnostic> {
        let Drift { key: (namespace, name), field, .. } = objects.first()?;
        let names = objects
            .iter()
            .map(|Drift { key: (namespace, name), .. }| format!("{namespace}/{name}"));
        let names: Vec<String> = names.collect();
        let how = match state {
            State::Missing => format!("is missing in `{}`", self.other.id),
            State::Different => {
                let fields = objects.iter().map(|object| object.fields).sum::<usize>();
                let noun = if fields == 1 { "field" } else { "fields" };
                format!("is different in `{}`, in {fields} {noun}", self.other.id)
            }
        };
        let message = format!(
            "{kind} {} of `{}` {how}: proxies of the two clusters follow different rules",
            some(&names),
            self.plane.id,
        );
        let help = "replicate the configuration to every primary";
        let key = ObjectKey { kind, namespace: (*namespace).into(), name: (*name).into() };
        let subject = Subject::of_key(self.mesh, &self.plane.id, key);
        Some(subject.warning("TOPO-CONFIG-DRIFT", field, (message, help)))
    }

    /// `HZ-DR-WRONG-CLUSTER`: a rule where the servers are, and clients elsewhere.
    fn wrong_cluster(&self, kind: &'static str, named: &Named<'_>) -> Option<Diagnostic> {
        let known = named
            .hosts()
            .into_iter()
            .flat_map(|host| services(self.other, host, &named.meta().namespace));
        let service = known.into_iter().find(|service| {
            let shards = self.other.shards(service);
            let mut endpoints = shards.iter().flat_map(|shards| shards.endpoints()).peekable();
            let served = |cluster: &ClusterId| {
                self.mesh.control_plane_of(cluster.as_str()).is_some_and(|p| p.id == self.plane.id)
            };
            endpoints.peek().is_some() && endpoints.all(|e| served(&e.workload.place.cluster))
        })?;
        let message = format!(
            "`{}` runs only in clusters of `{}`, and the rule exists only there: it does nothing for \
             clients that `{}` serves, whose own control plane does not have it",
            service.hostname, self.plane.id, self.other.id
        );
        let help = "apply the rule in the cluster of the clients too";
        let subject = Subject::in_cluster(self.mesh, &self.plane.id, kind, named.meta());
        Some(subject.error("HZ-DR-WRONG-CLUSTER", named.field(), (message, help)))
    }
}

/// Whether an object is written by people: machines that register themselves are objects of the one cluster
/// whose control plane they called.
fn is_shared(meta: &Meta) -> bool {
    meta.annotations.get("istio.io/autoRegistrationGroup").is_none()
}

/// Whether control planes read an object that is kept as it is, such as an EnvoyFilter.
fn is_read(object: &Opaque) -> bool {
    let group = object.api_version.split('/').next().unwrap_or_default();
    matches!(group, "networking.istio.io" | "extensions.istio.io")
}

/// A rule with the hosts that it is for.
enum Named<'m> {
    Rule(&'m Arc<DestinationRule>),
    Route(&'m Arc<VirtualService>),
}

impl<'m> Named<'m> {
    fn meta(&self) -> &'m Meta {
        match self {
            Self::Rule(object) => &object.meta,
            Self::Route(object) => &object.meta,
        }
    }

    /// The field with the hosts.
    const fn field(&self) -> &'static str {
        match self {
            Self::Rule(_) => "spec.host",
            Self::Route(_) => "spec.hosts",
        }
    }

    fn hosts(&self) -> Vec<&'m str> {
        match self {
            Self::Rule(object) => vec![&object.spec.host],
            Self::Route(object) => object.spec.hosts.iter().map(AsRef::as_ref).collect(),
        }
    }
}
