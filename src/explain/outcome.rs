//! What is remembered of a connection for its verdict: findings, the last line, what was refused. Bounded: [`MAX_CAUSES`] findings
//! of [`MAX_TEXT`] bytes, and one line of [`MAX_LINE`] bytes of the peers'.

use super::consequence::is_first;
use super::waiting::what;
use super::{Explainer, phrase};
use crate::event::{
    Cause, Data, Event, Form, Kind, NoteKind, Oddity, Owed, Peer, Span, State, Status, Text, Time, What,
};
use crate::exchange::{Exchange, Tie};
use crate::grammar::Then;
use crate::wire;

/// Maximum number of findings that are repeated at the end of a connection.
pub const MAX_CAUSES: usize = 16;

/// Maximum number of bytes kept of a finding's sentence.
const MAX_TEXT: usize = 320;

/// Maximum number of bytes kept of a line.
const MAX_LINE: usize = 72;

/// What a connection has come to so far.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The first findings, in their order.
    pub causes: Vec<Found>,
    /// Number of further ones.
    pub more: u64,
    /// What the server refused, with nothing after it that succeeded.
    pub refusal: Option<Box<Refusal>>,
    /// The server's farewell, for which the client had not asked.
    pub farewell: Option<Box<Refusal>>,
    /// The last line or block that came whole.
    pub last: Option<Last>,
    /// Who has waited for what, since the last line or block.
    pub waited: Option<Box<Waited>>,
    /// What the connection's end cut off.
    pub cut: Option<Cut>,
    /// Who ended its direction first.
    pub ended: Option<Peer>,
    /// The last command before the server ended its direction, if it did so first; what comes later is owed no answer.
    pub last_owed: u64,
    /// The client has said goodbye.
    pub goodbye: bool,
    /// The frame of the last command.
    pub command: u64,
}

/// A finding, with the frame of the command in which it was made.
#[derive(Debug)]
pub(super) struct Found {
    pub cause: Cause,
    pub command: u64,
}

/// Something that the server, or imapscope for a rule, did not do.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What was refused, and the line that says so.
    pub cause: Cause,
    /// Why, as far as codes and words tell.
    pub reason: Reason,
    /// A login was refused.
    pub login: bool,
    /// The frame of the command; 0 without one.
    pub command: u64,
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is too much of something, or too little time: a code says so.
    Limit,
    /// The same, and only the human text says so.
    LimitInWords,
    /// The server does not want to.
    Policy,
    /// The server could not: it did not understand, or what was named is not there.
    Other,
}

/// The last line or block that a peer sent.
#[derive(Debug)]
pub(super) struct Last {
    pub from: Peer,
    pub at: Time,
    /// It asks the client to go on, in the command of this frame.
    pub asks: Option<u64>,
    /// The state that the command has led to which it answers.
    pub reached: Option<State>,
    /// It takes a message.
    pub message: bool,
    line: [u8; MAX_LINE],
    len: u8,
    /// It goes on, or what goes on is hidden.
    cut: bool,
}

impl Last {
    /// The line with its sender, as far as it is kept: `S: a1 OK done`.
    pub fn words(&self) -> String {
        said(self.from, &self.line[..usize::from(self.len)], self.cut)
    }
}

/// A wait that was reported.
#[derive(Debug)]
pub(super) struct Waited {
    /// Who waited.
    pub by: Peer,
    /// For what: `the server's reply to t3 FETCH`; by whom, if that is imapscope.
    pub what: String,
    /// imapscope itself waited.
    pub ours: bool,
    /// It was imapscope that held it back.
    pub held: bool,
    pub since: Time,
}

/// What the end of a connection cut off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub from: Peer,
    /// Number of bytes that are missing of an announced block.
    pub missing: Option<u64>,
    /// It is a line.
    pub line: bool,
}

