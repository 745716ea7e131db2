//! Which VirtualServices a namespace sees, in the order in which they count.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/push_context.go` `initVirtualServices`;
//! `virtualservice.go` `ResolveVirtualServiceShortnames`, `resolveGatewayName`.
use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::ExportTo;
use super::delegates::{self, Delegates};
use crate::compat::Flags;
use crate::name::{Hostname, Namespace};
use crate::resource::VirtualService;
use crate::resource::virtual_service::Semantics;

/// The gateway name that stands for all sidecars.
pub const MESH: &str = "mesh";

/// The VirtualServices of a control plane, with full host names and delegates merged in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualServices {
    private: BTreeMap<(Namespace, Box<str>), Vec<Arc<VirtualService>>>,
    exported: BTreeMap<(Namespace, Box<str>), Vec<Arc<VirtualService>>>,
    public: BTreeMap<Box<str>, Vec<Arc<VirtualService>>>,
    /// What each object with hosts came to, oldest first.
    made: Vec<Made>,
}

/// An object, and what it is with full names and the routes of its delegates.
#[derive(Clone, Debug, PartialEq)]
struct Made {
    object: Arc<VirtualService>,
    made: Arc<VirtualService>,
}

impl VirtualServices {
    /// Indexes objects given in any order.
    pub fn new<'o>(
        objects: impl IntoIterator<Item = &'o Arc<VirtualService>>,
        domain: &str,
        default_export_to: &ExportTo,
    ) -> Self {
        Self::default().renewed(objects, domain, default_export_to)
    }

    /// Indexes objects again, given in any order; those that are the same are kept, and what comes
    /// out equal.
    pub(crate) fn renewed<'o>(
        &self,
        objects: impl IntoIterator<Item = &'o Arc<VirtualService>>,
        domain: &str,
        default_export_to: &ExportTo,
    ) -> Self {
        let known: FxHashMap<*const VirtualService, &Made> =
            self.made.iter().map(|made| (Arc::as_ptr(&made.object), made)).collect();
        let mut objects: Vec<&Arc<VirtualService>> = objects.into_iter().collect();
        objects.sort_by(|a, b| a.meta.age().cmp(&b.meta.age()));
        let is_delegate = |object: &&&Arc<VirtualService>| object.spec.hosts.is_empty();
        let delegates: Vec<_> =
            objects.iter().filter(is_delegate).map(|object| resolved(object, domain)).collect();
        let delegates: Delegates<'_> = delegates
            .iter()
            .map(|object| ((object.meta.namespace.as_str(), &*object.meta.name), object))
            .collect();
        let mut index = Self::default();
        for object in objects.iter().filter(|object| !is_delegate(object)) {
            let known = known.get(&Arc::as_ptr(object)).map(|known| &known.made);
            let made = match known.filter(|_| !delegates::has_any(object)) {
                Some(known) => known.clone(),
                None => {
                    let root = resolved(object, domain);
                    let made = delegates::merged(root, &delegates, default_export_to);
                    known.filter(|known| ***known == made).cloned().unwrap_or_else(|| made.into())
                }
            };
            index.add(&made, default_export_to);
            index.made.push(Made { object: Arc::clone(object), made });
        }
        index
    }

    /// The hosts of the objects that are not the same in two indexes.
    pub(crate) fn differing_hosts(&self, other: &Self) -> Vec<Hostname> {
        let pointers = |index: &Self| -> FxHashSet<*const VirtualService> {
            index.made.iter().map(|made| Arc::as_ptr(&made.made)).collect()
        };
        let (own, others) = (pointers(self), pointers(other));
        let gone = self.made.iter().filter(|made| !others.contains(&Arc::as_ptr(&made.made)));
        let new = other.made.iter().filter(|made| !own.contains(&Arc::as_ptr(&made.made)));
        let hosts = gone.chain(new).flat_map(|made| &made.made.spec.hosts);
        hosts.map(|host| Hostname::from(&**host)).collect()
    }

    fn add(&mut self, object: &Arc<VirtualService>, default_export_to: &ExportTo) {
        let own = &object.meta.namespace;
        let export_to = export_to(object, default_export_to);
        let mut gateways: Vec<&str> = object.spec.gateways.iter().map(AsRef::as_ref).collect();
        if gateways.is_empty() {
            gateways.push(MESH);
        }
        for gateway in gateways {
            if export_to.public {
                self.public.entry(gateway.into()).or_default().push(object.clone());
                continue;
            }
            if export_to.none {
                continue;
            }
            if export_to.private || export_to.namespaces.contains(own) {
                let key = (own.clone(), gateway.into());
                self.private.entry(key).or_default().push(object.clone());
            }
            let others: std::collections::BTreeSet<&Namespace> =
                export_to.namespaces.iter().filter(|namespace| *namespace != own).collect();
            for namespace in others {
                let key = (namespace.clone(), gateway.into());
                self.exported.entry(key).or_default().push(object.clone());
            }
        }
    }

    /// Returns those bound to a gateway (`mesh`, or `namespace/name`) that a namespace sees: its own
    /// private ones, those exported to it, the public ones, each oldest first. Of the public ones those of the
    /// namespace that follow the Gateway API come first.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `VirtualServicesForGateway`.
    pub fn visible_to(
        &self,
        namespace: &Namespace,
        gateway: &str,
    ) -> impl Iterator<Item = &Arc<VirtualService>> + Clone {
        let [private, exported, public] = self.lists(namespace, gateway);
        private.iter().chain(exported).chain(own_first(public, namespace))
    }

    /// Returns those that the sidecars of a namespace import from, in the order in which they count: as
    /// [`VirtualServices::visible_to`], but with `PILOT_UNIFIED_SIDECAR_SCOPE` in each list those of the
    /// namespace that follow the Gateway API come first, without it in none.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/virtualservice.go` `SelectVirtualServices`.
    pub fn selectable_by(
        &self,
        namespace: &Namespace,
        flags: &Flags,
    ) -> impl Iterator<Item = &Arc<VirtualService>> {
        let lists = self.lists(namespace, MESH).into_iter();
        lists.flat_map(move |list| match flags.pilot_unified_sidecar_scope {
            true => own_first(list, namespace).collect(),
            false => list.iter().collect::<Vec<_>>(),
        })
    }

    /// What is private to a namespace, exported to it, and public.
    fn lists(&self, namespace: &Namespace, gateway: &str) -> [&[Arc<VirtualService>]; 3] {
        let key = (namespace.clone(), Box::from(gateway));
        [self.private.get(&key), self.exported.get(&key), self.public.get(gateway)]
            .map(|list| list.map(Vec::as_slice).unwrap_or_default())
    }

    /// Returns those bound to a gateway (`namespace/name`), whoever sees them, oldest first.
    pub fn bound_to(&self, gateway: &str) -> impl Iterator<Item = &Arc<VirtualService>> {
        let names = move |rule: &&Arc<VirtualService>| {
            rule.spec.gateways.iter().any(|name| **name == *gateway)
        };
        self.made.iter().map(|made| &made.made).filter(names)
    }
}

