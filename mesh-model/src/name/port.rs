//! Port numbers.
use std::fmt;

/// A port number of 1 to 65535.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Port(std::num::NonZeroU16);

impl Port {
    /// Returns the number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is not a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a port number is between 1 and 65535")]
pub struct InvalidPort(());

impl TryFrom<u16> for Port {
    type Error = InvalidPort;

    fn try_from(number: u16) -> Result<Self, InvalidPort> {
        std::num::NonZeroU16::new(number).map(Self).ok_or(InvalidPort(()))
    }
}

impl TryFrom<u32> for Port {
    type Error = InvalidPort;

    fn try_from(number: u32) -> Result<Self, InvalidPort> {
        u16::try_from(number).map_err(|_| InvalidPort(()))?.try_into()
    }
}
