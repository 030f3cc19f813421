//! What is odd about a text or block on the wire, as notes: what is one mistake is one finding, and another protocol is named once.

use super::{Explainer, Met, early, finding};
use crate::event::{Foreign, Kind, NoteKind, Oddity, Peer, Text, repeated};
use crate::wire;

impl Explainer {
    /// What is odd about a text or a block. What is one mistake is one finding: all that was smuggled in one piece, and all
    /// false ends of one message.
    pub(super) fn odd(&mut self, from: Peer, oddities: &[Oddity], unasked: bool) {
        let goes_on = self.smuggled;
        if from == Peer::Client {
            self.smuggled = repeated(oddities) > 0;
        }
        let mut ends = oddities.iter().filter(|odd| matches!(odd, Oddity::FalseEnd(..))).count();
        for &odd in oddities {
            let mut note = finding::oddity(odd, from, unasked && odd == Oddity::UnexpectedGoAhead, self.book);
            match odd {
                Oddity::Smuggled(_) if goes_on => {
                    (note.kind, note.text, note.rfc) =
                        (NoteKind::Session, "smuggled along with the above".to_owned(), None);
                }
                Oddity::FalseEnd(..) => match std::mem::take(&mut ends) {
                    0 => continue,
                    1 => {}
                    all => note.text.push_str(&format!(" (and {} more like it)", all - 1)),
                },
                // The size says the latter.
                Oddity::Inferred | Oddity::LeftOut => continue,
                _ => {}
            }
            self.notes.push(note);
        }
    }

    pub(super) fn oddities(&mut self, from: Peer, text: &Text, shown: &[u8]) {
        self.odd(from, &text.oddities, self.unasked);
        match text.reading.kind {
            Kind::Foreign(what) => self.foreign(what, from),
            Kind::Unknown
                if !text.oddities.iter().any(|odd| {
                    matches!(odd, Oddity::Truncated | Oddity::CutShort | Oddity::Torn | Oddity::Unfinished)
                }) =>
            {
                let at = text.reading.stopped.unwrap_or(0);
                let what = if at as usize >= wire::body(shown).len() {
                    "not understood: it ends too early".to_owned()
                } else {
                    format!("not understood from octet {at} on; it was passed on as it is")
                };
                self.notes.push(finding::finding(from, "not-understood", what, self.book.lines()));
            }
            _ => {}
        }
    }

    /// Another protocol, said once of each peer. What it greets with is no greeting of ours.
    fn foreign(&mut self, what: Foreign, from: Peer) {
        if from == Peer::Server {
            self.early = early::Early::Judged;
        }
        if self.first_time(Met::Status, from.word().as_bytes()) {
            self.notes.push(finding::foreign(what, from));
        }
    }
}
