//! What a server repeats of bytes that its client sent too early to be understood. They are read only after the answer that says
//! what they are, and that answer may quote them: a refused login, word by word or decoded.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;

use super::Session;
use super::lane::Wait;
use crate::event::{Peer, Span};
use crate::wire;

/// Maximum number of early bytes that are looked at one by one; of more, the rest of the server's line is hidden.
const MOST: usize = 4096;

/// Minimum length in bytes of a word that counts, as for all repeated secrets.
const SHORTEST: usize = 4;

/// Reads base64 with or without padding, whatever the last bits are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

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
        for word in early.split(|&byte| is_between(byte)).filter(|word| word.len() >= SHORTEST) {
            find(&text, word, start, &mut found);
            if let Ok(decoded) = LENIENT.decode(word) {
                let parts = decoded.split(|&byte| is_between(byte) || byte < b' ');
                parts.filter(|part| part.len() >= SHORTEST).for_each(|part| find(&text, part, start, &mut found));
            }
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

/// Returns true for bytes between words.
const fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\0' | 1)
}

/// Adds all places of a word, in any case, in a text in upper case that begins at `start`.
fn find(text: &[u8], word: &[u8], start: usize, found: &mut Vec<Span>) {
    let word = word.to_ascii_uppercase();
    let places = memmem::find_iter(text, &word);
    found.extend(places.map(|at| Span::new(start + at, start + at + word.len())));
}
