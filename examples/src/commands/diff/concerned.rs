//! Which proxies a change can concern, and what of each: the others are not looked at.
use mesh_model::compat::DataPlane;
use mesh_model::name::Hostname;
use mesh_model::registry::Effect;
use mesh_model::view::{Proxy, ProxyKind, Scopes};
use mesh_xds_gen::{Part, Reach};

use super::Sides;

/// A proxy, and what the change can make different for it.
#[derive(Debug)]
pub(super) struct Concerned<'p> {
    pub(super) reference: &'p str,
    reach: Reach,
}

/// The proxies that a change can concern, in their order.
pub(super) fn of<'p>(
    sides: Sides<'_>,
    proxies: &'p [String],
    effect: &Effect,
) -> Vec<Concerned<'p>> {
    if effect.is_empty() {
        return Vec::new();
    }
    let mut scopes = [Scopes::default(), Scopes::default()];
    let reaches = proxies.iter().map(|reference| {
        let reach = reach(sides, &mut scopes, reference, effect);
        Concerned { reference, reach: reach.unwrap_or_else(Reach::everything) }
    });
    reaches.filter(|concerned| !concerned.reach.is_empty()).collect()
}

/// What the change can make different for a proxy; `None`: all of it.
fn reach(
    sides: Sides<'_>,
    [of_old, of_new]: &mut [Scopes; 2],
    reference: &str,
    effect: &Effect,
) -> Option<Reach> {
    let (old, new) = (sides.old.proxy(reference).ok()?, sides.new.proxy(reference).ok()?);
    if asks_otherwise(&old) || asks_otherwise(&new) {
        return None;
    }
    let (before, after) = (of_old.view(sides.old, &old)?, of_new.view(sides.new, &new)?);
    Some(Reach::of(&before, &after, effect))
}

/// Whether it is sent other types than those that a reach knows, or by other names.
fn asks_otherwise(proxy: &Proxy) -> bool {
    proxy.kind == ProxyKind::Ztunnel || proxy.data_plane == DataPlane::Grpc
}

impl Concerned<'_> {
    /// Whether the traffic to a host can go elsewhere: its endpoints or its clusters can differ.
    pub(super) fn may_move(&self, host: &Hostname) -> bool {
        let Reach { clusters, endpoints, .. } = &self.reach;
        [clusters, endpoints].into_iter().any(|part| match part {
            Part::None => false,
            Part::Hosts(hosts) => hosts.contains(host),
            Part::All => true,
        })
    }
}
