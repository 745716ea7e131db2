//! Clusters as bytes: those that differ in names alone are made once.
//!
//! Services of a mesh are much alike. Two ports under equal policies have the same cluster but for
//! names: of the cluster, of the service, of the rule, and of whom the servers may be. The first of a
//! [`Shape`] is made as a message, and once more with marks instead of names; of the others, only the
//! names are written.
use bytes::Bytes;
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::DiscoveryType;
use mesh_model::endpoint::Provider;
use mesh_model::name::{Hostname, Namespace, Protocol};
use mesh_model::registry::{MergedRule, Resolution, Service, TrafficDistribution};
use mesh_model::view::Destination;
use mesh_model::view::destination::ComposedPolicy;
use prost::Message;
use std::sync::Arc;

use super::discovery;
use super::outbound::{Outbound, Wanted};
use crate::encode::{Backwards, Pool, Refill, Stencil, mark};
use crate::name::Form;

/// How many shapes are tried before any has come twice; each that comes again is worth another.
const TRIES: usize = 16;

/// Makes clusters of services as bytes. For one proxy and one revision of a mesh.
pub(super) struct Stencils<'s> {
    /// What becomes of each cluster before it is sent.
    adapt: &'s dyn Fn(&mut Cluster),
    known: Vec<(Shape<'s>, Option<Cut>)>,
    hits: usize,
    bytes: Backwards,
    pool: Pool,
    name: String,
}

struct Cut {
    stencil: Refill,
    /// How the clusters find their endpoints.
    kind: Option<DiscoveryType>,
}

/// What a cluster depends on beside names.
#[derive(PartialEq)]
struct Shape<'s> {
    // In order of how soon they tell two of them apart.
    port: u16,
    form: Form,
    kind: DiscoveryType,
    protocol: Protocol,
    provider: Provider,
    distribution: TrafficDistribution,
    mesh_external: bool,
    needs_no_exchange: bool,
    keeps_sessions: bool,
    is_automatic: bool,
    has_subset: bool,
    n_accounts: usize,
    /// Whether there is a rule, and whether it is for some clients only.
    rule: Option<bool>,
    policy: Option<ComposedPolicy<'s>>,
}

/// The names in the order of their marks; then the accounts.
const HOST: usize = 0;
const NAME: usize = 1;
const NAMESPACE: usize = 2;
const RULE: usize = 3;
const RULE_NAMESPACE: usize = 4;
const SUBSET: usize = 5;
const ACCOUNTS: usize = 6;

/// A cluster as it travels.
pub(crate) struct Encoded {
    pub(crate) name: Arc<str>,
    pub(crate) bytes: Bytes,
    /// The name under which its endpoints are asked for, if they are.
    pub(crate) endpoints: Option<Arc<str>>,
    /// Of what sort the name is: its port, and whether it has a subset.
    pub(super) sort: (u16, bool),
}

impl<'s> Stencils<'s> {
    pub(super) fn new(adapt: &'s dyn Fn(&mut Cluster)) -> Self {
        Self {
            adapt,
            known: Vec::new(),
            hits: 0,
            bytes: Backwards::default(),
            pool: Pool::default(),
            name: String::new(),
        }
    }

    /// Makes one cluster; says how it finds its endpoints, `None` if there is none.
    pub(super) fn make(
        &mut self,
        draft: &Outbound<'_, '_>,
        wanted: &Wanted<'_, 's>,
        found: &mut Vec<Encoded>,
    ) -> Option<DiscoveryType> {
        let Some(shape) = shape_of(draft, wanted) else {
            return self.message(draft, wanted, found);
        };
        match self.known.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, Some(cut))) => {
                self.hits += 1;
                let names = Names { draft, destination: wanted.destination };
                let filled = cut.stencil.fill(|number| names.text(number), &mut self.bytes);
                let bytes = self.pool.put(filled);
                self.name.clear();
                draft.name(wanted.destination).push_to(&mut self.name);
                let name: Arc<str> = self.name.as_str().into();
                let endpoints = (cut.kind == Some(DiscoveryType::Eds)).then(|| name.clone());
                let sort = (wanted.destination.port.number, !wanted.destination.subset.is_empty());
                found.push(Encoded { name, bytes, endpoints, sort });
                cut.kind
            }
            Some((_, None)) => self.message(draft, wanted, found),
            None => {
                let kind = self.message(draft, wanted, found);
                if self.known.len() < TRIES + self.hits
                    && let Some(first) = found.last()
                {
                    let cut = self.cut(draft, wanted, first);
                    self.known.push((shape, cut));
                }
                kind
            }
        }
    }

    fn message(
        &self,
        draft: &Outbound<'_, '_>,
        wanted: &Wanted<'_, '_>,
        found: &mut Vec<Encoded>,
    ) -> Option<DiscoveryType> {
        let mut cluster = draft.cluster(wanted)?;
        let kind = discovery::of_cluster(&cluster);
        found.push(self.encoded(&mut cluster));
        kind
    }

    pub(super) fn encoded(&self, cluster: &mut Cluster) -> Encoded {
        (self.adapt)(cluster);
        Encoded {
            name: cluster.name.as_str().into(),
            bytes: cluster.encode_to_vec().into(),
            endpoints: discovery::eds_name(cluster).map(Arc::from),
            sort: (0, false),
        }
    }

    /// Cuts the stencil of a shape; `None` if it would not give the first cluster of the shape again.
    fn cut(
        &self,
        draft: &Outbound<'_, '_>,
        wanted: &Wanted<'_, '_>,
        first: &Encoded,
    ) -> Option<Cut> {
        let names = Names { draft, destination: wanted.destination };
        let marked = Marked::new(&names);
        let destination = marked.destination(wanted.destination);
        let accounts = marked.accounts.as_slice();
        let draft = Outbound { accounts, ..*draft };
        let mut cluster = draft.cluster(&Wanted { destination: &destination, ..*wanted })?;
        let kind = discovery::of_cluster(&cluster);
        let stencil = Stencil::cut(&self.encoded(&mut cluster).bytes)?;
        let mut bytes = Backwards::default();
        stencil.fill(|number| names.text(number), &mut bytes);
        let is_eds = kind == Some(DiscoveryType::Eds);
        let is_asked_by_name = first.endpoints.as_ref() == Some(&first.name);
        let is_right = bytes.as_slice() == &*first.bytes && is_eds == is_asked_by_name;
        is_right.then(|| Cut { stencil: Refill::new(stencil), kind })
    }
}

