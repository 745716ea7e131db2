//! An assignment while it is being computed.
use mesh_model::endpoint::{CohortOf, Endpoint, HealthStatus, NetworkGateway, Shard, Shards};
use mesh_model::name::Locality;

use super::run::Form;
use super::{ClusterForm, DropReason, Group, Transport, weight};

/// Endpoints of a cohort about which no rule in force says different things.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Batch {
    pub(super) shard: u32,
    pub(super) cohort: u32,
    pub(super) which: Which,
}

/// Which endpoints of a cohort.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Which {
    /// Those of a kind.
    Kind(u32),
    /// The one at a place: a rule is in force that might tell those of a kind apart.
    Place(u32),
}

impl Batch {
    pub(super) fn shard_of(self, shards: &Shards) -> Option<&Shard> {
        shards.get(usize::try_from(self.shard).ok()?)
    }

    pub(super) fn cohort_of(self, shards: &Shards) -> Option<CohortOf<'_>> {
        self.shard_of(shards)?.cohort(usize::try_from(self.cohort).ok()?)
    }

    /// The endpoint that speaks for all.
    pub(super) fn endpoint(self, shards: &Shards) -> Option<&Endpoint> {
        self.first_of(self.cohort_of(shards)?)
    }

    /// The same of its cohort, once that is found.
    pub(super) fn first_of(self, of: CohortOf<'_>) -> Option<&Endpoint> {
        let place = match self.which {
            Which::Place(place) => place,
            Which::Kind(kind) => of.cohort().kinds().get(usize::try_from(kind).ok()?)?.first,
        };
        of.endpoint(usize::try_from(place).ok()?)
    }

    /// The places of all.
    pub(super) fn places(self, shards: &Shards) -> impl Iterator<Item = u32> {
        let of = self.cohort_of(shards);
        let places = of.map_or(0..0, |of| 0..u32::try_from(of.indices().len()).unwrap_or(u32::MAX));
        places.filter(move |place| match (self.which, of) {
            (Which::Place(one), _) => one == *place,
            (Which::Kind(kind), Some(of)) => {
                let at = usize::try_from(*place).unwrap_or(usize::MAX);
                usize::try_from(kind).is_ok_and(|kind| of.cohort().kind_of(at) == kind)
            }
            (Which::Kind(_), None) => false,
        })
    }

    /// The place in the shards of each: the shard, and the index in it.
    pub(super) fn ids(self, shards: &Shards) -> impl Iterator<Item = (u32, u32)> {
        let indices = self.cohort_of(shards).map(CohortOf::indices).unwrap_or_default();
        self.places(shards).filter_map(move |place| {
            let index = indices.get(usize::try_from(place).ok()?)?;
            Some((self.shard, *index))
        })
    }
}

/// What a member is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    Endpoints(Batch),
    /// The gateway, and the part of the list of fronted endpoints that it stands for.
    Gateway {
        gateway: u32,
        fronts: (u32, u32),
    },
}

/// How a member is reached.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Reach {
    Direct,
    Tunnel,
    Gateway,
    DoubleTunnel,
}

/// Endpoints of a locality that are treated alike, or a gateway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) source: Source,
    /// How many endpoints; 1 for a gateway.
    pub(super) count: u32,
    /// The form of each of them.
    pub(super) form: Form,
}

impl Member {
    /// A gateway; it has no health, and by HBONE it is entered as a tunnel.
    pub(super) fn gateway(source: Source, reach: Reach, weight: u32, form: ClusterForm) -> Self {
        let transport = match (reach, form) {
            (Reach::DoubleTunnel, ClusterForm::InboundVip) => Transport::Plain,
            (Reach::DoubleTunnel, _) => Transport::Tunnel,
            (Reach::Direct | Reach::Tunnel | Reach::Gateway, _) => Transport::Istio,
        };
        let form = Form { weight, health: HealthStatus::Unknown, reach, transport };
        Self { source, count: 1, form }
    }

    /// The sum of all weights, which wraps.
    pub(super) const fn weight(&self) -> u32 {
        self.form.weight.wrapping_mul(self.count)
    }
}

