//! Hiding: octets that must not be shown are overwritten in place, and a few of them are remembered, so that a peer
//! that echoes them, as they are or in base64, does not show them either. Bounded: the last [`MAX_KNOWN`] secrets of
//! [`MAX_SECRET`] octets each.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem::Finder;

use crate::event::{FILLER, Span};
use crate::wire::coded::{decode, is_base64, meanings};

/// How many secrets are remembered.
pub const MAX_KNOWN: usize = 16;

/// How many octets of a secret are remembered.
pub const MAX_SECRET: usize = 4096;

/// What is shorter would be found by chance, and is not remembered.
pub const MIN_SECRET: usize = 4;

/// What is shorter is not looked for in base64: too few of its letters are the same at every place.
const MIN_CODED: usize = 6;

/// By so many first octets of a secret its base64 is found.
const CODED: usize = 96;

/// Maximum number of bytes remembered of a message in which secrets may begin and end anywhere.
const MAX_LOOSE: usize = 512;

/// How many such messages are remembered: each is looked for in pieces, which costs.
const LOOSE: usize = 3;

/// Minimum number of bytes in a row of such a message that are an echo of it; of its base64 [`LOOSE_CODED`].
const LOOSE_PLAIN: usize = 5;

/// Minimum number of letters that may be a message in base64.
const CODED_WORD: usize = 8;

/// Letters of base64 in a row that are an echo of such a message.
const LOOSE_CODED: usize = 6;

/// The secrets of one connection.
#[derive(Debug)]
pub struct Vault {
    show: bool,
    /// Everything that has to be hidden is hidden already.
    sealed: bool,
    known: VecDeque<Known>,
}

/// Octets only: a finder for each form would take a quarter of the memory of an idle connection.
struct Known {
    /// In upper case, as some servers repeat what they take for a command.
    plain: Box<[u8]>,
    /// The same in base64, behind none, one or two octets of something else, each with a line feed behind it; empty for a
    /// short one.
    coded: Box<[u8]>,
    /// It was longer: an echo is hidden to the end of its line.
    cut: bool,
    /// Any part of it may be a secret.
    loose: bool,
}

impl Known {
    /// The forms in base64.
    fn coded(&self) -> impl Iterator<Item = &[u8]> {
        self.coded.split(|&b| b == b'\n').filter(|form| !form.is_empty())
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<hidden>")
    }
}

impl Vault {
    /// An empty one; with `show` it hides nothing and remembers nothing.
    #[must_use]
    pub const fn new(show: bool) -> Self {
        Vault { show, sealed: false, known: VecDeque::new() }
    }

    /// The same for what comes from a recording: what was to be hidden is filler already, and filler is no secret.
    #[must_use]
    pub const fn sealed(show: bool) -> Self {
        Vault { show, sealed: true, known: VecDeque::new() }
    }

    /// True if everything that has to be hidden is hidden already.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The most octets that a remembered secret, in any of its forms, may have; 0 if none is remembered.
    #[must_use]
    pub fn reach(&self) -> usize {
        self.known.iter().flat_map(|known| known.coded().map(<[u8]>::len).chain([known.plain.len()])).max().unwrap_or(0)
    }

    /// True if nothing is hidden.
    #[must_use]
    pub const fn shows(&self) -> bool {
        self.show
    }

