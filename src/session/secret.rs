//! Which octets of a text must not be shown. Fails closed: what does not look as it should, and what may belong to a
//! command with secrets although it does not read as one, is hidden.

use memchr::memchr;

use super::Session;
use super::read::arguments;
use crate::event::{Kind, Peer, Reading, Span, State};
use crate::grammar::{Secret, Then, mechanism};
use crate::wire::{self, imap};
use crate::wording::nearest;

/// Verbs with which one protocol or another logs in.
const LOGINS: [&str; 6] = ["PASS", "PASSWORD", "LOGIN", "AUTH", "AUTHENTICATE", "IDENTIFY"];

/// What of the rest of a frame must not be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mask {
    /// All may be shown.
    #[default]
    Nothing,
    /// The argument that comes next may be shown, what follows it not.
    AfterNext,
    /// Nothing may be shown.
    Rest,
}

impl From<Option<Secret>> for Mask {
    fn from(secret: Option<Secret>) -> Self {
        match secret {
            None => Mask::Nothing,
            Some(Secret::AfterFirst) => Mask::AfterNext,
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
        Mask::AfterNext => match first_argument(&text[from..to]) {
            // The argument itself is the literal: it may be shown, and everything after it not.
            None if literal && text[from..to].iter().all(|&b| b == b' ') => Masked { data: false, ..rest(to) },
            // With nothing behind it, it may be the secret itself: a client that forgot the user name.
            Some(end) if literal || lone || end + 1 < to - from => rest(from + end + 1),
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
        let state = self.lane(from).frame.map_or(Mask::Nothing, |frame| frame.mask);
        let span = arguments(text, reading);
        let (start, end) = (span.start as usize, span.end as usize);
        let literal = reading.literal.is_some();
        if from == Peer::Client && self.distrusts(text, reading) {
            let body = wire::body(text).len();
            return mask(text, 0, body, Mask::Rest, literal, false);
        }
        if let Some(from) = self.undescribed(text, reading) {
            // Refused, its octets may come all the same.
            self.lane(Peer::Client).wary |= literal;
            return mask(text, from, end, Mask::Rest, literal, false);
        }
        let lone = matches!(reading.kind, Kind::Command { verb, arguments, .. }
            if is_mechanism(arguments.of(text)) && self.then(verb.of(text)) == Some(Then::Sasl));
        match reading.kind {
            Kind::Sasl => mask(text, start, end, Mask::Rest, literal, false),
            _ => mask(text, start, end, state, literal, lone),
        }
    }

    /// True for a client's line that may be, or belong to, a command with secrets although it does not read as one.
    fn distrusts(&mut self, text: &[u8], reading: &Reading) -> bool {
        let line = wire::body(text);
        let hides = match reading.kind {
            // A client that ends its lines with CR alone has several of them here.
            Kind::Command { .. } | Kind::Unknown
                if memchr(b'\r', line).is_some() && line.split(|b| b" \t\r".contains(b)).any(|it| self.hides(it)) =>
            {
                true
            }
            // Without a tag the verb stands in the tag's place.
            Kind::Command { tag, .. } if self.hides(tag.of(line)) => true,
            Kind::Command { verb, .. } => {
                if let Some(command) = self.grammar.commands.exact(verb.of(line)) {
                    self.lane(Peer::Client).wary = command.secret.is_some();
                    return false;
                }
                line.split(|&b| b == b' ' || b == b'\t')
                    .filter(|word| !word.is_empty())
                    .take(4)
                    .any(|it| self.hides(it))
            }
            Kind::Unknown => self.hides(line),
            _ => return false,
        };
        self.lane(Peer::Client).wary |= hides;
        self.lane(Peer::Client).wary
    }

    /// Where the arguments begin of a command that the grammar does not know, while it may yet be another way to log in:
    /// a verb with a slip, or another protocol's. Without arguments, the verb may be one. Where the state does not tell
    /// who has logged in, only what looks like such a verb may be one.
    fn undescribed(&self, text: &[u8], reading: &Reading) -> Option<usize> {
        let Kind::Command { verb, arguments, .. } = reading.kind else { return None };
        let early = match self.state {
            State::Authenticated | State::Selected | State::Mail | State::Rcpt | State::Transaction | State::Update => {
                false
            }
            State::Open => self.resembles_login(verb.of(text)),
            _ => true,
        };
        let known = self.grammar.commands.exact(verb.of(text)).is_some();
        let bare = arguments.is_empty() && reading.literal.is_none();
        (early && !known).then_some(if bare { verb.start } else { arguments.start } as usize)
    }

    /// True for a verb that is spelled almost like one with secrets, of this protocol or another.
    fn resembles_login(&self, verb: &[u8]) -> bool {
        let here = self.grammar.commands.iter().filter(|command| command.secret.is_some());
        let names = here.map(|command| command.name.as_str()).chain(LOGINS);
        // A name that is much longer than those resembles none, and to compare it would cost.
        verb.len() <= 32 && nearest(&String::from_utf8_lossy(verb), names).is_some()
    }

    /// True for the verb of a command with secrets, also with something that is no letter or digit around it.
    fn hides(&self, word: &[u8]) -> bool {
        let start = word.iter().position(u8::is_ascii_alphanumeric).unwrap_or(word.len());
        let word = &word[start..];
        let end = word.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(word.len());
        self.grammar.commands.exact(&word[..end]).is_some_and(|command| command.secret.is_some())
    }

    /// The secrets of a text that rules have made, where `was` are those of the text as received: what its own
    /// reading says; all of it where that is not clear.
    pub(super) fn secrets_of_edit(&self, text: &[u8], reading: &Reading, was: &Masked, sent: &[u8]) -> Vec<Span> {
        let end = wire::body(sent).len();
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
            if state == Mask::AfterNext && first_name(old.of(text)) != first_name(arguments.of(sent)) {
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
