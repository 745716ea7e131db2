//! What a gRPC client or server takes of what it is sent: the rest it refuses, resource by resource.
//!
//! Nothing is refused here that Envoy would refuse too; these are the fields that only Envoy has, and
//! the numbers that only gRPC minds.
//!
//! # Upstream
//!
//! grpc/grpc-go `internal/xds/xdsclient/xdsresource` `unmarshal_cds.go`, `unmarshal_eds.go`,
//! `unmarshal_lds.go`, `unmarshal_rds.go`.
mod cluster;
mod endpoints;
mod listener;
mod route;
mod security;

use std::fmt;

pub use self::cluster::cluster;
pub use self::endpoints::endpoints;
pub use self::listener::listener;
pub use self::route::routes;

/// A gRPC program refuses the resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    why: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for Refused {}

/// Refuses with a sentence unless a condition holds.
const fn demand(holds: bool, why: &'static str) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(Refused { why }) }
}

fn refuse<T>(why: &'static str) -> Result<T, Refused> {
    Err(Refused { why })
}