/// The endpoints that are left so far, by locality.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// The localities, without their members: those stand in one list, which is one allocation however many
    /// localities there are.
    pub(super) groups: Vec<Group<(), &'a Locality>>,
    // INVARIANT: sorted by group, of which each tells the number.
    pub(super) members: Vec<(usize, Member)>,
    pub(super) dropped: Vec<(Batch, DropReason)>,
    pub(super) gateways: Vec<&'a NetworkGateway>,
    /// The endpoints that gateways stand for, and what they were before.
    pub(super) fronts: Vec<(Batch, Form)>,
    pub(super) shards: &'a Shards,
    /// What all weights were multiplied by, if they were.
    pub(super) scale: Option<u32>,
    form: ClusterForm,
}

impl<'a> Draft<'a> {
    pub(super) const fn new(shards: &'a Shards, form: ClusterForm) -> Self {
        Self {
            groups: Vec::new(),
            members: Vec::new(),
            dropped: Vec::new(),
            gateways: Vec::new(),
            fronts: Vec::new(),
            shards,
            scale: None,
            form,
        }
    }

    pub(super) const fn form(&self) -> ClusterForm {
        self.form
    }

    /// Sums the weights anew of what is left in each group.
    pub(super) fn refresh_weights(&mut self) {
        self.groups.iter_mut().for_each(|group| group.weight = None);
        for (number, member) in &self.members {
            if let Some(group) = self.groups.get_mut(*number) {
                group.weight = weight::refreshed(group.weight.into_iter().chain([member.weight()]));
            }
        }
    }

    /// Takes the groups, each with its members.
    pub(super) fn take_groups(&mut self) -> Vec<Group<Member, &'a Locality>> {
        let groups = std::mem::take(&mut self.groups).into_iter();
        let mut groups: Vec<_> = groups.map(|group| with_members(group, Vec::new()).0).collect();
        for (number, member) in std::mem::take(&mut self.members) {
            if let Some(group) = groups.get_mut(number) {
                group.members.push(member);
            }
        }
        groups
    }

    /// Puts groups in the place of those that were taken.
    pub(super) fn put_groups(&mut self, groups: Vec<Group<Member, &'a Locality>>) {
        for (number, group) in groups.into_iter().enumerate() {
            let (group, members) = with_members(group, Vec::new());
            self.members.extend(members.into_iter().map(|member| (number, member)));
            self.groups.push(group);
        }
    }

    pub(super) fn gateway(&self, gateway: u32) -> Option<&'a NetworkGateway> {
        self.gateways.get(usize::try_from(gateway).ok()?).copied()
    }

    /// Records the endpoints that a gateway stands for.
    pub(super) fn front(&mut self, gateway: usize, endpoints: Vec<(Batch, Form)>) -> Source {
        let narrow = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let start = narrow(self.fronts.len());
        self.fronts.extend(endpoints);
        Source::Gateway { gateway: narrow(gateway), fronts: (start, narrow(self.fronts.len())) }
    }

    pub(super) fn drop(&mut self, batch: Batch, reason: DropReason) {
        if self.dropped.is_empty() {
            // Where one is dropped, others are too: those of a subset.
            let cohorts = self.shards.iter().map(|shard| shard.cohorts().len());
            self.dropped.reserve(cohorts.sum());
        }
        self.dropped.push((batch, reason));
    }

    /// The endpoints that a gateway stands for.
    pub(super) fn fronted(&self, fronts: (u32, u32)) -> &[(Batch, Form)] {
        part(&self.fronts, fronts)
    }

    /// Drops a member, or what the gateway stands for.
    pub(super) fn drop_behind(&mut self, member: &Member, reason: DropReason) {
        match member.source {
            Source::Endpoints(batch) => self.drop(batch, reason),
            Source::Gateway { fronts, .. } => {
                let behind = part(&self.fronts, fronts);
                self.dropped.extend(behind.iter().map(|(batch, _)| (*batch, reason)));
            }
        }
    }
}

/// A group with other members, and those that it had.
fn with_members<M, N, L>(group: Group<M, L>, members: Vec<N>) -> (Group<N, L>, Vec<M>) {
    let Group { locality, weight, priority, members: before, reason } = group;
    (Group { locality, weight, priority, members, reason }, before)
}

/// A part of a list.
pub(super) fn part<T>(list: &[T], (start, end): (u32, u32)) -> &[T] {
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range.and_then(|(start, end)| list.get(start..end)).unwrap_or_default()
}
