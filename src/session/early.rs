//! What a server repeats of bytes that its client sent too early to be understood. They are read only after the answer that says
//! what they are, and that answer may quote them: a refused login, word by word or decoded.

use memchr::memmem;

use super::Session;
use super::lane::Wait;
use crate::event::{Peer, Span};
use crate::wire;
use crate::wire::coded::{meanings, words};

/// Maximum number of early bytes that are looked at one by one; of more, the rest of the server's line is hidden.
const MOST: usize = 4096;

/// Minimum length in bytes of a word that counts, as for all repeated secrets.
const SHORTEST: usize = 4;

/// Minimum number of letters of base64 that can hold such a word.
const CODED: usize = 6;

impl Session {
    /// Returns the places of a server's line, in order, that repeat what the client has sent and nobody has read yet.
    pub(super) fn early_echoes(&self, line: &[u8]) -> Vec<Span> {
        let lane = &self.lanes[Peer::Client.index()];
        let early = lane.undecided.bytes();
        if early.is_empty() || lane.wait.is_none_or(|(wait, _)| wait == Wait::Start) {
            return Vec::new();
        }
        let body = wire::body(line);
        // The first word is the server's own: a tag, a code, a mark.
        let start = memchr::memchr(b' ', body).map_or(body.len(), |at| at + 1);
        if early.len() > MOST {
            return Vec::from_iter((start < body.len()).then(|| Span::new(start, body.len())));
        }
        let text = body[start..].to_ascii_uppercase();
        let mut found: Vec<Span> = Vec::new();
        words(early, SHORTEST).for_each(|word| find(&text, word, start, &mut found));
        for decoded in meanings(early, CODED) {
            words(&decoded, SHORTEST).for_each(|word| find(&text, word, start, &mut found));
        }
        found.sort_by_key(|span| span.start);
        found.dedup_by(|next, last| {
            let meet = next.start <= last.end;
            if meet {
                last.end = last.end.max(next.end);
            }
            meet
        });
        found
    }
}

/// Adds all places of a word, in any case, in a text in upper case that begins at `start`.
fn find(text: &[u8], word: &[u8], start: usize, found: &mut Vec<Span>) {
    let word = word.to_ascii_uppercase();
    let places = memmem::find_iter(text, &word);
    found.extend(places.map(|at| Span::new(start + at, start + at + word.len())));
}
