//! Which share: turning the health of priorities and localities into shares of traffic.
//!
//! ```text
//! host counts ─▶ health = min(100, factor × healthy / total) ─▶ load, sums to 100 ─▶ one priority
//!                     └─▶ panic: too few hosts left, so health no longer counts ──┘
//! ```
mod data_plane;
mod degraded;
mod explain;
mod overprovision;
mod panic;
mod priority;

pub use self::data_plane::DataPlane;
pub use self::degraded::Availability;
pub use self::explain::explain;
pub use self::overprovision::{
    HostWeights, InvalidOverprovisioning, LevelHosts, Overprovisioning, Percent,
};
pub use self::panic::PanicThreshold;
pub use self::priority::{LevelLoad, PriorityChoice, PriorityLoad, choose_priority};
