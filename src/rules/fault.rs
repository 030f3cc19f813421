//! Faults: what a rule does to the connection instead of to a text. Only the wish; whoever moves octets fulfils it.

use std::time::Duration;

use crate::wording::{amount, duration};

/// A fault, and where in a literal or body it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What is done.
    pub what: Trouble,
    /// Behind so many octets of the first literal or body that belongs to the text, or of the text if none does; before
    /// the text if `None`.
    pub at_byte: Option<u64>,
    /// It acts on every text that its rule matches, rather than once a response: for a delay or throttle.
    pub per_line: bool,
    /// The response on which it acts once; `None` for one that acts on a text.
    pub response: Option<Response>,
}

/// A response on which a rule acts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// The rule's place among all rules.
    pub rule: u32,
    /// The command that the response belongs to, by its frame.
    pub exchange: u64,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// What comes waits for so long: one year at the most.
    Delay(Duration),
    /// From here to the end of the command, or of the whole response to one, this many bytes leave in a second; one at the least.
    Throttle(u64),
    /// From here to the end of the command or response so many octets leave in a write; one at the least.
    Slice(u64),
    /// Nothing more is passed on in this direction, and the connection stays open.
    Stall,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

impl Trouble {
    /// Returns true if nothing leaves in this direction after it.
    #[must_use]
    pub const fn is_last(self) -> bool {
        matches!(self, Trouble::Stall | Trouble::Close | Trouble::Reset)
    }
}

impl Fault {
    /// A fault before a text.
    #[must_use]
    pub const fn before(what: Trouble) -> Self {
        Fault { what, at_byte: None, per_line: false, response: None }
    }

    /// Returns true if it acts once a response.
    #[must_use]
    pub const fn is_once_a_response(&self) -> bool {
        matches!(self.what, Trouble::Delay(_) | Trouble::Throttle(_)) && !self.per_line
    }

    /// What is done, for people: `delayed 2.00 s`, `stalled behind 5 octets`.
    #[must_use]
    pub fn told(&self) -> String {
        let what = match self.what {
            Trouble::Delay(time) => format!("delayed {}", duration(time)),
            Trouble::Throttle(rate) => format!("throttled to {} a second", amount(rate, "octet")),
            Trouble::Slice(size) => format!("sent in slices of {}", amount(size, "octet")),
            Trouble::Stall => "stalled".to_owned(),
            Trouble::Close => "connection closed".to_owned(),
            Trouble::Reset => "connection reset".to_owned(),
        };
        match self.at_byte {
            None => what,
            Some(at) => format!("{what} behind {}", amount(at, "octet")),
        }
    }
}
