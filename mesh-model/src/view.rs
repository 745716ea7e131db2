//! What one proxy sees.
pub mod cluster_local;
pub mod mtls;
mod proxy;

pub use self::proxy::{InterceptionMode, IpFamilies, Proxy, ProxyKind};
