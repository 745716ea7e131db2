//! What a proxy uses: localities with priorities and weights, and how each endpoint is reached.
use mesh_model::endpoint::{Address, CohortOf, Endpoint, HealthStatus, Kind, NetworkGateway};
use mesh_model::name::Locality;

use super::draft::Reach;
use super::layout::{Place, Rank};
use super::run::{Content, Form, Id, PartIdentity, PartPlace, Run};
use super::{Assignment, Reason};

/// Some members of a locality.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Run(Run),
    Gateway(Box<Entry>),
}

/// A gateway, and what it stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) gateway: NetworkGateway,
    pub(super) form: Form,
    pub(super) fronts: Box<[Run]>,
}

/// The endpoints of one locality that share a priority.
#[derive(Clone, Copy, Debug)]
pub struct AssignedLocality<'a> {
    assignment: &'a Assignment,
    place: &'a Place,
    rank: &'a Rank,
}

impl<'a> AssignedLocality<'a> {
    pub(super) const fn new(assignment: &'a Assignment, place: &'a Place, rank: &'a Rank) -> Self {
        Self { assignment, place, rank }
    }

    /// What it is a part of.
    pub(super) const fn assignment(self) -> &'a Assignment {
        self.assignment
    }

    /// Returns where it is; all parts are empty where nothing is known.
    pub const fn locality(self) -> &'a Locality {
        &self.place.locality
    }

    /// Returns the priority: 0 is used first.
    pub const fn priority(self) -> u32 {
        self.rank.priority
    }

    /// Returns the weight among the localities of the priority, `None` where none is told: all of
    /// its endpoints were dropped for reasons of their network.
    pub const fn weight(self) -> Option<u32> {
        self.rank.weight
    }

    /// Returns why it has this priority and weight.
    pub const fn reason(self) -> Reason {
        self.rank.reason
    }

    /// Returns how many endpoints and gateways it holds.
    #[inline]
    pub fn len(self) -> usize {
        self.own_parts().iter().map(|part| part.len(self.assignment)).sum()
    }

    /// Returns whether all its endpoints were dropped.
    pub const fn is_empty(self) -> bool {
        self.place.is_empty()
    }

    /// Returns the endpoints in the order of the shards, then the gateways by address and port.
    pub fn endpoints(self) -> impl DoubleEndedIterator<Item = AssignedEndpoint<'a>> + Clone {
        self.parts().flat_map(AssignedPart::endpoints)
    }

    /// Returns the same in parts, each of them as it was in other assignments if it has the same identity.
    #[inline]
    pub fn parts(
        self,
    ) -> impl DoubleEndedIterator<Item = AssignedPart<'a>> + ExactSizeIterator + Clone {
        let shards = self.assignment.shards();
        self.own_parts().iter().map(move |part| {
            let of = match part {
                Part::Run(run) => run.cohort_of(shards),
                Part::Gateway(_) => None,
            };
            AssignedPart { locality: self, part, of }
        })
    }

    #[inline]
    fn own_parts(self) -> &'a [Part] {
        self.assignment.basis().layout.parts_of(self.place)
    }
}

impl Part {
    #[inline]
    fn len(&self, assignment: &Assignment) -> usize {
        match self {
            Self::Run(run) => run.len(assignment.shards()),
            Self::Gateway(_) => 1,
        }
    }
}

/// Endpoints of a locality that the registry knows as one allocation, or a gateway.
///
/// # Examples
///
/// What an encoder made of a part can be used again as long as the registry's endpoints stay:
///
/// ```
/// use mesh_lb::assign::{Assignment, Input};
/// use mesh_model::{Compat, endpoint::Gateways};
/// use mesh_testkit::by_hand;
///
/// let (proxy, service) = (by_hand::proxy("c1", "eu/a"), by_hand::service("cart.shop"));
/// let (near, far) = (by_hand::endpoint("10.0.0.1", "c1", "eu/a"), by_hand::endpoint("10.0.0.2", "c1", "eu/b"));
/// let before = by_hand::shards([near.clone(), far]);
/// let after = before.iter().map(|shard| {
///     shard.renewed([near.clone(), by_hand::endpoint("10.0.0.3", "c1", "eu/b")]).into()
/// });
/// let (after, compat, gateways) = (after.collect(), Compat::default(), Gateways::default());
/// let assign = |shards| {
///     let port = service.port(80).unwrap();
///     Assignment::compute(&Input::new(&proxy, &compat, (&service, port), shards, &gateways))
/// };
/// let (before, after) = (assign(&before), assign(&after));
/// let same: Vec<bool> = before
///     .localities()
///     .zip(after.localities())
///     .map(|(one, other)| {
///         let known = one.parts().next().unwrap().identity().unwrap();
///         other.parts().next().unwrap().has(&known)
///     })
///     .collect();
/// assert_eq!(same, [true, false]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AssignedPart<'a> {
    locality: AssignedLocality<'a>,
    part: &'a Part,
    /// The endpoints among which a run chooses.
    of: Option<CohortOf<'a>>,
}

