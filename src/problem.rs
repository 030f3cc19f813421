//! What the user wrote that cannot be meant: the one error type for routes, rules, grammars and options. Raised
//! before a socket opens; the program then exits with 2.

use std::fmt;

/// A mistake of the user's, with its place and remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: an option, or a file with line and column (`rules.txt:3:7`).
    pub origin: String,
    /// What is wrong. May have several lines (the line at fault with a caret under it).
    pub what: String,
    /// What would be right; empty if there is nothing to say.
    pub help: String,
}

impl Problem {
    /// A problem at a place.
    pub fn new(origin: impl Into<String>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Problem { origin: origin.into(), what: what.into(), help: help.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)?;
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