/// What a cluster depends on, if it is one of many: its endpoints are not in it, and nothing in it is
/// made of parts of names.
fn shape_of<'s>(draft: &Outbound<'_, '_>, wanted: &Wanted<'_, 's>) -> Option<Shape<'s>> {
    let Destination { service, port, subset, rule, cluster_policy, .. } = wanted.destination;
    let is_plain = service.resolution == Resolution::ClientSideLb
        && draft.context.config.outbound_cluster_stat_name.is_empty();
    let names = Names { draft, destination: wanted.destination };
    if !is_plain || names.is_any_empty() {
        return None;
    }
    let selects = |rule: &&MergedRule| rule.rule.spec.workload_selector.is_some();
    Some(Shape {
        port: port.number,
        form: draft.form,
        kind: wanted.kind,
        protocol: port.protocol,
        provider: service.provider,
        distribution: service.traffic_distribution,
        mesh_external: service.mesh_external,
        needs_no_exchange: draft.needs_no_exchange(wanted.destination),
        keeps_sessions: service.has_session_label(),
        is_automatic: wanted.is_automatic,
        has_subset: !subset.is_empty(),
        n_accounts: draft.accounts.len(),
        rule: rule.as_ref().map(selects),
        policy: cluster_policy.clone(),
    })
}

/// The names of a cluster, by number.
struct Names<'n> {
    draft: &'n Outbound<'n, 'n>,
    destination: &'n Destination<'n>,
}

impl<'n> Names<'n> {
    fn text(&self, number: usize) -> &'n str {
        let Destination { service, subset, rule, .. } = self.destination;
        match number {
            HOST => service.hostname.as_str(),
            NAME => &service.name,
            NAMESPACE => service.namespace.as_str(),
            RULE => rule.map(|rule| &*rule.rule.meta.name).unwrap_or_default(),
            RULE_NAMESPACE => {
                rule.map(|rule| rule.rule.meta.namespace.as_str()).unwrap_or_default()
            }
            SUBSET => subset,
            account => {
                let account = self.draft.accounts.get(account.saturating_sub(ACCOUNTS));
                account.map(String::as_str).unwrap_or_default()
            }
        }
    }

    /// Whether one is empty that a stencil would write, where a message leaves it out.
    fn is_any_empty(&self) -> bool {
        let of_rule: &[usize] =
            if self.destination.rule.is_some() { &[RULE, RULE_NAMESPACE] } else { &[] };
        let mut names = [HOST, NAME, NAMESPACE].iter().chain(of_rule);
        names.any(|&number| self.text(number).is_empty())
            || self.draft.accounts.iter().any(String::is_empty)
    }
}

/// What a cluster with marks instead of names is made of.
struct Marked {
    service: Arc<Service>,
    rule: Option<MergedRule>,
    accounts: Vec<String>,
}

impl Marked {
    fn new(names: &Names<'_>) -> Self {
        let Destination { service, subset, rule, .. } = names.destination;
        let service = Service {
            hostname: Hostname::from(mark(HOST).as_str()),
            name: mark(NAME).into(),
            namespace: Namespace::from(mark(NAMESPACE).as_str()),
            ..(**service).clone()
        };
        let rule = rule.map(|rule| {
            let mut rule = rule.clone();
            let named = Arc::make_mut(&mut rule.rule);
            named.meta.name = mark(RULE).into();
            named.meta.namespace = Namespace::from(mark(RULE_NAMESPACE).as_str());
            for known in rule.subsets.iter_mut().filter(|known| known.name == *subset) {
                known.name = mark(SUBSET).into();
            }
            rule
        });
        let accounts = (0..names.draft.accounts.len()).map(|account| mark(ACCOUNTS + account));
        Self { service: Arc::new(service), rule, accounts: accounts.collect() }
    }

    fn destination<'d>(&'d self, like: &Destination<'d>) -> Destination<'d> {
        let subset = if like.subset.is_empty() { String::new() } else { mark(SUBSET) };
        Destination {
            service: self.service.clone(),
            rule: self.rule.as_ref(),
            subset: subset.into(),
            ..like.clone()
        }
    }
}
