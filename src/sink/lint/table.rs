//! The checks that there are: for people in a terminal of 80 columns, and as an object of JSON a line.

use std::fmt::Write as _;

use serde::Serialize;

use super::text::fold;
use crate::check::{ALL, Blames, Check};
use crate::event::Severity;

/// Columns of the table.
const WIDTH: usize = 80;

/// Columns of ids, with the blank after them.
const ID: usize = 27;

#[derive(Serialize)]
struct Line {
    id: &'static str,
    severity: &'static str,
    culprit: &'static str,
    protocols: &'static [&'static str],
    rules: &'static [&'static str],
    rfc: Vec<&'static str>,
    summary: &'static str,
}

/// Returns all checks, the worst first, with their culprits, protocols and summaries.
#[must_use]
pub fn table() -> String {
    // A string takes all that is written.
    let mut out = String::new();
    for severity in Severity::ALL {
        let checks: Vec<&&Check> = ALL.iter().filter(|check| check.severity == severity).collect();
        let blank = if out.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{blank}{}: {}", severity.word(), means(severity));
        for check in checks {
            let protocols = if check.protocols.is_empty() { "all".to_owned() } else { check.protocols.join(" ") };
            let _ = writeln!(out, "  {:<ID$}{:<8}{protocols}", check.id, blames(check.blames));
            let _ = writeln!(out, "      {}", fold(check.summary, WIDTH, 6).join("\n      "));
        }
    }
    out.push_str("\nimapscope explain ID says why a check matters, and what to do.\n");
    out
}

/// Returns all checks, an object a line, in the order of their ids.
#[must_use]
pub fn lines() -> String {
    let line = |check: &&Check| Line {
        id: check.id,
        severity: check.severity.word(),
        culprit: blames(check.blames),
        protocols: check.protocols,
        rules: check.rules,
        rfc: check.rfc.into_iter().filter(|section| !section.is_empty()).collect(),
        summary: check.summary,
    };
    // A struct of strings is always JSON.
    ALL.iter().map(|check| serde_json::to_string(&line(check)).unwrap_or_default() + "\n").collect()
}

/// Says what a severity means.
pub(super) const fn means(severity: Severity) -> &'static str {
    match severity {
        Severity::Must => "a rule with MUST, or the grammar, is broken",
        Severity::Should => "a rule with SHOULD is broken",
        Severity::Quirk => "legal, and known to break peers; accuses nobody",
    }
}

const fn blames(blames: Blames) -> &'static str {
    match blames {
        Blames::Sender => "sender",
        Blames::Client => "client",
        Blames::Server => "server",
        Blames::Nobody => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_checks_fit_a_terminal() {
        let table = table();
        for line in table.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(ALL.iter().all(|check| table.contains(&format!("\n  {} ", check.id)) && check.id.len() < ID));
        assert_eq!(lines().lines().count(), ALL.len());
    }
}
