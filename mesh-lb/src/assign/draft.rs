//! An assignment while it is being computed.
use mesh_model::endpoint::{Endpoint, HealthStatus, NetworkGateway, Shards};

use super::{ClusterForm, DropReason, Group, Transport};

/// Where in the shards an endpoint is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct EndpointId {
    pub(super) shard: u32,
    pub(super) index: u32,
}

/// What a member is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    Endpoint(EndpointId),
    /// The gateway, and the part of the list of fronted endpoints that it stands for.
    Gateway {
        gateway: u32,
        fronts: (u32, u32),
    },
}

/// How a member is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    Direct,
    Tunnel,
    Gateway,
    DoubleTunnel,
}

/// An endpoint or gateway of a locality.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) source: Source,
    pub(super) weight: u32,
    pub(super) health: HealthStatus,
    pub(super) reach: Reach,
    pub(super) transport: Transport,
}

impl Member {
    /// A gateway; it has no health, and by HBONE it is entered as a tunnel.
    pub(super) fn gateway(source: Source, reach: Reach, weight: u32, form: ClusterForm) -> Self {
        let transport = match (reach, form) {
            (Reach::DoubleTunnel, ClusterForm::InboundVip) => Transport::Plain,
            (Reach::DoubleTunnel, _) => Transport::Tunnel,
            (Reach::Direct | Reach::Tunnel | Reach::Gateway, _) => Transport::Istio,
        };
        Self { source, weight, health: HealthStatus::Unknown, reach, transport }
    }
}

/// The endpoints that are left so far, by locality.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) groups: Vec<Group<Member>>,
    pub(super) dropped: Vec<(EndpointId, DropReason)>,
    pub(super) gateways: Vec<&'a NetworkGateway>,
    pub(super) fronts: Vec<EndpointId>,
    shards: Vec<&'a [Endpoint]>,
    form: ClusterForm,
}

impl<'a> Draft<'a> {
    pub(super) fn new(shards: &'a Shards, form: ClusterForm) -> Self {
        Self {
            groups: Vec::new(),
            dropped: Vec::new(),
            gateways: Vec::new(),
            fronts: Vec::new(),
            shards: shards.iter().map(|shard| &*shard.endpoints).collect(),
            form,
        }
    }

    pub(super) const fn form(&self) -> ClusterForm {
        self.form
    }

    pub(super) fn endpoint(&self, id: EndpointId) -> Option<&'a Endpoint> {
        let shard = self.shards.get(usize::try_from(id.shard).ok()?)?;
        shard.get(usize::try_from(id.index).ok()?)
    }

    /// The endpoint that a member is, `None` for a gateway.
    pub(super) fn endpoint_of(&self, member: &Member) -> Option<(EndpointId, &'a Endpoint)> {
        match member.source {
            Source::Endpoint(id) => Some((id, self.endpoint(id)?)),
            Source::Gateway { .. } => None,
        }
    }

    pub(super) fn gateway(&self, gateway: u32) -> Option<&'a NetworkGateway> {
        self.gateways.get(usize::try_from(gateway).ok()?).copied()
    }

    /// Records the endpoints that a gateway stands for.
    pub(super) fn front(&mut self, gateway: usize, endpoints: Vec<EndpointId>) -> Source {
        let narrow = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let start = narrow(self.fronts.len());
        self.fronts.extend(endpoints);
        Source::Gateway { gateway: narrow(gateway), fronts: (start, narrow(self.fronts.len())) }
    }

    pub(super) fn drop(&mut self, id: EndpointId, reason: DropReason) {
        self.dropped.push((id, reason));
    }

    /// The endpoints behind a member: itself, or those that the gateway stands for.
    pub(super) fn behind<'m>(&'m self, member: &'m Member) -> &'m [EndpointId] {
        match &member.source {
            Source::Endpoint(id) => std::slice::from_ref(id),
            Source::Gateway { fronts, .. } => fronted(&self.fronts, *fronts),
        }
    }
}

/// A gateway's part of the list of fronted endpoints.
pub(super) fn fronted(fronts: &[EndpointId], (start, end): (u32, u32)) -> &[EndpointId] {
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range.and_then(|(start, end)| fronts.get(start..end)).unwrap_or_default()
}
