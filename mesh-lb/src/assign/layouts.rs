//! Services whose endpoints are spread alike: where they are put is found out once.
//!
//! ```text
//! endpoints ─filter─▶ verdicts ─┬─ as of another service ──────────▶ its layout, its ranks
//!                               └─ group, split horizon, rank ─────▶ others, which are remembered
//! ```
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use mesh_model::endpoint::{CohortOf, Shards};
use mesh_model::name::{ClusterId, Locality, NetworkId};
use mesh_model::view::{Destination, ProxyView};
use rustc_hash::{FxHashMap, FxHasher};

use super::basis::Basis;
use super::draft::{Draft, Which};
use super::layout::{Layout, Rank};
use super::of_view::with_supply;
use super::setting::OwnedSetting;
use super::split_horizon::has_host;
use super::verdict::{Verdict, Verdicts};
use super::{Assignment, ClusterForm, EffectiveSetting, Input, Ranking, Supply};

/// The assignments of one proxy, one after the other. Services of which endpoints are as many, as fit and in the
/// same places differ in the endpoints alone: what follows from the rest is computed for the first of them.
///
/// Each assignment is the one that [`Assignment::of_form`] computes, and is not kept.
///
/// # Examples
///
/// ```
/// use mesh_lb::assign::{Assignment, ClusterForm, Layouts};
/// use mesh_model::registry::{Origin, Registry, Source};
/// use mesh_model::view::Subset;
/// use mesh_testkit::by_hand;
///
/// let service = |name, address| format!("
/// - {{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: shop}}, spec: {{ports: [{{name: http, port: 80}}]}}}}
/// - apiVersion: discovery.k8s.io/v1
///   kind: EndpointSlice
///   metadata: {{name: {name}, namespace: shop, labels: {{kubernetes.io/service-name: {name}}}}}
///   addressType: IPv4
///   endpoints: [{{addresses: [{address}]}}]
///   ports: [{{name: http, port: 8080}}]");
/// let items = service("cart", "10.0.0.1") + &service("pay", "10.0.0.2");
/// let text = format!("apiVersion: v1\nkind: List\nitems:{items}\n");
/// let mut registry = Registry::default();
/// let origin = Origin::Cluster("c1".into());
/// registry.load([Source { origin, name: "shop.yaml".into(), text: text.into() }]);
/// let mesh = registry.mesh();
/// let proxy = by_hand::proxy("c1", "eu/a");
/// let view = mesh.view(&proxy).unwrap();
///
/// let mut layouts = Layouts::new(&view);
/// for (name, address) in [("cart.shop", "10.0.0.1"), ("pay.shop", "10.0.0.2")] {
///     let destination = view.destination(name, 80, Subset::None).unwrap();
///     let shards = view.shards(&destination.service).unwrap();
///     let assignment = layouts.assignment(&destination, ClusterForm::Outbound, shards);
///     assert_eq!(assignment.endpoints().next().unwrap().target().address().to_string(), address);
/// }
/// assert_eq!(layouts.len(), 1);
/// ```
#[derive(Debug)]
pub struct Layouts<'v, 'm> {
    view: &'v ProxyView<'m>,
    // INVARIANT: as many as `len` says.
    known: FxHashMap<u64, Vec<Known>>,
    len: usize,
    verdicts: Verdicts,
}

/// A layout, and what it follows from.
#[derive(Debug)]
struct Known {
    form: ClusterForm,
    verdicts: Box<[Verdict]>,
    /// Of each verdict.
    origins: Box<[Origin]>,
    layout: Arc<Layout>,
    ranks: Vec<(RankedBy, Arc<[Rank]>)>,
}

/// Where endpoints of a cohort are from.
#[derive(Debug)]
struct Origin {
    /// Held, so that no other text takes the address that the verdict tells.
    _locality: Locality,
    network: NetworkId,
    cluster: ClusterId,
    has_host: bool,
}

/// What localities are ranked by, beside the proxy.
#[derive(Debug)]
struct RankedBy {
    setting: OwnedSetting,
    fails_over: bool,
    by_labels: bool,
}

impl Origin {
    fn new(verdict: &Verdict, of: CohortOf<'_>) -> Self {
        let workload = of.cohort().workload();
        Self {
            _locality: of.cohort().locality().clone(),
            network: workload.place.network.clone(),
            cluster: workload.place.cluster.clone(),
            has_host: Self::has_host(verdict, of),
        }
    }

    fn has_host(verdict: &Verdict, of: CohortOf<'_>) -> bool {
        let first = verdict.batch.first_of(of);
        first.zip(verdict.outcome.ok()).is_some_and(|(first, form)| has_host(first, form.reach))
    }

    /// Whether gateways stand for endpoints of a cohort as for those from there.
    fn is_of(&self, verdict: &Verdict, of: CohortOf<'_>) -> bool {
        let workload = of.cohort().workload();
        self.network == workload.place.network
            && self.cluster == workload.place.cluster
            && self.has_host == Self::has_host(verdict, of)
    }
}