impl<'a> AssignedPart<'a> {
    #[inline]
    fn run(self) -> Option<(&'a Run, CohortOf<'a>)> {
        match self.part {
            Part::Run(run) => Some((run, self.of?)),
            Part::Gateway(_) => None,
        }
    }

    /// Returns what tells the part from all others; `None` for a gateway.
    #[inline]
    pub fn identity(self) -> Option<PartIdentity> {
        self.run().map(|(run, of)| PartIdentity::new(run, of))
    }

    /// Returns whether it has an identity, without making another one.
    pub fn has(self, identity: &PartIdentity) -> bool {
        self.run().is_some_and(|(run, of)| identity.is_of(run, of))
    }

    /// Returns what tells the part from all others of its service; `None` for a gateway, and where it does not
    /// hold all that serve the port in the locality and are from there.
    #[inline]
    pub fn place(self) -> Option<PartPlace> {
        self.run().and_then(|(run, _)| PartPlace::new(run))
    }

    /// Returns how many endpoints it holds; a gateway is one.
    #[expect(clippy::len_without_is_empty, reason = "no part is empty")]
    #[inline]
    pub fn len(self) -> usize {
        self.run().map_or(1, |(run, of)| run.len_of(of))
    }

    /// Returns the endpoints, and the first as it is assigned, if they differ in nothing that proxies are told
    /// but in their addresses: they are of one [kind](AssignedEndpoint::kind) and one workload, and used
    /// alike.
    #[inline]
    pub fn alike(
        self,
    ) -> Option<(AssignedEndpoint<'a>, impl DoubleEndedIterator<Item = &'a Endpoint> + Clone)> {
        let (run, of) = self.run()?;
        let Content::All(form) = run.content else { return None };
        let [kind @ Kind { name: Some(_), .. }] = of.cohort().kinds() else { return None };
        let (first, index) = (of.endpoint(0)?, *of.indices().first()?);
        let first = AssignedEndpoint {
            locality: self.locality,
            form,
            target: Target::of_endpoint(first, form.reach),
            fronts: &[],
            known: Some(((run.shard, index), kind)),
        };
        Some((first, of.endpoints()))
    }

    /// Returns the endpoints in the order of the shards, or the gateway.
    pub fn endpoints(self) -> impl DoubleEndedIterator<Item = AssignedEndpoint<'a>> + Clone {
        let Self { locality, part, of } = self;
        let (run, entry) = match part {
            Part::Run(run) => (Some(run), None),
            Part::Gateway(entry) => (None, Some(&**entry)),
        };
        let of_run = run.into_iter().flat_map(move |run| {
            run.endpoints_of(of).map(move |found| AssignedEndpoint {
                locality,
                form: found.form,
                target: Target::of_endpoint(found.endpoint, found.form.reach),
                fronts: &[],
                known: Some((found.id, found.kind)),
            })
        });
        let gateway = entry.into_iter().map(move |Entry { gateway, form, fronts }| {
            let target = Target::of_gateway(gateway, form.reach);
            AssignedEndpoint { locality, form: *form, target, fronts, known: None }
        });
        of_run.chain(gateway)
    }
}

/// An endpoint that the proxy uses, or a gateway that stands for some.
#[derive(Clone, Copy, Debug)]
pub struct AssignedEndpoint<'a> {
    locality: AssignedLocality<'a>,
    form: Form,
    target: Target<'a>,
    fronts: &'a [Run],
    /// Where the endpoint is, and what it is; nothing of a gateway.
    known: Option<(Id, &'a Kind)>,
}