impl Explainer {
    /// Takes note of an event that was explained: `bytes` as in the log.
    pub(super) fn remember(&mut self, event: &Event, bytes: &[u8], at: Time) {
        let from = event.from;
        match &event.what {
            What::Text(text) => {
                let ends = |odd: &Oddity| matches!(odd, Oddity::Truncated | Oddity::CutShort | Oddity::Unfinished);
                let aside = |odd: &Oddity| matches!(odd, Oddity::Kept | Oddity::Dropped);
                if text.oddities.iter().any(ends) {
                    self.outcome.cut.get_or_insert(Cut { from, missing: None, line: true });
                } else if !text.oddities.iter().any(aside) && !self.is_lost(from, text) {
                    let asks = text.answers.filter(|_| text.more && matches!(text.reading.kind, Kind::GoAhead { .. }));
                    let secret = text.secrets.first().filter(|_| !self.vault.shows());
                    let last = last_line(self.grammar.form, bytes, secret);
                    let line = if last.0.is_empty() { (&b"(empty line)"[..], false) } else { last };
                    self.said(from, at, Some(line), [text.answers, asks]);
                }
                if !text.oddities.iter().any(ends) {
                    self.goodbye(from);
                }
                if from == Peer::Server {
                    self.farewell(text, bytes, at);
                }
            }
            What::Data(data) => {
                let cut = data.oddities.iter().any(|odd| matches!(odd, Oddity::CutShort | Oddity::Unfinished));
                // What the server has not asked for was not cut off: the server owes.
                let unasked = from == Peer::Client && data.len == 0 && !self.client_owes();
                let unbegun = self.is_unbegun(from, data) || unasked;
                if (cut && !unasked) || (unbegun && self.client_owes()) {
                    let missing = data.announced.map(|announced| announced.saturating_sub(data.len));
                    self.outcome.cut.get_or_insert(Cut { from, missing, line: false });
                } else if !unbegun {
                    // Of a peer that spoke last it belongs to the line before.
                    let goes_on = self.outcome.last.as_ref().is_some_and(|last| last.from == from);
                    let line = (!goes_on).then_some((&b"(data)"[..], false));
                    self.said(from, at, line, [None; 2]);
                }
            }
            What::HalfClosed if self.outcome.ended.is_none() => {
                (self.outcome.ended, self.outcome.last_owed) = (Some(from), self.outcome.command);
            }
            What::Waiting(wait) => {
                let what = what(&self.connection, &self.grammar, wait);
                let held = matches!(wait.owed, Owed::Held { .. });
                let waited = Waited { by: wait.by, what, ours: wait.ours, held, since: wait.since };
                self.outcome.waited = Some(Box::new(waited));
            }
            _ => {}
        }
        self.found(event, bytes, at);
    }

    /// Returns true if a client ended the connection where it could have begun with data that the server asked for, or had yet to
    /// ask for: it has stopped between two turns, and cut nothing off.
    pub(super) fn is_unbegun(&self, from: Peer, data: &Data) -> bool {
        let waits = || self.connection.waiting.get(data.frame).is_some_and(|exchange| exchange.unsent);
        from == Peer::Client
            && data.len == 0
            && data.oddities.contains(&Oddity::Truncated)
            && (self.client_owes() || waits())
    }

    /// Returns true for a server's line that the client did not get: a rule dropped it, or the client had ended the connection.
    fn is_lost(&self, from: Peer, text: &Text) -> bool {
        let dropped = super::replaced(text).is_some_and(Span::is_empty);
        from == Peer::Server && (dropped || self.outcome.ended == Some(Peer::Client))
    }

