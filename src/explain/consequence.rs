//! First failure, not last: a finding that follows from another one is marked as its consequence, and blames whom that one blames. A
//! server that answers a client's stray line takes its first word for a tag; one that refuses a literal and reads it all the same
//! takes its lines for commands. Bounded: [`MAX_STRAYS`] words of [`MAX_WORD`] bytes.

use super::Explainer;
use crate::check::imap::{CAPABILITY_BOGUS, LITERAL_AS_COMMANDS, TAG_UNKNOWN};
use crate::check::line::{BARE_CR, NOT_UNDERSTOOD, NUL_BYTE};
use crate::event::{Consequence, Culprit, Data, DataKind, Event, Note, NoteKind, Peer, Text, What};
use crate::exchange::capability::Names;
use crate::grammar::mechanism;
use crate::wire;

/// Maximum number of words that are remembered; the oldest are forgotten.
const MAX_STRAYS: usize = 8;

/// Maximum number of bytes of a word.
const MAX_WORD: usize = 24;

/// What is wrong with a line that begins with somebody else's bytes.
const ECHOES: [&str; 4] = [TAG_UNKNOWN.id, NOT_UNDERSTOOD.id, NUL_BYTE.id, BARE_CR.id];

/// Something that went astray, by the word by which it may come back.
#[derive(Debug)]
pub(super) struct Stray {
    frame: u64,
    /// The check that found it; empty for a line of a client's literal, with which nothing need be wrong.
    check: &'static str,
    culprit: Culprit,
    word: Box<[u8]>,
}

impl Explainer {
    /// After an event was explained: marks what follows from something before it, and remembers what something may follow from.
    pub(super) fn trace(&mut self, event: &Event, bytes: &[u8]) {
        match (&event.what, event.from) {
            (What::Text(text), Peer::Server) => self.traced(text, bytes),
            (What::Text(text), Peer::Client) => self.stray_line(text, bytes),
            (What::Data(data), Peer::Client) => self.stray_data(data, bytes),
            _ => {}
        }
    }

    /// A server's line that fits nothing may answer what went astray.
    fn traced(&mut self, text: &Text, bytes: &[u8]) {
        let fits = |note: &&mut Note| ECHOES.contains(&note.check);
        if self.strays.is_empty() || self.notes.iter_mut().find(fits).is_none() {
            return;
        }
        let echoes = |stray: &Stray| stray.check != CAPABILITY_BOGUS.id && begins(bytes, &stray.word);
        let Some(at) = self.strays.iter().rposition(echoes) else { return };
        let stray = &mut self.strays[at];
        if stray.check.is_empty() {
            // The first line of the literal that comes back: what is wrong is that the server has read it.
            let what = "the server refused the literal and read it all the same: this answers a line of it";
            let mut found = Some(LITERAL_AS_COMMANDS.found(Peer::Server, what, self.standard));
            self.notes.retain_mut(|note| match ECHOES.contains(&note.check) {
                true => found.take().map(|found| *note = found).is_some(),
                false => true,
            });
            for stray in self.strays.iter_mut().filter(|stray| stray.check.is_empty()) {
                (stray.frame, stray.check, stray.culprit) = (text.frame, LITERAL_AS_COMMANDS.id, Culprit::Server);
            }
        } else {
            for note in self.notes.iter_mut().filter(fits) {
                note.kind = NoteKind::Finding(stray.culprit);
                note.consequence = Some(Consequence { frame: stray.frame, check: stray.check });
            }
        }
    }

    /// A client's line with which something is wrong.
    fn stray_line(&mut self, text: &Text, bytes: &[u8]) {
        let found = self.notes.iter().find_map(|note| match note.kind {
            NoteKind::Finding(culprit) => Some((note.check, culprit)),
            _ => None,
        });
        let Some((check, culprit)) = found else { return };
        let word = first_word(bytes);
        let hidden = text.secrets.iter().any(|secret| (secret.start as usize) < word.len());
        if !word.is_empty() && !hidden {
            self.strays(text.frame, check, culprit, word);
        }
    }

    /// The lines of a client's literal, which a server that refused it may take for commands.
    fn stray_data(&mut self, data: &Data, head: &[u8]) {
        if data.kind != DataKind::Literal || data.secret {
            return;
        }
        for line in head.split(|&byte| byte == b'\n').take(MAX_STRAYS) {
            let word = first_word(line);
            if !word.is_empty() {
                self.strays(data.frame, "", Culprit::None, word);
            }
        }
    }

    /// Remembers the bare names of mechanisms in a list of capabilities, which offer nothing: a client may fall for them.
    pub(super) fn bogus(&mut self, frame: u64, server: &Names) {
        let bare = |name: &&str| mechanism(name).is_some_and(|known| known.name.eq_ignore_ascii_case(name));
        let bare = server.iter().filter(bare).filter(|name| self.grammar.capability(name).is_none());
        let names: Vec<String> = bare.take(MAX_STRAYS).map(str::to_ascii_uppercase).collect();
        if self.strays.iter().all(|stray| stray.check != CAPABILITY_BOGUS.id) {
            names.iter().for_each(|name| self.strays(frame, CAPABILITY_BOGUS.id, Culprit::Server, name.as_bytes()));
        }
    }

    /// What there is to say of a client that was misled by such a name to use this capability; else what is to be said anyway.
    pub(super) fn misled(&self, note: Note, capability: &str) -> Note {
        let name = capability.strip_prefix("AUTH=").unwrap_or_default();
        let bogus =
            |stray: &Stray| stray.check == CAPABILITY_BOGUS.id && stray.word.eq_ignore_ascii_case(name.as_bytes());
        if name.is_empty() || !self.strays.iter().any(bogus) {
            return note;
        }
        let text = format!("{name} in the server's list offers nothing: the mechanism of this name is {capability}");
        CAPABILITY_BOGUS.found(Peer::Client, text, self.standard)
    }

    fn strays(&mut self, frame: u64, check: &'static str, culprit: Culprit, word: &[u8]) {
        if self.strays.len() == MAX_STRAYS {
            self.strays.remove(0);
        }
        self.strays.reserve_exact(1);
        self.strays.push(Stray { frame, check, culprit, word: word.into() });
    }
}

/// The first word of a line, [`MAX_WORD`] bytes of it at most.
fn first_word(line: &[u8]) -> &[u8] {
    let line = wire::body(line);
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    &line[..end.min(MAX_WORD)]
}

/// Returns true for a line that begins with this word, or with as much of it as is remembered. Of bytes that are no text, such as
/// those of TLS, the client's line may have had more.
fn begins(line: &[u8], word: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(word) else { return false };
    let raw = word.iter().any(u8::is_ascii_control);
    raw || word.len() == MAX_WORD || matches!(rest.first(), None | Some(b' ' | b'\r' | b'\n'))
}

/// Returns true for a finding that is no consequence of another one.
pub(super) const fn is_first(note: &Note) -> bool {
    note.consequence.is_none()
}