/// What is dialled, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every way")]
pub enum Target<'a> {
    /// The endpoint itself.
    Direct(&'a Endpoint),
    /// The endpoint itself, by HBONE.
    Tunnel(&'a Endpoint),
    /// A gateway of the endpoints' network, by mutual TLS.
    Gateway(&'a NetworkGateway),
    /// A gateway of the endpoints' network, by HBONE within HBONE.
    DoubleTunnel(&'a NetworkGateway),
}

/// What an endpoint's metadata says that its transport must match.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `AppendLbEndpointMetadata`: filter metadata
/// `envoy.transport_socket_match`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every match")]
pub enum Transport {
    /// Nothing.
    Plain,
    /// `tlsMode: istio`.
    Istio,
    /// `tlsMode` with another word: the endpoint's own.
    OtherTls,
    /// `tunnel: http`.
    Tunnel,
}

impl<'a> Target<'a> {
    const fn of_endpoint(endpoint: &'a Endpoint, reach: Reach) -> Self {
        match reach {
            Reach::Tunnel => Self::Tunnel(endpoint),
            Reach::Direct | Reach::Gateway | Reach::DoubleTunnel => Self::Direct(endpoint),
        }
    }

    const fn of_gateway(gateway: &'a NetworkGateway, reach: Reach) -> Self {
        match reach {
            Reach::DoubleTunnel => Self::DoubleTunnel(gateway),
            Reach::Direct | Reach::Gateway | Reach::Tunnel => Self::Gateway(gateway),
        }
    }

    /// Returns the address that is dialled; for tunnels the one inside.
    pub const fn address(self) -> &'a Address {
        match self {
            Self::Direct(endpoint) | Self::Tunnel(endpoint) => &endpoint.address,
            Self::Gateway(gateway) | Self::DoubleTunnel(gateway) => &gateway.address,
        }
    }

    /// Returns the port that is dialled; 0 for a Unix socket.
    pub const fn port(self) -> u16 {
        match self {
            Self::Direct(endpoint) | Self::Tunnel(endpoint) => endpoint.port,
            Self::Gateway(gateway) => gateway.port,
            Self::DoubleTunnel(gateway) => gateway.hbone_port,
        }
    }

    /// Returns what tells one host of a cluster from another: the address and the port.
    pub(crate) const fn dialled(self) -> (&'a Address, u16) {
        (self.address(), self.port())
    }

    /// Returns the word for it: `direct`, `tunnel`, `gateway` or `double_tunnel`.
    pub const fn via(self) -> &'static str {
        match self {
            Self::Direct(_) => "direct",
            Self::Tunnel(_) => "tunnel",
            Self::Gateway(_) => "gateway",
            Self::DoubleTunnel(_) => "double_tunnel",
        }
    }
}

impl<'a> AssignedEndpoint<'a> {
    /// Returns what is dialled, and how.
    pub const fn target(self) -> Target<'a> {
        self.target
    }

    /// Returns the locality that it belongs to.
    pub const fn locality(self) -> AssignedLocality<'a> {
        self.locality
    }

    /// Returns the weight among the endpoints of its locality, at least 1.
    pub const fn weight(self) -> u32 {
        self.form.weight
    }

    /// Returns the health that the proxy is told; gateways have none.
    pub const fn health(self) -> HealthStatus {
        self.form.health
    }

    /// Returns what its transport must match.
    pub const fn transport(self) -> Transport {
        self.form.transport
    }

    /// Returns the word of metadata `tlsMode`, `None` where it is not written.
    pub fn tls_mode(self) -> Option<&'a str> {
        match (self.form.transport, self.target) {
            (Transport::Plain | Transport::Tunnel, _) => None,
            (Transport::OtherTls, Target::Direct(endpoint) | Target::Tunnel(endpoint)) => {
                Some(&endpoint.workload.tls_mode)
            }
            (Transport::Istio | Transport::OtherTls, _) => Some("istio"),
        }
    }

    /// Returns the endpoints that a gateway stands for, in the order of the shards; none for
    /// anything else.
    pub fn fronts(self) -> impl Iterator<Item = &'a Endpoint> + Clone {
        self.behind().map(|(_, endpoint)| endpoint)
    }

    /// The same with where they are.
    pub(crate) fn behind(self) -> impl Iterator<Item = (Id, &'a Endpoint)> + Clone {
        let shards = self.locality.assignment.shards();
        let runs = self.fronts.iter();
        runs.flat_map(move |run| run.endpoints(shards).map(|found| (found.id, found.endpoint)))
    }

    /// Where it is; `None` for a gateway.
    pub(crate) fn id(self) -> Option<Id> {
        self.known.map(|(id, _)| id)
    }

    /// Returns what it has in common with others: endpoints of one kind in one [part](AssignedPart) are
    /// told alike but for their addresses, if they are used alike (weight, health, transport). `None` for a
    /// gateway.
    pub fn kind(self) -> Option<&'a Kind> {
        self.known.map(|(_, kind)| kind)
    }
}