    /// A peer has said this, last. Without a line the one before stays in its place.
    fn said(&mut self, from: Peer, at: Time, line: Option<(&[u8], bool)>, [answers, asks]: [Option<u64>; 2]) {
        // Most of what a server sends answers nothing.
        let answered = answers.and_then(|frame| self.connection.find(frame));
        let good = answered.filter(|exchange| exchange.status == Some(Status::Ok));
        let reached = good.and_then(|exchange| exchange.on_ok);
        let message = good.is_some_and(|exchange| exchange.whole);
        self.outcome.waited = None;
        let last = self.outcome.last.get_or_insert(Last {
            from,
            at,
            asks,
            reached,
            message,
            line: [0; MAX_LINE],
            len: 0,
            cut: false,
        });
        (last.from, last.at, last.asks, last.reached, last.message) = (from, at, asks, reached, message);
        if let Some((line, cut)) = line {
            let len = line.len().min(MAX_LINE);
            last.line[..len].copy_from_slice(&line[..len]);
            (last.len, last.cut) = (len as u8, cut || len < line.len());
        }
    }

    /// Notes whether the client says goodbye, and which command is the last.
    fn goodbye(&mut self, from: Peer) {
        if from == Peer::Client
            && let Some((exchange, Tie::Command)) = self.connection.exchange()
        {
            self.outcome.command = exchange.frame;
            self.outcome.goodbye |= ends_session(exchange);
        }
    }

    /// Keeps the findings of the event.
    fn found(&mut self, event: &Event, bytes: &[u8], at: Time) {
        if !self.notes.iter().any(|note| matches!(note.kind, NoteKind::Finding(_))) {
            return;
        }
        let (frame, secret) = match &event.what {
            What::Text(text) => (text.frame, text.secrets.first()),
            What::Data(data) => (data.frame, None),
            _ => (0, None),
        };
        let text = matches!(event.what, What::Text(_));
        let secret = secret.filter(|_| !self.vault.shows());
        let (line, cut) = if text { last_line(self.grammar.form, bytes, secret) } else { (&b""[..], false) };
        let line =
            if line.is_empty() { String::new() } else { said(event.from, &line[..line.len().min(MAX_LINE)], cut) };
        let command = self.connection.exchange().map_or(self.outcome.command, |(exchange, _)| exchange.frame);
        for note in &self.notes {
            let NoteKind::Finding(culprit) = note.kind else { continue };
            if !is_first(note) {
                continue;
            }
            if self.outcome.causes.len() == MAX_CAUSES {
                self.outcome.more += 1;
                continue;
            }
            let text = clipped(&note.text, MAX_TEXT);
            let cause = Cause { check: note.check, culprit, frame, at, text, line: line.clone() };
            self.outcome.causes.push(Found { cause, command });
        }
    }

    /// A server ends the session without having been asked: it greets with a refusal, or says BYE.
    fn farewell(&mut self, text: &Text, bytes: &[u8], at: Time) {
        let Kind::Reply { status, code, .. } = text.reading.kind else { return };
        let greets = text.state == State::Greeting && text.answers.is_none();
        let ends = status == Status::Bye || greets && matches!(status, Status::No | Status::Bad);
        // A server that answers the client's end, or a goodbye that may be missing, ends nothing by itself.
        let asked = self.outcome.goodbye || self.outcome.ended == Some(Peer::Client) || !self.is_certain();
        if !ends || asked || self.outcome.farewell.is_some() {
            return;
        }
        let line = self.reply_line(text, bytes);
        let reason = reason(code.map(|code| code.of(bytes)), bytes, true);
        let what = if greets { "the server refused the connection" } else { "the server ended the session" };
        let cause = Cause { frame: text.frame, at, text: what.to_owned(), line, ..Cause::default() };
        let command = text.answers.unwrap_or(self.outcome.command);
        self.outcome.farewell = Some(Box::new(Refusal { cause, reason, login: false, command }));
    }