    /// True if of a remembered secret only the beginning is known.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.known.iter().any(|known| known.cut)
    }

    /// Remembers octets that were hidden.
    pub fn remember(&mut self, secret: &[u8]) {
        self.keep(secret, secret.len() > MAX_SECRET);
    }

    /// Remembers the first octets of a secret whose rest is not there.
    pub fn remember_head(&mut self, head: &[u8]) {
        self.keep(head, true);
    }

    fn keep(&mut self, secret: &[u8], cut: bool) {
        if self.show || self.sealed || secret.len() < MIN_SECRET {
            return;
        }
        let bytes = secret[..secret.len().min(MAX_SECRET)].to_ascii_uppercase();
        if let Some(at) = self.known.iter().position(|known| *known.plain == bytes) {
            self.known[at].cut |= cut;
            return;
        }
        if self.known.len() == MAX_KNOWN {
            self.known.pop_front();
        }
        let head = &secret[..secret.len().min(CODED)];
        let coded = if head.len() < MIN_CODED { Vec::new() } else { (0..3).flat_map(|by| coded(head, by)).collect() };
        self.known.reserve_exact(1);
        self.known.push_back(Known { plain: bytes.into(), coded: coded.into(), cut, loose: false });
    }

    /// Remembers a message that does not look as it should: any part of it may be a secret, and is looked for, too.
    pub fn remember_loose(&mut self, message: &[u8]) {
        if self.show || self.sealed || message.len() < LOOSE_PLAIN {
            return;
        }
        let message = &message[..message.len().min(MAX_LOOSE)];
        let plain = message.to_ascii_uppercase();
        if self.known.iter().any(|known| known.loose && *known.plain == plain) {
            return;
        }
        let loose = self.known.iter().filter(|known| known.loose).count();
        let surplus = self.known.iter().position(|known| known.loose).filter(|_| loose == LOOSE);
        if let Some(at) = surplus.or((self.known.len() == MAX_KNOWN).then_some(0)) {
            self.known.remove(at);
        }
        let coded: Vec<u8> = (0..3).flat_map(|by| coded(message, by)).collect();
        self.known.push_back(Known { plain: plain.into(), coded: coded.into(), cut: false, loose: true });
    }

    /// Forgets what has turned out to be no secret.
    pub fn forget(&mut self, name: &[u8]) {
        let name = name.to_ascii_uppercase();
        self.known.retain(|known| match known.loose {
            true => memchr::memmem::find(&known.plain, &name).is_none(),
            false => *known.plain != name,
        });
    }

    /// Remembers a token as it stands on the wire, and what it means if it is a quoted string.
    pub fn remember_token(&mut self, token: &[u8]) {
        let token = token.trim_ascii();
        self.remember(token);
        super::url::secrets(token).iter().for_each(|span| self.remember(span.of(token)));
        // Of a line that was hidden whole, a server may repeat what it takes for the verb, or what the last word means: a
        // password behind a NUL in base64, or behind a colon (RFC 2812 section 2.3.1).
        let end = token.iter().rposition(|b| !b" \t\r\"".contains(b)).map_or(0, |at| at + 1);
        let start = token[..end].iter().rposition(|b| b" \t\r\"".contains(b)).map_or(0, |at| at + 1);
        let word = &token[start..end];
        if !token.starts_with(b"\"") || start > 0 && token[start - 1] == b'"' {
            self.remember(word);
            self.remember(word.strip_prefix(b":").unwrap_or_default());
        }
        if let Some(decoded) = decode(word) {
            self.remember(decoded.rsplit(|&b| b == 0).next().unwrap_or_default());
        }
        if let Some(inside) = token.strip_prefix(b"\"").map(|rest| rest.strip_suffix(b"\"").unwrap_or(rest)) {
            let mut plain = Vec::with_capacity(inside.len());
            let mut rest = inside.iter();
            while let Some(&byte) = rest.next() {
                plain.push(if byte == b'\\' { *rest.next().unwrap_or(&byte) } else { byte });
            }
            self.remember(&plain);
        }
    }

    /// Remembers what was hidden of a line that nobody reads as a login: words any of which may be the secret, and base64.
    pub fn remember_line(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if !line.starts_with(b"\"") && line.iter().any(u8::is_ascii_whitespace) {
            self.remember_loose(line);
        }
        for decoded in meanings(line, CODED_WORD).take(LOOSE) {
            decoded.split(|&b| b == 0).for_each(|field| self.remember(field));
            if std::str::from_utf8(&decoded).is_ok() {
                self.remember_loose(&decoded);
            }
        }
    }

    /// Where remembered secrets stand in a text, in order and joined where they meet.
    #[must_use]
    pub fn echoes(&self, text: &[u8]) -> Vec<Span> {
        let mut found = Vec::new();
        if self.known.is_empty() {
            return found;
        }
        let upper = text.to_ascii_uppercase();
        for known in &self.known {
            if known.loose {
                let around = |at: usize| at - text[..at].iter().rev().take_while(|&&b| is_base64(b)).count();
                let behind = |at: usize| at + text[at..].iter().take_while(|&&b| is_base64(b)).count();
                found.extend(parts(&known.plain, LOOSE_PLAIN, &upper));
                for span in known.coded().flat_map(|form| parts(form, LOOSE_CODED, &upper)) {
                    found.push(Span::new(around(span.start as usize), behind(span.end as usize)));
                }
                continue;
            }
            for at in finder(&known.plain, &upper).iter().flat_map(|finder| finder.find_iter(&upper)) {
                let end = if known.cut { text.len() } else { at + known.plain.len() };
                found.push(Span::new(at, end));
            }
            for coded in known.coded().filter_map(|form| finder(form, &upper)) {
                // All of the base64 around it: it may hold more of the secret, and the user's name.
                let mut from = 0;
                while let Some(at) = coded.find(&upper[from..]).map(|at| from + at) {
                    let before = text[from..at].iter().rev().take_while(|&&b| is_base64(b)).count();
                    let stop = at + text[at..].iter().take_while(|&&b| is_base64(b)).count();
                    found.push(Span::new(at - before, stop));
                    from = stop;
                }
            }
        }
        joined(found)
    }

    /// True if a remembered secret stands in these octets.
    #[must_use]
    pub fn knows(&self, bytes: &[u8]) -> bool {
        let upper = if self.known.is_empty() { Vec::new() } else { bytes.to_ascii_uppercase() };
        let stands = |form| finder(form, &upper).is_some_and(|finder| finder.find(&upper).is_some());
        self.known.iter().any(|known| match known.loose {
            true => {
                !parts(&known.plain, LOOSE_PLAIN, &upper).is_empty()
                    || known.coded().any(|form| !parts(form, LOOSE_CODED, &upper).is_empty())
            }
            false => known.coded().chain([&*known.plain]).any(stands),
        })
    }

    /// Overwrites the spans of a text, but no line end.
    pub fn hide(&self, text: &mut [u8], spans: &[Span]) {
        if self.show {
            return;
        }
        for span in spans {
            let end = (span.end as usize).min(text.len());
            if let Some(octets) = text.get_mut(span.start as usize..end) {
                octets.iter_mut().filter(|byte| !matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = FILLER);
            }
        }
    }
}

