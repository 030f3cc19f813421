//! Recordings: what connections reported, as lines of JSON, written as it happens and read again.
//!
//! A recording holds the events of the session with their octets, secrets replaced by filler of the same length; what they
//! mean is explained anew by whoever reads it, by the code that explains a live connection. What a rule did, when things
//! happened and what a login said cannot be found out again, and so they are written down. Knows events and how texts are
//! read; knows no session, no explainer and no look.
//!
//! The first line says `{"imapscope":1,…}`: see [`Head`]. Each line behind it is an event: see [`line::Line`].

pub mod line;
mod lines;
mod list;
mod quick;
mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Form, Peer, Reading};
use crate::wire;
pub use list::lists;
pub use read::{MAX_OPEN, Reader, START, State};
pub use write::Writer;

/// The version of the format that is written, and the newest that is understood.
pub const FORMAT: u32 = 1;

/// The longest line that is read, in octets. The longest that is written has some 2 MiB: a list of names that fills a text.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    /// The version of the format.
    pub imapscope: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// The routes, as they were given.
    pub routes: Vec<String>,
    /// The protocols: the names of their descriptions, and the forms of their lines.
    pub protocols: BTreeMap<String, Form>,
    /// Passwords and tokens stand in it as they came.
    pub secrets: bool,
    /// When its first event happened, in nanoseconds since 1970; 0 if none had. All files of a recording have it from the first.
    #[serde(skip_serializing_if = "is_nothing")]
    pub began: u64,
    /// Of a recording in several files, which one it is, from 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub part: u32,
}

impl Head {
    /// True if what this one begins goes on in the file that begins with the other. An older recording may have left files
    /// of the same names.
    #[must_use]
    pub fn goes_on(&self, next: &Head) -> bool {
        let mut expected = self.clone();
        expected.part = self.part.saturating_add(1);
        expected == *next
    }
}

const fn is_zero(part: &u32) -> bool {
    *part == 0
}

const fn is_nothing(began: &u64) -> bool {
    *began == 0
}

/// How a text reads if nothing but its form tells: what differs from this is written down.
fn plain(form: Form, from: Peer, first: bool, text: &[u8]) -> Reading {
    if first { wire::read(form, from, text) } else { wire::read_more(form, from, text) }
}
