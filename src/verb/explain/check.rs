//! A check, explained: what is wrong, for whom, and what to do.

use std::io;

use super::Sheet;
use crate::check::{Blames, Check};
use crate::event::Severity;

/// Writes the row of a check.
pub(super) fn check(found: &Check, sheet: &mut Sheet<'_>) -> io::Result<()> {
    sheet.head(found.id, found.id, "check")?;
    let mut summary = found.summary.to_owned();
    if let Some(first) = summary.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sheet.prose(&(summary + "."))?;
    sheet.prose(found.why)?;
    sheet.row(
        "severity",
        match found.severity {
            Severity::Must => "must: a rule with MUST, or the grammar, is broken",
            Severity::Should => "should: a rule with SHOULD is broken",
            Severity::Quirk => "quirk: no rule is broken, and nobody is blamed",
        },
    )?;
    sheet.row(
        "at fault",
        match found.blames {
            Blames::Sender => "the peer that sent it",
            Blames::Client => "the client",
            Blames::Server => "the server",
            Blames::Nobody => "nobody",
        },
    )?;
    sheet.row("protocols", &found.protocols.join(", "))?;
    let mut sections: Vec<&str> = Vec::new();
    for section in found.rfc.into_iter().filter(|section| !section.is_empty()) {
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    sheet.row("written in", &sections.join(", "))?;
    sheet.row("client's fix", found.fix[0])?;
    sheet.row("server's fix", found.fix[1])?;
    sheet.row("works around it", found.rule)?;
    sheet.row("no finding", found.except)?;
    sheet.row("in conditions", &format!("check == {}", found.id))
}