/// Finds `form` in `text`; nothing where it does not fit, so that long secrets make short lines no dearer.
fn finder<'a>(form: &'a [u8], text: &[u8]) -> Option<Finder<'a>> {
    (form.len() <= text.len()).then(|| Finder::new(form))
}

/// Returns where `len` bytes of `form` in a row are found in `text`, joined where they meet.
fn parts(form: &[u8], len: usize, text: &[u8]) -> Vec<Span> {
    let pack = |part: &[u8]| part.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    // Most of a text is ruled out by its first two bytes.
    let first = |part: &[u8]| usize::from(part[0]) << 3 & 0x7f8 | usize::from(part[1]) & 7;
    let mut pieces: Vec<u64> = form.windows(len).map(pack).collect();
    let mut begins = [false; 2048];
    form.windows(len).for_each(|part| begins[first(part)] = true);
    pieces.sort_unstable();
    let mut found: Vec<Span> = Vec::new();
    for (at, part) in text.windows(len).enumerate().filter(|(_, part)| begins[first(part)]) {
        if pieces.binary_search(&pack(part)).is_ok() {
            match found.last_mut() {
                Some(last) if at <= last.end as usize => last.end = (at + len) as u32,
                _ => found.push(Span::new(at, at + len)),
            }
        }
    }
    // Blanks are beside every word.
    for span in &mut found {
        let blanks =
            |bytes: &mut dyn Iterator<Item = &u8>| bytes.take_while(|b| b.is_ascii_whitespace()).count() as u32;
        let part = span.of(text);
        let (before, behind) = (blanks(&mut part.iter()), blanks(&mut part.iter().rev()));
        *span = Span { start: span.start + before, end: (span.end - behind).max(span.start + before) };
    }
    found
}

/// The letters of a secret's base64, in upper case, that are the same whatever stands around it, with so many octets before it;
/// a line feed behind them.
fn coded(secret: &[u8], by: usize) -> Vec<u8> {
    let all = STANDARD_NO_PAD.encode([&b"xx"[..by], secret].concat()).to_ascii_uppercase();
    let letters = (by * 8).div_ceil(6)..(by + secret.len()) * 8 / 6;
    [&all.as_bytes()[letters], b"\n"].concat()
}

