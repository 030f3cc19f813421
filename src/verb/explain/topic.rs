//! A topic: the entries of the descriptions whose text has a word.

use std::io;
use std::sync::Arc;

use super::{Sheet, title};
use crate::grammar::Grammar;

/// Maximum number of entries that a topic lists.
const MAX_TOPIC: usize = 12;

/// Lists the entries whose text has this word. Returns false if there are none.
pub(super) fn topic(grammars: &[Arc<Grammar>], wanted: &str, sheet: &mut Sheet<'_>) -> io::Result<bool> {
    let wanted = wanted.to_ascii_lowercase();
    if wanted.len() < 3 || !wanted.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ') {
        return Ok(false);
    }
    let has = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.match_indices(&wanted).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()))
    };
    let mut found: Vec<(String, &str)> = Vec::new();
    let add = |name: &str, kind: &str, grammar: &Grammar, does: &str, note: &str| {
        let head = format!("{name}, {kind} of {}", title(grammar));
        (has(does) || has(note)).then_some(head)
    };
    for grammar in grammars {
        for it in &grammar.commands {
            found.extend(add(&it.name, "command", grammar, &it.does, &it.note).map(|head| (head, it.does.as_str())));
        }
        for it in &grammar.capabilities {
            found.extend(add(&it.name, "capability", grammar, &it.does, &it.note).map(|head| (head, it.does.as_str())));
        }
        for it in &grammar.codes {
            found.extend(
                add(&it.name, "response code", grammar, &it.does, &it.note).map(|head| (head, it.does.as_str())),
            );
        }
    }
    for (head, does) in found.iter().take(MAX_TOPIC) {
        sheet.row(head, does)?;
    }
    if found.len() > MAX_TOPIC {
        writeln!(sheet.out, "and {} more", found.len() - MAX_TOPIC)?;
    }
    Ok(!found.is_empty())
}