    /// A command was answered for good: whether that leaves something refused.
    pub(super) fn settled(
        &mut self,
        exchange: &Exchange,
        bad: bool,
        code: Option<&[u8]>,
        (text, shown): (&Text, &[u8]),
        at: Time,
    ) {
        if ends_session(exchange) {
            return;
        }
        if !bad {
            let before = self.outcome.refusal.as_ref();
            if before.is_some_and(|before| if before.login { exchange.login } else { !is_chore(exchange) }) {
                self.outcome.refusal = None;
            }
            return;
        }
        if self.outcome.refusal.is_some() || self.connection.missing.unpaired {
            return;
        }
        let ours = exchange.disposition != crate::exchange::Disposition::Forward;
        let name = self.command_name(exchange);
        let what = if ours { format!("a rule refused {name}") } else { format!("the server refused {name}") };
        let line = self.reply_line(text, shown);
        let refused = Refusal {
            cause: Cause { frame: text.frame, at, text: what, line, ..Cause::default() },
            reason: if ours { Reason::Other } else { reason(code, shown, exchange.login) },
            login: exchange.login,
            command: exchange.frame,
        };
        self.outcome.refusal = Some(Box::new(refused));
    }

    /// A command as it is called in sentences: `t3 FETCH`.
    pub(super) fn command_name(&self, exchange: &Exchange) -> String {
        let tag = if exchange.hidden_tag { super::tally::HIDDEN.into() } else { phrase::excerpt(exchange.tag()) };
        let verb = self.verb(exchange);
        let verb = if verb.is_empty() { "a command" } else { verb };
        if tag.is_empty() { verb.to_owned() } else { format!("{tag} {verb}") }
    }

    /// The line of a reply that says why.
    fn reply_line(&self, text: &Text, bytes: &[u8]) -> String {
        let secret = text.secrets.first().filter(|_| !self.vault.shows());
        // In a reply of several lines the first one says most.
        let line = wire::body(bytes.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default());
        let end = secret.map_or(line.len(), |secret| line.len().min(secret.start as usize));
        let kept = &line[..end.min(MAX_LINE)];
        said(Peer::Server, kept, kept.len() < line.len())
    }
}

/// Returns true for LOGOUT and QUIT.
pub(super) const fn ends_session(exchange: &Exchange) -> bool {
    matches!(exchange.on_ok, Some(State::Logout | State::Update))
}

/// Returns true for a command whose success says nothing about what was refused before it.
fn is_chore(exchange: &Exchange) -> bool {
    const CHORES: [&str; 8] = ["NOOP", "RSET", "CAPABILITY", "CAPA", "CLOSE", "UNSELECT", "CHECK", "ID"];
    exchange.then == Some(Then::Tls) || CHORES.contains(&exchange.verb())
}

/// The last line of a text without its line end, up to the first secret; and whether more follows.
fn last_line<'a>(form: Form, bytes: &'a [u8], secret: Option<&Span>) -> (&'a [u8], bool) {
    let body = wire::body(bytes);
    let start = match form {
        Form::Codes | Form::Managesieve => memchr::memrchr(b'\n', body).map_or(0, |at| at + 1),
        _ => 0,
    };
    let line = &body[start..];
    match secret.map(|secret| (secret.start as usize).saturating_sub(start)) {
        Some(end) if end < line.len() => (&line[..end], true),
        _ => (line, false),
    }
}

/// A peer's line as sentences quote it.
fn said(from: Peer, line: &[u8], cut: bool) -> String {
    let mark = if from == Peer::Client { "C" } else { "S" };
    let more = if cut { "…" } else { "" };
    format!("{mark}: {}{more}", phrase::excerpt(line))
}

