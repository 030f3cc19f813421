//! What the user wrote that cannot be meant: the one error type for routes, rules, grammars and options. Raised
//! before a socket opens; the program then exits with 2.

use std::fmt::{self, Write as _};

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
        write_plain(f, &self.origin)?;
        f.write_str(": ")?;
        write_plain(f, &self.what)?;
        if !self.help.is_empty() {
            f.write_str("\n  help: ")?;
            write_plain(f, &self.help)?;
        }
        Ok(())
    }
}

/// Writes what came from a command line or a file so that no terminal obeys it: control characters but line breaks, and
/// those that change the direction of writing, are named.
fn write_plain(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '\n' => f.write_char(c),
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            write!(f, "{}", c.escape_unicode())
        }
        c if c.is_control() => write!(f, "{}", c.escape_default()),
        c => f.write_char(c),
    })
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_obeys_a_problem() {
        let problem = Problem::new("--rules \u{1b}[1m", "\u{202e}a\n  b\r", "c\u{7}");
        assert_eq!(problem.to_string(), "--rules \\u{1b}[1m: \\u{202e}a\n  b\\r\n  help: c\\u{7}");
    }
}
