//! Messages as bytes, without making them as messages first.
//!
//! What is written here is what prost writes of the same message: fields in the order of their
//! numbers, maps in the order of their keys.
mod backwards;
mod pool;
mod stencil;

pub(crate) use self::backwards::Backwards;
pub(crate) use self::pool::Pool;
pub(crate) use self::stencil::{Refill, Stencil, mark};
