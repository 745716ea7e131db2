//! What shares do not tell: how balance comes about connection by connection, request by request.
//!
//! A share is what an endpoint gets in the long run if every request is balanced. Through a gateway
//! that works on connections it is not; an ejection of a gateway takes away all that lies behind it;
//! and a change of hosts moves keys. Here such things are played through, with a seed: the same seed
//! gives the same answer everywhere.
mod ejection;
mod gateway;
mod stability;

use crate::number::mixed;

pub use self::ejection::{EjectionOutcome, EjectionScenario, play_ejections};
pub use self::gateway::{ConnectionPick, GatewayScenario, Spreading, directly, through_gateways};
pub(crate) use self::stability::moved_keys_between;
pub use self::stability::{MovedKeys, moved_keys};

/// A seeded sequence of random numbers (`SplitMix64`).
///
/// ```
/// use mesh_lb::simulate::Seeded;
///
/// let (mut one, mut same) = (Seeded::new(7), Seeded::new(7));
/// assert_eq!([one.draw(), one.draw()], [same.draw(), same.draw()]);
/// ```
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// Begins a sequence.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }
}
