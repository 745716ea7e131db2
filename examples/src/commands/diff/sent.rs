//! What proxies are sent before and after, one neighbourhood after the other.
use mesh_model::registry::Mesh;
use mesh_xds_gen::Generator;
use mesh_xds_gen::delta::Delta;
use mesh_xds_gen::snapshot::Snapshot;

use super::Sides;
use super::concerned::Concerned;
use super::traffic::class_of;

/// What one proxy is sent.
#[derive(Debug)]
pub(super) struct Sent<'p> {
    pub(super) reference: &'p str,
    pub(super) class: String,
    pub(super) was: Snapshot,
    pub(super) is: Snapshot,
    /// From the one to the other.
    pub(super) delta: Delta,
}

/// Hands out what proxies are sent, those of one namespace and cluster together.
///
/// They have most in common: it is made once, and of the other side only what differs. No more than one
/// neighbourhood is held at a time.
pub(super) fn by_neighbourhood(
    sides: Sides<'_>,
    proxies: &[Concerned<'_>],
    mut with: impl FnMut(&[Sent<'_>]),
) {
    for proxies in proxies.chunk_by(|a, b| neighbourhood(a) == neighbourhood(b)) {
        let mut generator = Generator::new();
        let [old, new] = sides.each().map(|mesh| {
            let sent = proxies.iter().map(|proxy| sent(&mut generator, mesh, proxy.reference));
            sent.collect::<Vec<_>>()
        });
        let both = proxies.iter().zip(old.into_iter().zip(new));
        let sent = both.filter_map(|(proxy, ((of_old, was), (of_new, is)))| {
            let (class, delta) = (of_new.or(of_old)?, is.diff(&was));
            Some(Sent { reference: proxy.reference, class, was, is, delta })
        });
        with(&sent.collect::<Vec<_>>());
    }
}

/// The cluster and namespace of a proxy.
fn neighbourhood<'p>(proxy: &Concerned<'p>) -> &'p str {
    proxy.reference.rsplit_once('/').map_or(proxy.reference, |(place, _)| place)
}

/// A proxy's class, and what it is sent.
fn sent(generator: &mut Generator, mesh: &Mesh, reference: &str) -> (Option<String>, Snapshot) {
    let Ok(proxy) = mesh.proxy(reference) else { return (None, Snapshot::default()) };
    let view = mesh.view(&proxy);
    let snapshot = view.map(|view| generator.snapshot(&view)).unwrap_or_default();
    (Some(class_of(&proxy)), snapshot)
}
