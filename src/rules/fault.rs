//! Faults: what a rule does to the connection instead of to a text. Only the wish; whoever moves octets fulfils it.

use std::fmt;
use std::time::Duration;

use crate::wording::{amount, duration};

/// A fault, and where in a literal or body it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What is done.
    pub what: Trouble,
    /// Behind so many octets of the literal or body that follows the text; at the text itself if `None`.
    pub at_byte: Option<u64>,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// What comes waits for so long: one year at the most.
    Delay(Duration),
    /// From here on so many octets leave in a second; one at the least.
    Throttle(u64),
    /// From here on so many octets leave in a write; one at the least.
    Slice(u64),
    /// Nothing more is passed on, and the connection stays open.
    Stall,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Trouble::Delay(time) => write!(f, "a delay of {}", duration(time))?,
            Trouble::Throttle(rate) => write!(f, "a throttle to {} a second", amount(rate, "octet"))?,
            Trouble::Slice(size) => write!(f, "a cut into slices of {}", amount(size, "octet"))?,
            Trouble::Stall => f.write_str("a stall")?,
            Trouble::Close => f.write_str("a close")?,
            Trouble::Reset => f.write_str("a reset")?,
        }
        self.at_byte.map_or(Ok(()), |at| write!(f, " behind {}", amount(at, "octet")))
    }
}
