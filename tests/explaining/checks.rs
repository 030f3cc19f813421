//! The table of checks: each occurs in its own dialogue, and not in the other one; a finding of each dialogue is of a check that the
//! table has, and blames whom the table blames.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use imapscope::check::{ALL, Blames, Check};
use imapscope::event::{Culprit, NoteKind, Peer};
use imapscope::exchange::Explained;
use imapscope::sink::Sink;

use crate::dialogue::play;

/// Collects the checks that a conversation fails.
#[derive(Default)]
struct Found(BTreeSet<&'static str>);

impl Sink for Found {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        for note in event.notes {
            let NoteKind::Finding(culprit) = note.kind else {
                assert!(note.check.is_empty(), "{note:?}");
                continue;
            };
            let check = Check::named(note.check).unwrap_or_else(|| panic!("no row for {note:?}"));
            let allowed = match (check.blames, event.event.from) {
                (Blames::Client, _) | (Blames::Sender, Peer::Client) => Culprit::Client,
                (Blames::Server, _) | (Blames::Sender, Peer::Server) => Culprit::Server,
                (Blames::Nobody, _) => Culprit::None,
            };
            // Whatever is wrong with our own words, no peer is to blame; what follows from something else is that one's.
            let follows = note.consequence.is_some();
            assert!(culprit == allowed || culprit == Culprit::None || follows, "{note:?}");
            let first = note.consequence.map(|first| first.check);
            assert!(first.is_none_or(|first| self.0.contains(first)), "{note:?} follows from nothing");
            let size = event.bytes.len() as u32;
            assert!(note.span.is_none_or(|span| span.start < span.end && span.end <= size), "{note:?} of {size}");
            self.0.insert(check.id);
        }
        self.0.extend(event.summary.map(|summary| summary.verdict.cause.check).filter(|check| !check.is_empty()));
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_check_has_a_dialogue_with_and_one_without() {
    let mut by_file = BTreeMap::new();
    for (path, dialogue, grammar) in play::all() {
        let mut found = Found::default();
        play::play(&dialogue, &grammar, (1, usize::MAX, false), &mut found);
        let name = path.strip_prefix(play::root()).expect("below it").display().to_string();
        by_file.insert(name, (grammar.name.clone(), found.0));
    }
    let mut wrong = Vec::new();
    for check in ALL {
        let [with, without] = check.dialogues.map(|name| &by_file[name].1);
        if !with.contains(check.id) {
            wrong.push(format!("{} does not occur in {}", check.id, check.dialogues[0]));
        }
        if without.contains(check.id) {
            wrong.push(format!("{} occurs in {}", check.id, check.dialogues[1]));
        }
        for (name, (protocol, found)) in &by_file {
            let known = check.protocols.is_empty() || check.protocols.contains(&protocol.as_str());
            if found.contains(check.id) && !known {
                wrong.push(format!("{} occurs in {name}, and {protocol} is not among its protocols", check.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