/// The spans in order, joined where they meet or overlap.
#[must_use]
pub fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| !span.is_empty());
    spans.sort_by_key(|span| span.start);
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match out.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => out.push(span),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(vault: &Vault, text: &[u8]) -> String {
        let mut text = text.to_vec();
        let spans = vault.echoes(&text);
        vault.hide(&mut text, &spans);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A finder for each form once took a quarter of what an idle connection has, after a single login.
    #[test]
    fn what_is_remembered_is_small() {
        let mut vault = Vault::new(false);
        vault.remember(b"secret-word");
        let (explainer, known) = (size_of::<super::super::Explainer>(), size_of::<Known>());
        let (room, owned) = (vault.known.capacity() * known, vault.known[0].plain.len() + vault.known[0].coded.len());
        // 1024 before connections were followed; 8 for what a verdict rests on, which is as large as its own test allows.
        assert!(
            explainer <= 1024 + 192 + 8 && room <= 64 && owned <= 64,
            "explainer {explainer}, room {room}, owned {owned}"
        );
    }

    #[test]
    fn an_echo_is_hidden_as_token_and_as_meaning() {
        let mut vault = Vault::new(false);
        vault.remember_token(br#" "se\"cret" "#);
        assert_eq!(masked(&vault, br#"a1 BAD what is "se\"cret"?"#), "a1 BAD what is **********?");
        assert_eq!(masked(&vault, br#"a1 BAD what is se"cret?"#), "a1 BAD what is *******?");
    }

    #[test]
    fn an_echo_in_base64_is_hidden_wherever_the_secret_begins() {
        let mut vault = Vault::new(false);
        vault.remember(b"kanarie77");
        for text in ["kanarie77", "\0kanarie77", "\0a\0kanarie77 and more"] {
            let said = format!("535 what is {}?", STANDARD_NO_PAD.encode(text));
            assert_eq!(
                masked(&vault, said.as_bytes()).trim_matches('*'),
                format!("535 what is {}?", "*".repeat(said.len() - 13))
            );
        }
    }

    #[test]
    fn a_short_secret_is_not_remembered_and_a_long_one_hides_the_rest_of_the_line() {
        let mut vault = Vault::new(false);
        vault.remember(b"abc");
        assert!(!vault.knows(b"abc"));
        let long = vec![b'k'; MAX_SECRET + 9];
        vault.remember(&long);
        let text = [b"NO ", &long[..], b" tail\r\n"].concat();
        let shown = masked(&vault, &text);
        assert!(!shown.contains('k') && !shown.contains("tail") && shown.ends_with("\r\n"));
    }

    #[test]
    fn the_oldest_secret_goes_first() {
        let mut vault = Vault::new(false);
        for n in 0..=MAX_KNOWN {
            vault.remember(format!("secret-{n}").as_bytes());
        }
        assert!(!vault.knows(b"secret-0") && vault.knows(b"secret-1") && vault.knows(b"secret-8"));
    }

    #[test]
    fn any_part_of_a_message_that_does_not_look_as_it_should_is_hidden() {
        let mut vault = Vault::new(false);
        vault.remember_loose(b"user=bob%01auth=Bearer kanarie77%01%01");
        assert_eq!(masked(&vault, b"535 KANARIE77 of bob?"), "535 ********* of bob?");
        for text in ["kanarie77", "\0kanarie77", "xxkanarie77xx"] {
            let said = format!("535 what is {}?", STANDARD_NO_PAD.encode(text));
            assert_eq!(masked(&vault, said.as_bytes()), format!("535 what is {}?", "*".repeat(said.len() - 13)));
            assert!(vault.knows(said.as_bytes()));
        }
        assert_eq!(masked(&vault, b"535 no such user"), "535 no such user");
        for n in 0..40 {
            vault.remember_loose(format!("message {n}").as_bytes());
        }
        assert_eq!(vault.known.len(), LOOSE);
    }

    #[test]
    fn what_is_no_secret_after_all_is_forgotten() {
        let mut vault = Vault::new(false);
        vault.remember(b"alice");
        vault.forget(b"Alice");
        assert_eq!(masked(&vault, b"250 hello alice"), "250 hello alice");
    }

    #[test]
    fn nothing_is_hidden_when_secrets_are_shown() {
        let mut vault = Vault::new(true);
        vault.remember(b"password");
        assert!(!vault.knows(b"password"));
        let mut text = *b"password";
        vault.hide(&mut text, &[Span::new(0, 8)]);
        assert_eq!(&text, b"password");
    }

    #[test]
    fn spans_are_joined() {
        let spans = vec![Span::new(5, 9), Span::new(0, 3), Span::new(2, 5), Span::new(12, 12)];
        assert_eq!(joined(spans), vec![Span::new(0, 9)]);
    }
}
