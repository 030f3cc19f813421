//! Which octets of a text must not be shown. Fails closed: what does not look as it should, and what may belong to a
//! command with secrets although it does not read as one, is hidden.

use super::Session;
use super::read::arguments;
use super::suspect::to_service;
use crate::event::{Kind, Peer, Reading, Span};
use crate::grammar::{Secret, Then, mechanism};
use crate::wire::name::{Spelling, spelling};
use crate::wire::{self, imap};

/// What of the rest of a frame must not be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mask {
    /// All may be shown.
    #[default]
    Nothing,
    /// The argument that comes next may be shown, what follows it not. With nothing after it, it may be the secret.
    AfterNext,
    /// The argument that comes next may be shown if it is spelled like a user's name: it may be the password in the wrong place.
    AfterName,
    /// The argument that comes next is never a secret; what follows it may be.
    AfterShown,
    /// A message to a service may be shown up to its first word.
    ToServices,
    /// Nothing may be shown.
    Rest,
}

impl From<Option<Secret>> for Mask {
    fn from(secret: Option<Secret>) -> Self {
        match secret {
            None => Mask::Nothing,
            Some(Secret::AfterFirst) => Mask::AfterNext,
            Some(Secret::AfterName) => Mask::AfterName,
            Some(Secret::Rest) => Mask::AfterShown,
            Some(Secret::ToServices) => Mask::ToServices,
            Some(Secret::All) => Mask::Rest,
        }
    }
}

/// What must not be shown of a text, and of what follows it in its frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Masked {
    /// Octets of the text.
    pub spans: Vec<Span>,
    /// The literal that it announces.
    pub data: bool,
    /// The rest of the frame.
    pub mask: Mask,
}

/// Finds the secrets of a text whose arguments lie from `from` to `to`, given what is known of its frame. `literal`:
/// a literal follows them; `lone`: a first argument with nothing behind it is no secret. Whatever does not look as
/// it should is hidden.
pub fn mask(text: &[u8], from: usize, to: usize, mask: Mask, literal: bool, lone: bool) -> Masked {
    let rest = |start: usize| Masked {
        spans: if start < to { vec![Span::new(start, to)] } else { Vec::new() },
        data: true,
        mask: Mask::Rest,
    };
    let from = from.min(to);
    match mask {
        Mask::Nothing => Masked::default(),
        Mask::Rest => rest(from),
        Mask::AfterName => match first_argument(&text[from..to]) {
            Some(end) if spelling(unquoted(&text[from..from + end])) > Spelling::Any => {
                self::mask(text, from, to, Mask::AfterNext, literal, lone)
            }
            _ => rest(from),
        },
        Mask::ToServices => match to_service(&text[from..to]) {
            Some(at) => rest(from + at),
            None => Masked::default(),
        },
        Mask::AfterNext | Mask::AfterShown => match first_argument(&text[from..to]) {
            // The argument itself is the literal: it may be shown, and everything after it not.
            None if literal && text[from..to].iter().all(|&b| b == b' ') => Masked { data: false, ..rest(to) },
            // With nothing after it, it may be the secret itself: a client that forgot the user name.
            Some(end) if literal || lone || mask == Mask::AfterShown || end + 1 < to - from => rest(from + end + 1),
            _ => rest(from),
        },
    }
}

/// Where the first argument ends, if it is an atom or a closed quoted string followed by a blank or the end.
fn first_argument(arguments: &[u8]) -> Option<usize> {
    let end = match arguments.first()? {
        b' ' => return None,
        b'"' => {
            let mut at = 1;
            while *arguments.get(at)? != b'"' {
                at += 1 + usize::from(arguments[at] == b'\\');
            }
            at + 1
        }
        _ => arguments.iter().position(|&b| b == b' ').unwrap_or(arguments.len()),
    };
    let clean = arguments[0] == b'"' || !arguments[..end].iter().any(|b| b"\"\\{}()".contains(b) || *b < b' ');
    let parted = arguments.get(end).is_none_or(|&b| b == b' ');
    (clean && parted).then_some(end)
}

impl Session {
    /// What must not be shown of a text, and of what follows it in its frame.
    pub(super) fn masked(&mut self, from: Peer, text: &[u8], reading: &Reading) -> Masked {
        let mut masked = self.masked_by_itself(from, text, reading);
        if from == Peer::Server && masked.spans.is_empty() {
            masked.spans = self.early_echoes(text);
        }
        masked
    }