/// A sentence of `max` bytes at most.
fn clipped(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// Response codes of limits: RFC 5530, RFC 9208, RFC 7888, RFC 4469, RFC 3206, RFC 2449, RFC 5804.
const LIMITS: [&str; 9] = [
    "LIMIT",
    "OVERQUOTA",
    "TOOBIG",
    "LOGIN-DELAY",
    "QUOTA",
    "QUOTA/MAXSIZE",
    "QUOTA/MAXSCRIPTS",
    "MESSAGELIMIT",
    "UIDBATCHES",
];

/// Response codes of what a server does not want to do: RFC 5530, RFC 3206, RFC 2449, RFC 5804.
const POLICIES: [&str; 11] = [
    "AUTHENTICATIONFAILED",
    "AUTHORIZATIONFAILED",
    "PRIVACYREQUIRED",
    "CONTACTADMIN",
    "NOPERM",
    "EXPIRED",
    "CANNOT",
    "AUTH",
    "ENCRYPT-NEEDED",
    "AUTH-TOO-WEAK",
    "TRANSITION-NEEDED",
];

/// Enhanced status codes of limits, without their class (RFC 3463 section 3, RFC 5248).
const FULL: [&str; 8] = ["2.2", "2.3", "3.1", "3.4", "4.5", "5.3", "7.28", "1.10"];

/// Reply codes of limits (RFC 5321 section 4.2.3).
const FULL_CODES: [&[u8]; 3] = [b"452", b"552", b"523"];

/// What servers say of limits, in any case.
const WORDS: [&str; 12] = [
    "too many",
    "too large",
    "too big",
    "too long",
    "quota",
    "limit",
    "throttl",
    "inactiv",
    "autologout",
    "timeout",
    "timed out",
    "time out",
];

/// Why a server refused something: by its code, then by its words. `polite`: what has no reason of its own is policy.
fn reason(code: Option<&[u8]>, shown: &[u8], polite: bool) -> Reason {
    let code = code.unwrap_or_default();
    let name = code.split(|&byte| byte == b' ').next().unwrap_or_default();
    let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
    let detail = name.get(2..).filter(|_| matches!(name, [b'4' | b'5', b'.', ..])).unwrap_or_default();
    if LIMITS.iter().any(is) || FULL.iter().any(|known| known.as_bytes() == detail) {
        return Reason::Limit;
    }
    if POLICIES.iter().any(is) || detail.starts_with(b"7.") || detail == b"1.8" {
        return Reason::Policy;
    }
    if FULL_CODES.iter().any(|code| shown.starts_with(code)) {
        return Reason::Limit;
    }
    let head = String::from_utf8_lossy(&shown[..shown.len().min(512)]).to_ascii_lowercase();
    if WORDS.iter().any(|word| head.contains(word)) {
        return Reason::LimitInWords;
    }
    if polite || shown.starts_with(b"55") || shown.starts_with(b"45") || shown.starts_with(b"53") {
        return Reason::Policy;
    }
    Reason::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_limit_a_policy_or_neither() {
        for (code, line, login, want) in [
            (Some("OVERQUOTA"), "a NO [OVERQUOTA] full", false, Reason::Limit),
            (Some("LIMIT x"), "a NO [LIMIT x] enough", false, Reason::Limit),
            (None, "* BYE Autologout; idle for too long", true, Reason::LimitInWords),
            (Some("ALERT"), "a NO [ALERT] Too many simultaneous connections", true, Reason::LimitInWords),
            (None, "* BYE Server shutting down.", true, Reason::Policy),
            (Some("5.7.1"), "554 5.7.1 Relay access denied", false, Reason::Policy),
            (Some("4.2.2"), "452 4.2.2 mailbox full", false, Reason::Limit),
            (None, "552 no room", false, Reason::Limit),
            (None, "550 no such user", false, Reason::Policy),
            (Some("NONEXISTENT"), "a NO [NONEXISTENT] no such mailbox", false, Reason::Other),
            (None, "a BAD what?", false, Reason::Other),
            (None, "-ERR no", true, Reason::Policy),
        ] {
            assert_eq!(reason(code.map(str::as_bytes), line.as_bytes(), login), want, "{line}");
        }
    }

    /// Each idle connection has one.
    #[test]
    fn it_is_small() {
        assert!(size_of::<Outcome>() <= 208, "{}", size_of::<Outcome>());
    }

    #[test]
    fn sentences_are_clipped_at_characters() {
        assert_eq!(clipped("äää", 3), "ä…");
        assert_eq!(clipped("abc", 3), "abc");
    }
}
