//! What happens to traffic when something fails.
//!
//! ```text
//! Scenario ─endpoints, gateways─▶ Assignment ─health─▶ Outcome ─(before, after)─▶ Shift, overload
//! ```
//!
//! A failure changes what the control plane knows (endpoints become unhealthy, or go) and what the
//! client notices by itself (a gateway that no longer answers); the assignment and its shares are then
//! computed as at any other time. [`Survey`] finds the proxies of a mesh that are sent
//! the same, and looks at all of them at once.
//!
//! Zones do not count here: within a priority hosts share alike, or localities by weight. That is what a
//! proxy does that does not know its own cluster. One of Istio's that does (`ENABLE_SELF_DISCOVERY`)
//! keeps more in its zone, as much as `zoneAwareLbSetting` lets it; which priorities there are is told
//! for it, too, but not how zones split one. [`Balancer`](crate::Balancer::with_local_cluster) knows
//! that, from the callers' endpoints.
mod failure; // Reading order: what fails, what then holds, what moved, who suffers; then all clients at once.

mod fallen;

mod scenario;

mod outcome;

mod common;

mod shift;

mod ladder;

mod overload;

mod imbalance;

mod played;

pub mod clients;

mod survey;

mod crowd;

mod impact;

pub use self::failure::{Failure, InvalidFailure};
pub use self::imbalance::Imbalance;
pub use self::impact::Impact;
pub use self::ladder::{LADDER, ladder};
pub use self::outcome::{Cell, Outcome};
pub use self::played::{Ejection, Played, Player};
pub use self::scenario::{Loss, Scenario};
pub use self::shift::{Move, Place, Shift};
pub(crate) use self::survey::distinct_views;
pub use self::survey::{Asked, Survey, Surveyed, SurveyedClass, services, services_and_subsets};
