//! What one proxy sees.
pub mod cluster_local;
mod host_selection;
pub mod mtls;
mod proxy;

pub use self::host_selection::HostSelection;
pub use self::proxy::{InterceptionMode, IpFamilies, Proxy, ProxyKind};
