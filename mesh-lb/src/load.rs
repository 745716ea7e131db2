//! Which share: turning the health of priorities and localities into shares of traffic.
//!
//! ```text
//! host counts ─▶ health = min(100, factor × healthy / total) ─▶ load, sums to 100 ─▶ one priority
//!                     └─▶ panic: too few hosts left, so health no longer counts ──┘
//! ```
mod aggregate;
mod data_plane;
mod degraded;
mod explain;
mod locality;
mod overprovision;
mod panic;
mod priority;
mod zone_aware;

pub use mesh_model::compat::DataPlane;

pub use self::aggregate::{Aggregate, AggregateLevel};
pub use self::degraded::Availability;
pub(crate) use self::degraded::entitled;
pub use self::explain::explain;
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
