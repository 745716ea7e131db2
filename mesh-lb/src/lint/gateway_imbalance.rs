//! `HZ-EW-L4-IMBALANCE` with figures: how uneven the requests of this mesh's clients come out.
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::Mesh;

use super::{Case, destinations, proxies};
use crate::whatif::{Outcome, distinct_views};

const CODE: &str = "HZ-EW-L4-IMBALANCE";
/// Any: the same mesh gives the same figures.
const SEED: u64 = 1;

/// Adds to each finding what the requests of the first client that uses a gateway come to.
pub(super) fn add_figures(mesh: &Mesh, found: &mut [Diagnostic]) {
    let mut left: Vec<&mut Diagnostic> = found.iter_mut().filter(|one| one.code == CODE).collect();
    if left.is_empty() {
        return;
    }
    let proxies = proxies(mesh);
    for view in &distinct_views(mesh, &proxies) {
        let client = view.proxy();
        let count = proxies.iter().filter(|other| other.network == client.network).count();
        for destination in destinations(view) {
            let case = Case { view, destination: &destination };
            let subject = case.subject();
            let Some(at) = left.iter().position(|one| one.object == subject.object()) else {
                continue;
            };
            let outcome = Outcome::now(view, &destination);
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let Some(played) = outcome.imbalance(&destination, count, SEED) else { continue };
            let one = left.swap_remove(at);
            one.message = format!(
                "{}; of {count} clients in network `{}`, played through, the busiest of {} endpoints gets \
                 {:.1} times the mean and {} get nothing",
                one.message,
                client.network,
                played.scenario.backends,
                played.by_connection.busiest(),
                played.by_connection.idle(),
            );
        }
    }
}