impl RankedBy {
    fn new(ranking: &Ranking<'_>) -> Self {
        let Ranking { setting, fails_over, ranks_by_labels: by_labels, .. } = *ranking;
        Self { setting: setting.into(), fails_over, by_labels }
    }

    fn is(&self, ranking: &Ranking<'_>) -> bool {
        self.fails_over == ranking.fails_over
            && self.by_labels == ranking.ranks_by_labels
            && EffectiveSetting::from(&self.setting) == ranking.setting
    }
}

impl<'v, 'm> Layouts<'v, 'm> {
    /// So many are remembered at most.
    const MAX: usize = 4096;

    /// None yet, for a proxy and for the gateways and switches of its mesh.
    pub fn new(view: &'v ProxyView<'m>) -> Self {
        Self { view, known: FxHashMap::default(), len: 0, verdicts: Verdicts::default() }
    }

    /// Returns how many are remembered, 4,096 at most.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether none is remembered.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Computes the assignment of a destination with its endpoints. It is soonest done for those of one
    /// service and port one after the other.
    pub fn assignment(
        &mut self,
        destination: &Destination<'_>,
        form: ClusterForm,
        shards: &Shards,
    ) -> Assignment {
        let (gateways, compat) = (self.view.gateways(form.is_dns()), self.view.mesh().compat());
        let supply = Supply { shards, gateways, counts_names: false, compat };
        with_supply(self.view, destination, form, supply, |input| self.assign(input))
    }

    fn assign(&mut self, input: &Input<'_>) -> Assignment {
        let Some(ranking) = Assignment::ranking(input).filter(|ranking| !ranking.reshapes()) else {
            return Assignment::compute(input);
        };
        let verdicts = self.verdicts.judge(input);
        let compute = || Assignment::on(Draft::of_verdicts(verdicts, input).into_basis(), input);
        let Some(hash) = hash(verdicts, input.form) else { return compute() };
        let mut same = self.known.get_mut(&hash).into_iter().flatten();
        if let Some(known) = same.find(|known| known.is_of(verdicts, input)) {
            return known.assignment(input, &ranking);
        }
        let assignment = compute();
        if self.len < Self::MAX
            && let Some(known) = Known::new(verdicts, input, (&ranking, &assignment))
        {
            self.known.entry(hash).or_default().push(known);
            self.len += 1;
        }
        assignment
    }
}

impl Known {
    /// What an assignment was computed from; `None` where it names endpoints one by one, which are of one service.
    fn new(
        verdicts: &[Verdict],
        input: &Input<'_>,
        (ranking, assignment): (&Ranking<'_>, &Assignment),
    ) -> Option<Self> {
        let layout = &assignment.basis().layout;
        if layout.names_places() {
            return None;
        }
        let origin = |verdict: &Verdict| {
            verdict.batch.cohort_of(input.shards).map(|of| Origin::new(verdict, of))
        };
        Some(Self {
            form: input.form,
            verdicts: verdicts.into(),
            origins: verdicts.iter().map(origin).collect::<Option<_>>()?,
            layout: Arc::clone(layout),
            ranks: vec![(RankedBy::new(ranking), Arc::clone(assignment.ranks()))],
        })
    }

    fn is_of(&self, verdicts: &[Verdict], input: &Input<'_>) -> bool {
        if self.form != input.form || *self.verdicts != *verdicts {
            return false;
        }
        // What gateways may stand for is told apart by more than its place.
        let splits = !input.gateways.is_empty() || input.compat.flags.ambient_multi_network();
        let is_of = |(origin, verdict): (&Origin, &Verdict)| {
            let of = verdict.batch.cohort_of(input.shards);
            of.is_some_and(|of| origin.is_of(verdict, of))
        };
        !splits || self.origins.iter().zip(verdicts).all(is_of)
    }

    /// The assignment of the endpoints of an input by this layout.
    fn assignment(&mut self, input: &Input<'_>, ranking: &Ranking<'_>) -> Assignment {
        let basis = Basis::new(input.shards, Arc::clone(&self.layout));
        if let Some((_, ranks)) = self.ranks.iter().find(|(by, _)| by.is(ranking)) {
            return Assignment::ranked_as(basis, Arc::clone(ranks), input);
        }
        let assignment = Assignment::on(basis, input);
        self.ranks.push((RankedBy::new(ranking), Arc::clone(assignment.ranks())));
        assignment
    }
}

/// A number that verdicts about endpoints in the same places have in common; `None` if one is about an endpoint
/// by itself.
fn hash(verdicts: &[Verdict], form: ClusterForm) -> Option<u64> {
    let mut state = FxHasher::default();
    form.hash(&mut state);
    for verdict in verdicts {
        if matches!(verdict.batch.which, Which::Place(_)) {
            return None;
        }
        verdict.hash(&mut state);
    }
    Some(state.finish())
}