/// Who may see an object, with the mesh's default where it does not say.
pub(crate) fn export_to(object: &VirtualService, default_export_to: &ExportTo) -> ExportTo {
    if object.spec.export_to.is_empty() {
        return default_export_to.clone();
    }
    ExportTo::parse(object.spec.export_to.iter().map(AsRef::as_ref))
}

/// A list with those of a namespace that follow the Gateway API before the others.
fn own_first<'l>(
    list: &'l [Arc<VirtualService>],
    namespace: &Namespace,
) -> impl Iterator<Item = &'l Arc<VirtualService>> + Clone + use<'l> {
    let namespace = namespace.clone();
    let is_own = move |rule: &&Arc<VirtualService>| {
        rule.meta.namespace == namespace && rule.semantics() == Semantics::Gateway
    };
    let is_other = is_own.clone();
    list.iter().filter(is_own).chain(list.iter().filter(move |rule| !is_other(rule)))
}

/// Completes every short name with the namespace of the object that wrote it. What follows the Gateway API
/// is left as it is, unless it is a delegate.
fn resolved(object: &VirtualService, domain: &str) -> VirtualService {
    let mut object = object.clone();
    if object.semantics() == Semantics::Gateway && !object.spec.hosts.is_empty() {
        return object;
    }
    let namespace = object.meta.namespace.clone();
    let complete = |host: &mut Box<str>| {
        *host = Hostname::resolve(host, namespace.as_str(), domain).as_str().into();
    };
    let gateway = |name: &mut Box<str>| *name = gateway_name(name, &namespace);
    let spec = &mut object.spec;
    spec.hosts.iter_mut().for_each(complete);
    spec.gateways.iter_mut().for_each(gateway);
    for route in &mut spec.http {
        let destinations = route.route.iter_mut().filter_map(|entry| entry.destination.as_mut());
        let mirrors = route.mirrors.iter_mut().filter_map(|entry| entry.destination.as_mut());
        for destination in destinations.chain(&mut route.mirror).chain(mirrors) {
            complete(&mut destination.host);
        }
        route.matches.iter_mut().flat_map(|entry| &mut entry.gateways).for_each(gateway);
    }
    for route in &mut spec.tcp {
        let destinations = route.route.iter_mut().filter_map(|entry| entry.destination.as_mut());
        destinations.for_each(|destination| complete(&mut destination.host));
        route.matches.iter_mut().flat_map(|entry| &mut entry.gateways).for_each(gateway);
    }
    for route in &mut spec.tls {
        let destinations = route.route.iter_mut().filter_map(|entry| entry.destination.as_mut());
        destinations.for_each(|destination| complete(&mut destination.host));
        route.matches.iter_mut().flat_map(|entry| &mut entry.gateways).for_each(gateway);
    }
    object
}

/// `namespace/name` of a gateway as a rule names it: `mesh` stays, `./g` and `g` are of the rule's
/// namespace, the old form `g.ns` or `g.ns.svc.DOMAIN` names a namespace.
fn gateway_name(name: &str, own: &Namespace) -> Box<str> {
    if name == MESH {
        return name.into();
    }
    if let Some((namespace, name)) = name.split_once('/') {
        let namespace = if namespace == "." { own.as_str() } else { namespace };
        return format!("{namespace}/{name}").into();
    }
    match name.split_once('.') {
        None => format!("{own}/{name}").into(),
        Some((name, rest)) => {
            let namespace = rest.split('.').next().unwrap_or_default();
            format!("{namespace}/{name}").into()
        }
    }
}
