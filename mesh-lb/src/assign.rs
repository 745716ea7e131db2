//! Which endpoints a proxy uses, at which priority and weight: istiod's half of load balancing.
//!
//! ```text
//! shards ─filter, verdict─▶ endpoints that the proxy may know, and how it speaks to them
//!        ─group─▶ localities, by the raw text
//!        ─split_horizon─▶ other networks' endpoints become gateways, weights scaled
//!        ─rank─▶ distribute │ failover_priority, failover │ zone_aware ─▶ priorities without gaps
//! ```
//!
//! [`Assignment::compute`] is all of it, [`Layouts`] does it for one service after the other;
//! [`Assignment::explain`] says why. What Envoy then makes of
//! priorities and weights is not decided here.
//!
//! Upstream: istio/istio `pilot/pkg/xds/endpoints`, `pilot/pkg/networking/core/loadbalancer`.
mod input; // Reading order: what goes in, the steps, what comes out.

mod filter;

mod verdict;

mod group;

mod split_horizon;

mod setting;

mod rank;

mod distribute;

mod failover_priority;

mod failover;

mod zone_aware;

mod compact;

mod weight;

mod overflow;

mod draft;

mod run;

mod layout;

mod basis;

mod assigned;

mod assignment;

mod of_view;

mod layouts;

mod discovery;

mod auto_mtls;

mod class;

mod reason;

mod explain;

pub use self::assigned::{AssignedEndpoint, AssignedLocality, AssignedPart, Target, Transport};
pub use self::assignment::Assignment;
pub use self::auto_mtls::is_auto_mutual;
pub(crate) use self::basis::{Bases, Basis};
pub(crate) use self::class::Standpoint;
pub use self::class::{Assignments, ClientClass};
pub(crate) use self::discovery::sends_by_key;
pub use self::discovery::{Discovery, is_passthrough, is_sharded};
pub use self::distribute::locality_matches;
pub use self::explain::{Explanation, Said, Unused, Used};
pub use self::failover_priority::LabelMatch;
pub(crate) use self::failover_priority::asked_labels;
pub use self::filter::{check_visible, subset_labels, supports_unhealthy_endpoints};
pub use self::input::{ClusterForm, Input};
pub(crate) use self::layout::Rank;
pub use self::layouts::Layouts;
pub use self::of_view::Supply;
pub use self::overflow::{Excess, Overflow};
pub use self::rank::{Group, Ranking};
pub use self::reason::{DropReason, Equal, Nearness, Reason};
pub(crate) use self::run::Id;
pub use self::run::{PartIdentity, PartPlace};
pub use self::setting::EffectiveSetting;
