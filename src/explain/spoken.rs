//! Commands and responses in words: what they mean, what answers what and after how long, where the session stands, and
//! whether a command was allowed.

use std::time::Duration;

use super::capability::Verdict;
use super::finding::{finding, note};
use super::list::Reason;
use super::{Explainer, Idle, MAX_NAME, MAX_PENDING, Met, Pending, failed, phrase};
use crate::event::{Kind, Literal, Note, NoteKind, Peer, Span, State, Status, Text, Time};
use crate::grammar::{Command, Then};
use crate::wire::imap;
use crate::wording::{amount, duration};

/// A `{n+}` of more octets than this needs LITERAL+ (RFC 7888 section 5).
const LITERAL_MINUS: u64 = 4096;

impl Explainer {
    pub(super) fn client(&mut self, text: &Text, shown: &[u8], decoded: Option<Note>, at: Time) -> Option<Duration> {
        match text.reading.kind {
            Kind::Command { tag, verb, arguments } => {
                self.command(text, shown, [tag, verb, arguments], decoded, at);
            }
            kind => {
                self.notes.extend(decoded);
                match kind {
                    Kind::More => self.touch(at, |pending| pending.frame == text.frame),
                    Kind::Sasl | Kind::Cancel => self.touch(at, |pending| pending.then == Some(Then::Sasl)),
                    Kind::Done => {
                        self.touch(at, |pending| pending.then == Some(Then::Idle));
                        self.idle_ends(at);
                    }
                    _ => {}
                }
            }
        }
        self.unasked = text.reading.literal.is_some_and(|literal| !literal.synchronizing);
        if let Some(literal) = text.reading.literal {
            self.literal(literal);
        }
        None
    }

    pub(super) fn server(&mut self, text: &Text, shown: &[u8], decoded: Option<Note>, at: Time) -> Option<Duration> {
        match text.reading.kind {
            Kind::Info { name, .. } => {
                if text.first {
                    if let Some(idle) = &mut self.idle {
                        idle.updates += 1;
                    }
                    self.response(name.of(shown));
                }
                None
            }
            Kind::Reply { tag, status, code, .. } => {
                let latency = self.reply(text, shown, tag, status, code, at);
                if let Some(code) = code {
                    self.code(code.of(shown));
                }
                latency
            }
            Kind::GoAhead { .. } => {
                let latency = self.go_ahead(text, at);
                self.notes.extend(decoded);
                latency
            }
            _ => None,
        }
    }

