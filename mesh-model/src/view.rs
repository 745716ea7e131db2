//! What one proxy sees.
mod proxy;

pub use self::proxy::{InterceptionMode, IpFamilies, Proxy, ProxyKind};
