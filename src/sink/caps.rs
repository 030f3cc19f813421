//! Capability lists as a table, one entry a line: what became of it, its name, where it is written, what it means.

use super::escape::{columns, escaped};
use super::page::Page;
use super::style::Ink;
use crate::event::{Fate, Note, NoteKind};

/// The widest that the column of names gets; a longer name takes its room from the meaning.
const NAME: usize = 24;

/// The widest that the column of standards gets.
const RFC: usize = 24;

/// Where a column for the meaning would be narrower than this, its lines begin at the left.
const MEANING: usize = 30;

/// What became of the entry that a note is about, if it is about one.
#[must_use]
pub fn fate(note: &Note) -> Option<Fate> {
    match note.kind {
        NoteKind::Capability(fate) => Some(fate),
        _ => None,
    }
}

/// Where the thing that a note is about is written: the first of the places, as a line of the log has room for one.
#[must_use]
pub fn reference(note: &Note) -> Option<&str> {
    note.rfc.as_deref().and_then(|places| places.split(", ").next()).filter(|place| !place.is_empty())
}

/// Writes the entries of one list, all of them notes of [`NoteKind::Capability`].
/// Those of a `later` list are what it has of new names.
pub fn write(page: &mut Page, entries: &[Note], later: bool) {
    heading(page, entries, later);
    rows(page, entries);
}

/// Writes entries without a heading.
pub fn rows(page: &mut Page, entries: &[Note]) {
    let widest = |text: fn(&Note) -> Option<&str>, most: usize| {
        entries.iter().filter_map(text).map(|text| columns(&escaped(text))).max().unwrap_or(0).min(most)
    };
    let name_width = widest(|note| note.about.as_deref(), NAME);
    let rfc_width = widest(reference, RFC);
    for entry in entries {
        let (mark, ink) = match fate(entry) {
            Some(Fate::Removed) => ("-", Ink::Removed),
            Some(Fate::Added) => ("+", Ink::Added),
            _ => (" ", Ink::Strong),
        };
        let indent = 2 + name_width + 2 + if rfc_width > 0 { rfc_width + 2 } else { 0 };
        let hang = if page.room().is_some_and(|room| indent + MEANING > room) { 4 } else { indent };
        page.note(page.gutter, "|", hang);
        page.cell(if mark == "-" { Ink::Bad } else { Ink::Good }, mark, 1, false);
        page.cell(Ink::Plain, "", 1, false);
        page.cell(ink, entry.about.as_deref().unwrap_or_default(), name_width, false);
        page.cell(Ink::Plain, "", 2, false);
        if rfc_width > 0 {
            page.cell(Ink::Faint, reference(entry).unwrap_or_default(), rfc_width, false);
            page.cell(Ink::Plain, "", 2, false);
        }
        page.words(Ink::Plain, &entry.text);
        page.end();
    }
}

/// `14 capabilities, - 1 taken away by a rule, + 1 put there by a rule:`
fn heading(page: &mut Page, entries: &[Note], later: bool) {
    let count = |wanted: Fate| entries.iter().filter(|note| fate(note) == Some(wanted)).count();
    let (removed, added) = (count(Fate::Removed), count(Fate::Added));
    page.remark();
    let noun = if entries.len() == 1 { "capability" } else { "capabilities" };
    page.words(Ink::Plain, &format!("{}{} {noun}", entries.len(), if later { " new" } else { "" }));
    if removed > 0 {
        page.words(Ink::Plain, ",");
        page.unit(Ink::Bad, &format!("- {removed} taken away by a rule"));
    }
    if added > 0 {
        page.words(Ink::Plain, ",");
        page.unit(Ink::Good, &format!("+ {added} put there by a rule"));
    }
    page.words(Ink::Plain, ":");
    page.end();
}