    /// The last octets of a command came now.
    fn touch(&mut self, at: Time, which: impl Fn(&Pending) -> bool) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| which(pending)) {
            pending.at = at;
        }
    }

    fn command(&mut self, text: &Text, shown: &[u8], parts: [Span; 3], decoded: Option<Note>, at: Time) {
        let [tag, verb, rest] = parts.map(|span| span.of(shown));
        let grammar = std::sync::Arc::clone(&self.grammar);
        let known = grammar.command(verb);
        if self.first_time(Met::Verb, verb) {
            match known {
                Some(known) => self.notes.push(note(NoteKind::Meaning, known.does.as_str(), &known.rfc)),
                None => self.notes.push(note(NoteKind::Meaning, "a command that the grammar does not know", "")),
            }
        }
        self.notes.extend(decoded);
        let hidden = !self.vault.shows() && text.secrets.iter().any(|secret| secret.start < parts[0].end);
        if !hidden && !tag.is_empty() && self.pending.iter().any(|pending| *pending.tag == *tag) {
            let text = format!("the tag {} is in use by a command that is not answered yet", phrase::excerpt(tag));
            self.notes.push(finding(Peer::Client, text, "RFC 9051 section 2.2.1"));
        }
        if let Some(known) = known {
            self.allowed(text, known);
            self.features(known, rest);
        }
        let login = known.is_some_and(|known| known.on_ok == Some(State::Authenticated) && known.secret.is_some())
            && matches!(text.state, State::NotAuthenticated | State::Greeting);
        let pending = Pending {
            frame: text.frame,
            tag: tag[..tag.len().min(MAX_NAME)].into(),
            place: self.tallies.sent(if self.vault.knows(verb) { b"" } else { verb }),
            then: known.and_then(|known| known.then),
            on_ok: known.and_then(|known| known.on_ok),
            on_no: known.and_then(|known| known.on_no),
            at,
            state: text.state,
            subject: self.subject(known, parts[2], login, text, shown),
            login,
            listed: false,
        };
        if self.pending.len() == MAX_PENDING
            && let Some(oldest) = self.pending.pop_front()
        {
            self.tallies.unanswered(oldest.place);
        }
        self.pending.push_back(pending);
    }

    /// The mailbox or the user that a command names, for what is said after its answer.
    fn subject(
        &self,
        known: Option<&Command>,
        arguments: Span,
        login: bool,
        text: &Text,
        shown: &[u8],
    ) -> Option<String> {
        let known = known?;
        if known.on_ok != Some(State::Selected) && !(login && known.then.is_none()) {
            return None;
        }
        let first = imap::tokens(arguments.of(shown)).next()?.span.shifted(arguments.start as usize);
        let hidden = text.secrets.iter().any(|secret| secret.start < first.end && first.start < secret.end);
        if hidden && !self.vault.shows() {
            return None;
        }
        let name = first.of(shown);
        Some(phrase::excerpt(name.strip_prefix(b"\"").and_then(|n| n.strip_suffix(b"\"")).unwrap_or(name)))
    }

    /// Findings about a command that may not be sent now.
    fn allowed(&mut self, text: &Text, known: &Command) {
        let state = text.state;
        // While a command is under way that changes the state, a client may count on its success.
        let settled = !self.pending.iter().any(|pending| pending.on_ok.is_some());
        let judged = matches!(state, State::NotAuthenticated | State::Authenticated | State::Selected);
        if judged && settled && !known.states.is_empty() && !known.states.contains(&state) {
            let text = format!("{} is not allowed in the {} state", known.name, state.word());
            self.notes.push(finding(Peer::Client, text, &known.rfc));
        }
        if known.name == "LOGIN" && self.offers.offers(&self.grammar, "LOGINDISABLED") {
            let text = "LOGIN although the server offers LOGINDISABLED: the password was sent in vain";
            self.notes.push(finding(Peer::Client, text, "RFC 9051 section 6.2.3"));
        }
        if !known.needs.is_empty() {
            self.used(&known.name, &known.needs);
        }
    }

    /// What else a command makes use of.
    fn features(&mut self, known: &Command, arguments: &[u8]) {
        let mut words = arguments.split(|&b| b == b' ').filter(|word| !word.is_empty());
        match known.name.as_str() {
            "AUTHENTICATE" => {
                let Some(name) = words.next().filter(|name| name.len() <= MAX_NAME) else { return };
                let need = format!("AUTH={}", String::from_utf8_lossy(name).to_ascii_uppercase());
                self.used("AUTHENTICATE", &[need]);
                if words.next().is_some() {
                    self.used("an initial response", &["SASL-IR"]);
                }
            }
            "ENABLE" => {
                for name in words.take(16).filter(|name| name.len() <= MAX_NAME) {
                    let need = String::from_utf8_lossy(name).to_ascii_uppercase();
                    self.used("ENABLE", &[need]);
                }
            }
            "SEARCH" | "UID SEARCH" | "SORT" | "UID SORT"
                if words.next().is_some_and(|w| w.eq_ignore_ascii_case(b"RETURN")) =>
            {
                let needs: &[&str] = if known.name.ends_with("SORT") { &["ESORT"] } else { &["ESEARCH"] };
                self.used("RETURN", needs);
            }
            "LIST" if arguments.first() == Some(&b'(') => self.used("an extended LIST", &["LIST-EXTENDED"]),
            "FETCH" | "UID FETCH" | "STORE" | "UID STORE" | "SELECT" | "EXAMINE" | "STATUS" => {
                // What makes the server keep and tell mod-sequences (RFC 7162 section 3.1).
                let words: [&str; 5] = ["UNCHANGEDSINCE", "CHANGEDSINCE", "(CONDSTORE", "(QRESYNC", "HIGHESTMODSEQ"];
                let Some(word) = words.into_iter().find(|word| holds(arguments, word.as_bytes())) else { return };
                let needs: &[&str] = if word == "(QRESYNC" { &["QRESYNC"] } else { &["CONDSTORE", "QRESYNC"] };
                self.used(word.trim_start_matches('('), needs);
            }
            _ => {}
        }
    }

    fn used<S: AsRef<str>>(&mut self, feature: &str, needs: &[S]) {
        let text = match self.offers.make_use(&self.grammar, feature, needs) {
            Verdict::Fine => return,
            Verdict::Hidden(name) if name.eq_ignore_ascii_case(feature) => {
                format!("hidden and tried: {name}, which a rule keeps from the client")
            }
            Verdict::Hidden(name) => {
                format!("hidden and tried: {feature} needs {name}, which a rule keeps from the client")
            }
            Verdict::Unoffered(name) if name.eq_ignore_ascii_case(feature) => {
                format!("{name} is used, and the server does not offer it")
            }
            Verdict::Unoffered(name) => format!("{feature} needs {name}, which the server does not offer"),
        };
        self.notes.push(finding(Peer::Client, text, "RFC 9051 section 6.1.1"));
    }

    /// A literal that the client announces.
    fn literal(&mut self, literal: Literal) {
        if literal.synchronizing {
            return;
        }
        let needs: &[&str] = if literal.len > LITERAL_MINUS { &["LITERAL+"] } else { &["LITERAL+", "LITERAL-"] };
        let minus = literal.len > LITERAL_MINUS && self.offers.offers(&self.grammar, "LITERAL-");
        if minus && !self.offers.offers(&self.grammar, "LITERAL+") {
            let text = format!(
                "a literal of {} sent without waiting: LITERAL- allows 4,096 at most",
                amount(literal.len, "octet")
            );
            return self.notes.push(finding(Peer::Client, text, "RFC 7888 section 5"));
        }
        self.used("{n+}", needs);
    }

    /// What untagged data mean, the first time.
    fn response(&mut self, name: &[u8]) {
        if self.first_time(Met::Response, name) {
            match self.grammar.response(name) {
                Some(known) => self.notes.push(note(NoteKind::Meaning, known.does.as_str(), &known.rfc)),
                None => self.notes.push(note(NoteKind::Meaning, "a response that the grammar does not know", "")),
            }
        }
    }

    /// What a response code means, the first time.
    fn code(&mut self, code: &[u8]) {
        let name = code.split(|&b| b == b' ').next().unwrap_or_default();
        if !self.first_time(Met::Code, name) {
            return;
        }
        let known = self.grammar.code(name);
        self.notes.push(Note {
            kind: NoteKind::Meaning,
            about: Some(phrase::excerpt(name)),
            text: known.map_or("a response code that the grammar does not know", |known| &known.does).to_owned(),
            rfc: known.map(|known| known.rfc.clone()),
        });
    }

    fn reply(
        &mut self,
        text: &Text,
        shown: &[u8],
        tag: Span,
        status: Status,
        code: Option<Span>,
        at: Time,
    ) -> Option<Duration> {
        if tag.is_empty() {
            self.untagged(status);
            return None;
        }
        let frame = text.answers?;
        let place = self.pending.iter().position(|pending| pending.frame == frame)?;
        let pending = self.pending.remove(place)?;
        let latency = at.since(pending.at);
        self.tallies.answered(pending.place, failed(status), latency);
        self.answer(&pending, latency, if failed(status) { ": refused" } else { "" });
        if self.idle.as_ref().is_some_and(|idle| idle.frame == frame) {
            self.idle_ends(at);
        }
        let user = self.exchange.take_if(|exchange| exchange.frame == frame).and_then(|exchange| exchange.user);
        self.progress(&pending, status, user, code.map(|code| code.of(shown)));
        Some(latency)
    }

    fn untagged(&mut self, status: Status) {
        let word = status.word();
        if matches!(status, Status::Bye | Status::Preauth) && self.first_time(Met::Status, word.as_bytes()) {
            if let Some(known) = self.grammar.response(word) {
                self.notes.push(note(NoteKind::Meaning, known.does.as_str(), &known.rfc));
            }
            if status == Status::Preauth {
                let text = "logged in from the start: STARTTLS is not possible any more";
                self.notes.push(note(NoteKind::Session, text, "RFC 9051 section 7.1.4"));
            }
        }
    }

    fn answer(&mut self, pending: &Pending, latency: Duration, what: &str) {
        let verb = self.tallies.commands.get(pending.place).map_or("", |tally| tally.verb.as_str());
        let text = format!("answers {} {verb}{what}, {}", phrase::excerpt(&pending.tag), duration(latency));
        self.notes.push(note(NoteKind::Answer, text, ""));
    }

    fn go_ahead(&mut self, text: &Text, at: Time) -> Option<Duration> {
        if self.first_time(Met::Status, b"+")
            && let Some(known) = self.grammar.response("+")
        {
            self.notes.push(note(NoteKind::Meaning, known.does.as_str(), &known.rfc));
        }
        let frame = text.answers?;
        let pending = self.pending.iter().find(|pending| pending.frame == frame)?;
        let (latency, then, tag, place) = (at.since(pending.at), pending.then, pending.tag.clone(), pending.place);
        let verb = self.tallies.commands.get(place).map_or("", |tally| tally.verb.as_str());
        let text = format!("answers {} {verb}: go on, {}", phrase::excerpt(&tag), duration(latency));
        self.notes.push(note(NoteKind::Answer, text, ""));
        if then == Some(Then::Idle) && self.idle.is_none() {
            self.idle = Some(Idle { frame, since: at, updates: 0 });
            let text = "IDLE began: the server now reports changes by itself";
            self.notes.push(note(NoteKind::Session, text, ""));
        }
        Some(latency)
    }

    fn idle_ends(&mut self, at: Time) {
        let Some(idle) = self.idle.take() else { return };
        let lasted = at.since(idle.since);
        self.tallies.idle = self.tallies.idle.saturating_add(lasted);
        let updates = amount(idle.updates, "update");
        let text = format!("IDLE ended after {}, with {updates}", duration(lasted));
        self.notes.push(note(NoteKind::Session, text, ""));
    }

    /// Where the session stands after an answer.
    fn progress(&mut self, pending: &Pending, status: Status, user: Option<String>, code: Option<&[u8]>) {
        let listed = code.is_some_and(|code| code.get(..10).is_some_and(|c| c.eq_ignore_ascii_case(b"CAPABILITY")));
        let text = match (status, pending.on_ok) {
            (Status::Ok, Some(State::Selected)) => {
                let only = code.is_some_and(|code| code.eq_ignore_ascii_case(b"READ-ONLY"));
                let how = if only { ", for reading only" } else { "" };
                format!(
                    "mailbox {}is selected{how}",
                    pending.subject.as_ref().map(|m| format!("{m} ")).unwrap_or_default()
                )
            }
            (Status::Ok, Some(State::Authenticated)) if pending.login => {
                self.reason = Reason::Login;
                if !listed && !pending.listed {
                    self.offers.forget();
                }
                match user.as_ref().or(pending.subject.as_ref()) {
                    Some(user) => format!("logged in as {user}"),
                    None => "logged in".into(),
                }
            }
            (Status::Ok, Some(State::Authenticated)) if pending.state == State::Selected => {
                "the mailbox is closed".into()
            }
            (Status::Ok, Some(State::NotAuthenticated)) => {
                self.offers.forget();
                self.reason = Reason::Reset;
                "logged out, and the connection can be used for another login".into()
            }
            (Status::Ok, Some(State::Logout)) => "the session is over".into(),
            (Status::No, _) if pending.on_no == Some(State::Authenticated) && pending.state == State::Selected => {
                "no mailbox is selected any more: a SELECT that fails closes the old one".into()
            }
            (Status::Ok, None) if self.enabling(pending) => {
                self.reason = Reason::Enable;
                return;
            }
            _ => return,
        };
        self.notes.push(note(NoteKind::Session, text, ""));
    }

    fn enabling(&self, pending: &Pending) -> bool {
        self.tallies.commands.get(pending.place).is_some_and(|tally| tally.verb == "ENABLE")
    }
}

/// True if a word stands in the arguments, in any case; only their beginning is searched.
fn holds(arguments: &[u8], word: &[u8]) -> bool {
    arguments[..arguments.len().min(4096)].windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