    fn masked_by_itself(&mut self, from: Peer, text: &[u8], reading: &Reading) -> Masked {
        let state = self.lane(from).frame.map_or(Mask::Nothing, |frame| frame.mask);
        let span = arguments(text, reading);
        let (start, end) = (span.start as usize, span.end as usize);
        let literal = reading.literal.is_some();
        let rest = if from == Peer::Server { self.rest_of_line(text) } else { 0 };
        if rest > 0 {
            let mut masked = mask(text, 0, rest, Mask::Rest, literal, false);
            // A line of its own says what it is.
            masked.data = rest == wire::body(text).len();
            return masked;
        }
        if from == Peer::Client
            && let Kind::Foreign(what) = reading.kind
            && wire::foreign::is_mail(what)
        {
            return Masked { spans: self.secret_of_other(text).into_iter().collect(), data: true, mask: Mask::Rest };
        }
        if from == Peer::Client
            && let Some(from) = self.suspect(text, reading)
        {
            let end = if from == 0 { wire::body(text).len() } else { end };
            return mask(text, from, end, Mask::Rest, literal, false);
        }
        let lone = matches!(reading.kind, Kind::Command { verb, arguments, .. }
            if is_mechanism(arguments.of(text)) && self.then(verb.of(text)) == Some(Then::Sasl));
        match reading.kind {
            Kind::Sasl => mask(text, start, end, Mask::Rest, literal, false),
            Kind::Command { verb, arguments, .. } if state == Mask::AfterNext => {
                let first = first_word(arguments.of(text).trim_ascii_start());
                let first = first.split(|&b| b == b'\t').next().unwrap_or_default();
                let command = self.grammar.command(verb.of(text));
                // A mechanism, or the word that says what follows (AUTHINFO).
                let words = command.is_some_and(|it| it.arguments.starts_with(|c: char| c.is_ascii_uppercase()));
                let fits = match () {
                    () if command.and_then(|it| it.then) == Some(Then::Sasl) => is_mechanism(first),
                    () => !words || first.iter().all(u8::is_ascii_alphabetic),
                };
                mask(text, start, end, if fits || first.is_empty() { state } else { Mask::Rest }, literal, lone)
            }
            _ => mask(text, start, end, state, literal, lone),
        }
    }

    /// How much of a server's text may be the rest of a line of which the beginning is missing: of a challenge perhaps, or of what it
    /// sends along with its consent to a login.
    fn rest_of_line(&self, text: &[u8]) -> usize {
        if !self.lanes[Peer::Server.index()].torn {
            return 0;
        }
        let first = memchr::memchr(b'\n', text).map_or(text, |at| &text[..=at]);
        let has = |word: Span| self.grammar.response(word.of(first)).is_some();
        let known = match wire::read(self.grammar.form, Peer::Server, first).kind {
            Kind::Blank => first.trim_ascii().is_empty(),
            Kind::Reply { tag, word, .. } => !tag.is_empty() || has(word),
            Kind::GoAhead { word, .. } | Kind::Info { name: word, .. } => has(word),
            _ => false,
        };
        if known { 0 } else { wire::body(first).len() }
    }

    /// The secrets of a text that rules have made, where `was` are those of the text as received: what its own
    /// reading says; all of it where that is not clear.
    pub(super) fn secrets_of_edit(&self, text: &[u8], reading: &Reading, was: &Masked, sent: &[u8]) -> Vec<Span> {
        let end = wire::body(sent).len();
        // A server's line that repeats what is not read yet: what a rule made of it may have the words in pieces.
        if was.mask == Mask::Nothing && !was.spans.is_empty() {
            return vec![Span::new(0, end)];
        }
        let Kind::Command { tag, verb, arguments } = wire::read(self.grammar.form, Peer::Client, sent).kind else {
            return if was.mask == Mask::Nothing {
                Vec::new()
            } else {
                mask(sent, 0, end, Mask::Rest, false, false).spans
            };
        };
        let mut state: Mask = self.grammar.command(verb.of(sent)).and_then(|command| command.secret).into();
        let mut same = false;
        if let Kind::Command { tag: old_tag, verb: old_verb, arguments: old } = reading.kind {
            same = old_tag.of(text) == tag.of(sent) && old_verb.of(text).eq_ignore_ascii_case(verb.of(sent));
            // What was no user name before may be the password now.
            if matches!(state, Mask::AfterNext | Mask::AfterName)
                && first_name(old.of(text)) != first_name(arguments.of(sent))
            {
                state = Mask::Rest;
            }
        }
        match (was.mask, state) {
            (Mask::Nothing, Mask::Nothing) => Vec::new(),
            (_, state) if same && state != Mask::Nothing => {
                let stop = imap::literal(sent, 0).map_or(end, |literal| literal.span.start as usize);
                let lone = is_mechanism(arguments.of(sent)) && self.then(verb.of(sent)) == Some(Then::Sasl);
                mask(sent, arguments.start as usize, stop, state, stop < end, lone).spans
            }
            _ => mask(sent, 0, end, Mask::Rest, false, false).spans,
        }
    }
}

/// What a torn line of a server's ends with that may be the beginning of a secret: what follows SASL in its last line.
pub(super) fn of_torn(text: &[u8]) -> Option<Span> {
    let line = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
    let at = text[line..].windows(4).position(|word| word.eq_ignore_ascii_case(b"SASL"))?;
    Some(Span::new(line + at + 4, text.len())).filter(|span| !span.is_empty())
}

/// What the first of a command's arguments means, as an atom or a quoted string without escapes.
fn first_name(arguments: &[u8]) -> &[u8] {
    first_argument(arguments).map_or_else(|| first_word(arguments), |end| unquoted(&arguments[..end]))
}

/// The first word of a command's arguments.
pub(super) fn first_word(arguments: &[u8]) -> &[u8] {
    arguments.split(|&b| b == b' ').next().unwrap_or_default()
}

/// The inside of a quoted string, or what stands there without quotes.
pub(super) fn unquoted(word: &[u8]) -> &[u8] {
    word.strip_prefix(b"\"").and_then(|word| word.strip_suffix(b"\"")).unwrap_or(word)
}

/// True for what can be the name of a SASL mechanism (RFC 4422 section 3.1), and nothing else: what has small letters and
/// is not known may be the beginning of some base64.
fn is_mechanism(arguments: &[u8]) -> bool {
    let arguments = unquoted(arguments);
    let letters = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_".contains(b);
    (1..=20).contains(&arguments.len()) && arguments.iter().all(letters) || mechanism(arguments).is_some()
}
