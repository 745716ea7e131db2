//! Which share: turning the health of priorities and localities into shares of traffic.
//!
//! ```text
//! host counts ─▶ health = min(100, factor × healthy / total) ─▶ load, sums to 100 ─▶ one priority
//!                     └─▶ panic: too few hosts left, so health no longer counts ──┘
//! ```
//!
//! # The failover table
//!
//! Envoy's documentation (*Priority levels*) shows three priorities of equal size and what each gets. All
//! rows but the last are what the proxy does:
//!
//! | healthy: P0 | P1 | P2 | traffic: P0 | P1 | P2 |
//! |---|---|---|---|---|---|
//! | 100 % | 100 % | 100 % | 100 % | 0 % | 0 % |
//! | 72 % | 72 % | 100 % | 100 % | 0 % | 0 % |
//! | 71 % | 71 % | 100 % | 99 % | 1 % | 0 % |
//! | 50 % | 50 % | 100 % | 70 % | 30 % | 0 % |
//! | 25 % | 100 % | 100 % | 35 % | 65 % | 0 % |
//! | 25 % | 25 % | 100 % | 35 % | 35 % | 30 % |
//! | 25 % | 25 % | 20 % | ~~36 %~~ **37 %** | ~~36 %~~ **35 %** | 28 % |
//!
//! The last row is printed as 36/36/28, each share rounded to the nearest percent. The proxy does not
//! round: 35, 35 and 28 percent of health sum to 98, so the shares are 35 × 100 / 98, 35 × 100 / 98 and
//! 28 × 100 / 98, truncated to 35, 35 and 28, and the 2 percent that are missing go to the first priority
//! with health: 37/35/28. And this holds only with the panic threshold at 0, as istiod configures it. At
//! Envoy's own threshold of 50 every one of the three is in panic, since less than half of its hosts are
//! healthy and the sum is below 100; then traffic follows the numbers of hosts: 34/33/33.
//!
//! ```
//! use mesh_lb::load::{DataPlane, LevelHosts, PanicThreshold, PriorityLoad};
//!
//! let check = |healthy: [u32; 3], panic: PanicThreshold, expected: [u32; 3]| {
//!     let hosts = healthy.map(|healthy| LevelHosts::healthy_of(healthy, 100));
//!     let mut load = PriorityLoad::default();
//!     load.spill(DataPlane::Envoy, &hosts, panic);
//!     let loads: Vec<u32> = load.levels().iter().map(|level| level.healthy_load.get()).collect();
//!     assert_eq!(loads, expected);
//! };
//! for panic in [PanicThreshold::OFF, PanicThreshold::default()] {
//!     check([100, 100, 100], panic, [100, 0, 0]);
//!     check([72, 72, 100], panic, [100, 0, 0]);
//!     check([71, 71, 100], panic, [99, 1, 0]);
//!     check([50, 50, 100], panic, [70, 30, 0]);
//!     check([25, 100, 100], panic, [35, 65, 0]);
//!     check([25, 25, 100], panic, [35, 35, 30]);
//! }
//! check([25, 25, 20], PanicThreshold::OFF, [37, 35, 28]);
//! check([25, 25, 20], PanicThreshold::default(), [34, 33, 33]);
//! ```
mod aggregate;
mod data_plane;
mod degraded;
mod explain;
mod explain_places;
mod load_aware;
mod locality;
mod overprovision;
mod panic;
mod priority;
mod zone_aware;
mod zone_use;

pub use mesh_model::compat::DataPlane;

pub use self::aggregate::{Aggregate, AggregateLevel, composite_member};
pub use self::degraded::Availability;
pub(crate) use self::degraded::entitled;
pub use self::explain::explain;
pub(crate) use self::explain_places::explain_weights;
pub use self::explain_places::{explain_localities, explain_zones};
pub use self::load_aware::{
    LoadAware, LoadAwareReasons, LoadAwareWeights, LoadedLocalities, LoadedLocality,
    ReportedUtilization, SmoothedUtilization,
};
pub use self::locality::{LocalityHosts, LocalityScheduler, LocalityWeights};
pub use self::overprovision::{
    HostWeights, InvalidOverprovisioning, LevelHosts, Overprovisioning, Percent,
};
pub use self::panic::PanicThreshold;
pub(crate) use self::priority::normalized_total_availability;
pub use self::priority::{LevelLoad, PriorityChoice, PriorityLoad, choose_priority};
pub use self::zone_aware::{
    LocalityBasis, NoZoneRouting, Zone, ZoneAwareConfig, ZonePick, ZonePickReason, ZoneRouting,
    ZoneShare, Zones,
};
pub use self::zone_use::{OnPanic, ZoneChoice, ZoneUse};
