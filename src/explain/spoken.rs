//! Commands and responses in words: what they mean, what answers what and after how long, where the session stands, and
//! whether a command was allowed.

use std::time::Duration;

use super::list::Reason;
use super::refusal::sent_with;
use super::sasl::Exchange as Login;
use super::tally::HIDDEN;
use super::{Explainer, Idle, MAX_NAME, Met, failed, phrase};
use crate::check::Standard;
use crate::check::{imap as checks, session, smtp};
use crate::event::{Form, Kind, Note, NoteKind, Oddity, Part, Peer, Span, State, Status, Text, Time, repeated};
use crate::exchange::capability::Names;
use crate::exchange::used::Site;
use crate::exchange::{Exchange, Sent, is_bad};
use crate::grammar::{Command, Then};
use crate::wire::imap;
use crate::wording::{amount, duration};

/// So many recipients of a message are remembered.
const MAX_RECIPIENTS: usize = 100;

impl Explainer {
    pub(super) fn client(&mut self, text: &Text, shown: &[u8], decoded: Option<Note>, at: Time) -> Option<Duration> {
        match text.reading.kind {
            Kind::Command { tag, verb, arguments } => {
                self.command(text, shown, [tag, verb, arguments], decoded);
            }
            kind => {
                self.notes.extend(decoded);
                if kind == Kind::Done {
                    self.idle_ends(at);
                }
            }
        }
        self.hurdles_of_login();
        self.unasked = text.reading.literal.is_some_and(|literal| !literal.synchronizing);
        if let Some(literal) = text.reading.literal.filter(|_| self.standard == Standard::Imap) {
            self.literal(text.frame, literal);
        }
        None
    }

    pub(super) fn server(&mut self, text: &Text, shown: &[u8], decoded: Option<Note>, at: Time) -> Option<Duration> {
        match text.reading.kind {
            Kind::Info { name, arguments, .. } => {
                if text.first {
                    if let Some(idle) = &mut self.idle {
                        idle.updates += 1;
                    }
                    // In ManageSieve it is a string of the user's.
                    if self.grammar.form != Form::Managesieve {
                        self.response(name.of(shown), "");
                        self.data_shows(text.frame, name.of(shown), arguments.of(shown));
                    }
                }
                None
            }
            Kind::Reply { status, word, code, .. } => {
                // What it says of credentials is not true of a login that sent none.
                let refused = failed(status).then(|| self.sent(text.answers)).filter(|sent| *sent != Sent::All);
                let claims = refused.is_some() && self.claims(word.of(shown), code.map(|code| code.of(shown)));
                let asked = if self.grammar.form == Form::Imap { String::new() } else { self.asked(text) };
                if matches!(self.grammar.form, Form::Codes | Form::Line) && !claims {
                    self.response(word.of(shown), &asked);
                }
                self.notes.extend(decoded);
                self.kin_of_greeting(text.state, shown);
                self.refused = refused.map(|sent| (sent, claims));
                if let Some(code) = code {
                    self.code_shows(text, code, shown);
                }
                let latency = self.reply(text, shown, status, code, at);
                if let Some(code) = code.filter(|_| !claims) {
                    self.code(code.of(shown), &asked);
                }
                latency
            }
            // One that was not waited for is the reply (331 of FTP).
            Kind::GoAhead { word, .. } if !text.more && text.answers.is_some() => {
                self.response(word.of(shown), "");
                self.reply(text, shown, Status::Ok, None, at)
            }
            Kind::GoAhead { word, .. } => {
                let latency = self.go_ahead(text, word.of(shown), at);
                self.notes.extend(decoded);
                latency
            }
            _ => None,
        }
    }

    fn command(&mut self, text: &Text, shown: &[u8], parts: [Span; 3], decoded: Option<Note>) {
        let [tag, verb, rest] = parts.map(|span| span.of(shown));
        let grammar = std::sync::Arc::clone(&self.grammar);
        let known = grammar.command(verb);
        if self.first_time(Met::Verb, verb) {
            match known {
                Some(known) => self.notes.push(Note::new(NoteKind::Meaning, known.does.as_str(), &known.rfc)),
                None => self.notes.push(Note::new(NoteKind::Meaning, "a command that the grammar does not know", "")),
            }
        }
        self.notes.extend(decoded);
        let covers = |end: u32| !self.vault.shows() && text.secrets.iter().any(|secret| secret.start < end);
        // The verb stands behind the tag: what hides a part of either begins before its end.
        let [hidden, unnamed] = [parts[0].end, parts[1].end].map(covers);
        let same = |exchange: &Exchange| exchange.frame != text.frame && exchange.tag() == tag;
        if !hidden && !tag.is_empty() && self.connection.waiting.all().any(same) {
            let text = format!("the tag {} is in use by a command that is not answered yet", phrase::excerpt(tag));
            self.notes.push(checks::TAG_IN_USE.found(Peer::Client, text, self.standard));
        }
        let site = Site {
            frame: text.frame,
            command: text.frame,
            tag: if hidden { "" } else { std::str::from_utf8(&tag[..tag.len().min(MAX_NAME)]).unwrap_or_default() },
            verb: known.map_or("", |known| &*known.name),
        };
        // What was smuggled stood in a message, behind which the client did wait.
        if repeated(&text.oddities) == 0 {
            self.pipelined(site);
        }
        // What imapscope says in the client's place is not the client's fault.
        if !text.oddities.contains(&Oddity::Ours) {
            self.kin_of_command(verb);
        }
        if let Some(known) = known.filter(|_| !text.oddities.contains(&Oddity::Ours)) {
            self.allowed(text, known, site);
            // What was hidden in a mechanism's place names none.
            let hidden = text.secrets.iter().any(|secret| secret.start <= parts[2].start);
            if self.vault.shows() || known.then != Some(Then::Sasl) || !hidden {
                self.features(known, rest, site);
            } else {
                self.hidden_mechanism(known, site);
            }
        }
        let logs_in = |known: &Command| {
            let state = matches!(known.on_ok, Some(State::Authenticated | State::Transaction));
            known.secret.is_some() && (state || known.then == Some(Then::Sasl))
        };
        let early = !matches!(text.state, State::Authenticated | State::Selected | State::Transaction);
        // AUTH alone asks old servers of POP3 for their mechanisms.
        let asks = self.standard == Standard::Pop3 && rest.trim_ascii().is_empty();
        let login = known.is_some_and(logs_in) && early && !asks;
        let subject = self.subject(known, parts[2], login, text, shown);
        if self.standard == Standard::Pop3 && known.is_some_and(|known| known.name == "USER") {
            self.who.get_or_insert_default().named.clone_from(&subject);
        }
        // A verb that happens to be somebody's password as well is counted as it is shown: all else would tell.
        let row = self.tallies.sent(if unnamed { HIDDEN.as_bytes() } else { verb });
        if let Some(forgotten) = self.connection.forgotten.take() {
            self.tallies.unanswered(forgotten.row);
        }
        match self.connection.waiting.get_mut(text.frame) {
            Some(exchange) => {
                (exchange.row, exchange.login) = (row, login);
                exchange.sent = sent_with(self.standard, known, rest);
                exchange.subject = subject.map(String::into);
            }
            // What a rule has dropped waits for nothing.
            None if self.replies => self.tallies.unanswered(row),
            None => {}
        }
    }

    /// A line of the client's that is too long to be read: if it begins a command, that is counted.
    pub(super) fn overlong(&mut self, frame: u64) {
        if self.connection.part() != Part::First(frame) {
            return;
        }
        if let Some(exchange) = self.connection.waiting.get_mut(frame) {
            exchange.row = self.tallies.sent(exchange.verb().as_bytes());
        }
        if let Some(forgotten) = self.connection.forgotten.take() {
            self.tallies.unanswered(forgotten.row);
        }
    }

    /// The mailbox, the user or the recipient that a command names, for what is said after its answer.
    fn subject(
        &self,
        known: Option<&Command>,
        arguments: Span,
        login: bool,
        text: &Text,
        shown: &[u8],
    ) -> Option<String> {
        let known = known?;
        if known.on_ok == Some(State::Rcpt) {
            return Some(address(arguments.of(shown)));
        }
        if self.standard == Standard::Pop3 && known.name == "PASS" {
            return self.who.as_ref().and_then(|who| who.named.clone());
        }
        if self.standard == Standard::Pop3 && known.name == "USER" {
            // What is hidden after it is hardly a part of the name.
            let end = text.secrets.iter().map(|it| it.start).filter(|&at| at > arguments.start).min();
            let end = end.filter(|_| !self.vault.shows()).unwrap_or(arguments.end);
            let name = Span { end: end.min(arguments.end), ..arguments };
            return Some(phrase::excerpt(name.of(shown).trim_ascii()));
        }
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
    fn allowed(&mut self, text: &Text, known: &Command, site: Site<'_>) {
        let state = text.state;
        // While a command is under way that changes the state, a client may count on its success.
        let changes = |exchange: &Exchange| exchange.frame != text.frame && exchange.on_ok.is_some();
        let settled = !self.connection.waiting.all().any(changes);
        let judged = !matches!(state, State::Greeting | State::Logout | State::Opaque | State::Open | State::Update);
        let inferred = text.oddities.contains(&Oddity::Inferred);
        if judged && settled && !inferred && !known.states.is_empty() && !known.states.contains(&state) {
            let text = format!("{} is not allowed in the {} state", known.name, state.word());
            self.notes.push(session::WRONG_STATE.found_in(Peer::Client, text, &known.rfc));
        }
        if self.standard == Standard::Imap
            && known.name == "LOGIN"
            && self.connection.offers.offers(&self.grammar, "LOGINDISABLED")
        {
            let text = "LOGIN although the server offers LOGINDISABLED: the password was sent in vain";
            self.notes.push(checks::LOGIN_DISABLED.found(Peer::Client, text, self.standard));
        }
        if state == State::Greeting {
            self.spoke_early(known);
        }
        if self.authenticated && known.then == Some(Then::Sasl) {
            let text = "a second login: only one is allowed in a session";
            self.notes.push(session::SECOND_LOGIN.found(Peer::Client, text, self.standard));
        }
        // A login needs its mechanism, which is looked at with its name.
        if known.then != Some(Then::Sasl) {
            self.itself(known, site);
        }
    }

    /// What untagged data or a reply mean, the first time; a reply may mean something else after each command.
    fn response(&mut self, name: &[u8], asked: &str) {
        let grammar = std::sync::Arc::clone(&self.grammar);
        let known = grammar.response(name);
        let special = known.and_then(|known| known.does_after(asked));
        if !self.first_after(Met::Response, name, special.map(|_| asked)) {
            return;
        }
        self.notes.push(match known {
            Some(known) => Note::new(NoteKind::Meaning, special.unwrap_or(&known.does), &known.rfc),
            None => Note::new(NoteKind::Meaning, "a response that the grammar does not know", ""),
        });
    }

    /// What a response code means, the first time; likewise.
    fn code(&mut self, code: &[u8], asked: &str) {
        let name = code.split(|&b| b == b' ').next().unwrap_or_default();
        // Of a success there is nothing more to say.
        let known = self.known_code(name).filter(|_| !name.starts_with(b"2."));
        let special = known.and_then(|known| known.does_after(asked)).map(str::to_owned);
        if !self.first_after(Met::Code, name, special.as_ref().map(|_| asked)) {
            return;
        }
        if name.ends_with(b".0.0") {
            return; // says no more than the reply
        }
        let known = self.known_code(name);
        let does = special.or_else(|| known.map(|known| known.does.clone()));
        self.notes.push(Note {
            about: Some(phrase::excerpt(name)),
            rfc: known.map(|known| known.rfc.clone()),
            ..Note::new(
                NoteKind::Meaning,
                does.unwrap_or_else(|| "a response code that the grammar does not know".to_owned()),
                "",
            )
        });
    }

    /// Returns true the first time that a name is met, or the first time after this command.
    fn first_after(&mut self, met: Met, name: &[u8], asked: Option<&str>) -> bool {
        match asked {
            Some(asked) => self.first_time(met, &[name, b" ", asked.as_bytes()].concat()),
            None => self.first_time(met, name),
        }
    }

    /// What a reply answers, as descriptions call it: the verb of a command, `message` for the one that it has sent, or `greeting`.
    fn asked(&self, text: &Text) -> String {
        match text.answers.and_then(|frame| self.connection.find(frame)) {
            Some(exchange) if exchange.whole && self.standard == Standard::Smtp => "message".to_owned(),
            Some(exchange) => exchange.verb().to_owned(),
            None if text.state == State::Greeting => "greeting".to_owned(),
            None => String::new(),
        }
    }

    /// The response code of this name; an enhanced one is known by its subject and detail (RFC 3463 section 2).
    pub(super) fn known_code(&self, name: &[u8]) -> Option<&crate::grammar::Code> {
        let class = matches!(name, [b'2' | b'4' | b'5', b'.', ..]).then(|| [b"X", &name[1..]].concat());
        self.grammar.code(class.as_deref().unwrap_or(name))
    }

    fn reply(&mut self, text: &Text, shown: &[u8], status: Status, code: Option<Span>, at: Time) -> Option<Duration> {
        let Some(frame) = text.answers else {
            self.untagged(status);
            return None;
        };
        let exchange = self.connection.find(frame)?;
        let (latency, bad) = (exchange.latency, is_bad(exchange, status));
        let nth = (exchange.replies as usize).saturating_sub(1);
        let one_of = text.more || nth > 0;
        let whom = match self.recipients.get(nth) {
            Some(recipient) if one_of => format!(" for {recipient}"),
            _ => String::new(),
        };
        let said = self.answers(exchange, latency, &format!("{whom}{}", if bad { ": refused" } else { "" }));
        self.notes.push(said);
        if text.more {
            return latency;
        }
        let mut exchange = self.connection.borrow_done(frame)?;
        let bad_of_any = bad || (exchange.each && exchange.taken < exchange.replies);
        self.tallies.answered(exchange.row, bad_of_any, latency);
        if self.idle.as_ref().is_some_and(|idle| idle.frame == frame) {
            self.idle_ends(at);
        }
        let login = self.exchange.take_if(|login| login.frame == frame);
        if status == Status::Ok && login.as_deref().is_some_and(Login::silent) {
            let text = "a good reply in the place of a challenge: nothing was sent yet that could log in";
            self.notes.push(session::SASL_EARLY_SUCCESS.found(Peer::Server, text, self.standard));
            exchange.login = false;
        }
        let code = code.map(|code| code.of(shown));
        if let Some((sent, claims)) = self.refused.take() {
            self.not_judged(&exchange, login.as_deref(), sent, claims);
        }
        self.hurdles_of_refusal(exchange.then, login.as_deref(), status, code, shown);
        let user = login.and_then(|login| login.user);
        self.kin_of_reply(&exchange, status);
        // Of several replies the last one decides, as of several recipients.
        self.settled(&exchange, bad, code, (text, shown), at);
        self.progress(&exchange, text.state, status, user, code);
        self.connection.give_back(exchange);
        latency
    }

    fn untagged(&mut self, status: Status) {
        let word = status.word();
        if matches!(status, Status::Bye | Status::Preauth) && self.first_time(Met::Status, word.as_bytes()) {
            if let Some(known) = self.grammar.response(word) {
                self.notes.push(Note::new(NoteKind::Meaning, known.does.as_str(), &known.rfc));
            }
            if status == Status::Preauth {
                self.who.get_or_insert_default().enabled.begin();
                let text = "logged in from the start: STARTTLS is not possible any more";
                self.notes.push(Note::new(NoteKind::Session, text, "RFC 9051 section 7.1.4"));
            }
        }
    }

    /// Says what is answered, and after how long.
    fn answers(&self, exchange: &Exchange, latency: Option<Duration>, what: &str) -> Note {
        let tag = if exchange.hidden_tag { HIDDEN.into() } else { phrase::excerpt(exchange.tag()) };
        let blank = if tag.is_empty() { "" } else { " " };
        let latency = latency.map_or_else(String::new, |latency| format!(", {}", duration(latency)));
        let answers = if self.connection.missing.unpaired { "may answer" } else { "answers" };
        let text = format!("{answers} {tag}{blank}{}{what}{latency}", self.verb(exchange));
        Note::new(NoteKind::Answer, text, "")
    }

    fn go_ahead(&mut self, text: &Text, word: &[u8], at: Time) -> Option<Duration> {
        if self.first_time(Met::Status, word)
            && let Some(known) = self.grammar.response(word)
        {
            self.notes.push(Note::new(NoteKind::Meaning, known.does.as_str(), &known.rfc));
        }
        let frame = text.answers?;
        let exchange = self.connection.find(frame)?;
        let (latency, then) = (at.after(exchange.at), exchange.then);
        let said = self.answers(exchange, latency, ": go on");
        self.notes.push(said);
        if then == Some(Then::Idle) && self.idle.is_none() {
            self.idle = Some(Idle { frame, since: at, updates: 0 });
            let text = "IDLE began: the server now reports changes by itself";
            self.notes.push(Note::new(NoteKind::Session, text, ""));
        }
        latency
    }

    fn idle_ends(&mut self, at: Time) {
        let Some(idle) = self.idle.take() else { return };
        let lasted = at.after(idle.since);
        self.tallies.idle = self.tallies.idle.saturating_add(lasted.unwrap_or_default());
        let lasted = lasted.map_or_else(String::new, |lasted| format!(" after {}", duration(lasted)));
        let updates = amount(idle.updates, "update");
        let text = format!("IDLE ended{lasted}, with {updates}");
        self.notes.push(Note::new(NoteKind::Session, text, ""));
    }

    /// Where the session stands after an answer.
    fn progress(
        &mut self,
        pending: &Exchange,
        state: State,
        status: Status,
        user: Option<String>,
        code: Option<&[u8]>,
    ) {
        if self.standard == Standard::Smtp {
            return self.transaction(pending, status, user);
        }
        let listed = code.is_some_and(|code| code.get(..10).is_some_and(|c| c.eq_ignore_ascii_case(b"CAPABILITY")));
        let text = match (status, pending.on_ok) {
            (Status::Ok, Some(State::Selected)) => {
                let only = code.is_some_and(|code| code.eq_ignore_ascii_case(b"READ-ONLY"));
                let how = if only { ", for reading only" } else { "" };
                format!(
                    "mailbox {}is selected{how}",
                    pending.subject.as_deref().map(|m| format!("{m} ")).unwrap_or_default()
                )
            }
            (Status::Ok, Some(State::Authenticated | State::Transaction)) if pending.login => {
                self.reason = Reason::Login;
                if !listed && !pending.listed {
                    self.connection.offers.forget();
                }
                self.logged_in(user.as_deref().or(pending.subject.as_deref()))
            }
            (Status::Ok, Some(State::Authenticated)) if pending.state == State::Selected => {
                "the mailbox is closed".into()
            }
            (Status::Ok, Some(State::NotAuthenticated)) => {
                self.connection.offers.forget();
                self.reason = Reason::Reset;
                self.who = None;
                "logged out, and the connection can be used for another login".into()
            }
            (Status::Ok | Status::Bye, Some(State::Logout)) => "the session is over".into(),
            (Status::Ok, Some(State::Update)) if state == State::Transaction => {
                "messages that were marked for removal are gone; the session is over".into()
            }
            (Status::Ok, Some(State::Update)) => "the session is over".into(),
            (Status::No, _) if pending.on_no == Some(State::Authenticated) && pending.state == State::Selected => {
                "no mailbox is selected any more: a SELECT that fails closes the old one".into()
            }
            // What the server offers is another list then (RFC 3977 section 5.3, RFC 4643 section 2.2).
            (Status::Ok, _) if self.standard == Standard::Other && matches!(pending.verb(), "MODE" | "AUTHINFO") => {
                return self.connection.offers.forget();
            }
            (Status::Ok, None) if enables(pending) => {
                self.reason = Reason::Enable;
                return;
            }
            _ => return,
        };
        self.notes.push(Note::new(NoteKind::Session, text, ""));
    }

    /// Where a session of SMTP stands after an answer.
    fn transaction(&mut self, pending: &Exchange, status: Status, user: Option<String>) {
        let message = matches!(pending.then, Some(Then::ClientDot | Then::ClientOctets)) && pending.whole;
        let (taken, of) = (pending.taken, pending.replies);
        let text = match (status, pending.on_ok) {
            (Status::Ok, Some(State::Rcpt)) => {
                if self.recipients.len() < MAX_RECIPIENTS {
                    self.recipients.extend(pending.subject.as_deref().map(str::to_owned));
                }
                return;
            }
            (Status::Ok, _) if pending.login => {
                self.reason = Reason::Login;
                self.authenticated = true;
                self.logged_in(user.as_deref())
            }
            (Status::Ok, Some(State::Logout)) => "the session is over".into(),
            (Status::Ok, _) if pending.then == Some(Then::ClientDot) && !message && !pending.granted => {
                let text = "a good reply to DATA, in the place of 354: nothing was sent yet that could be taken";
                return self.notes.push(smtp::DATA_WITHOUT_354.found(Peer::Server, text, self.standard));
            }
            (_, _) if message && pending.each && of > 1 && taken < of => match taken {
                0 => format!("not taken for any of the {of} recipients"),
                _ => format!("the server has taken charge of the message for {taken} of {of} recipients"),
            },
            (Status::Ok, _) if message => "the server has taken charge of the message".into(),
            (Status::No, _) if message => "not taken for now: the client is to try again later".into(),
            (Status::Bad, _) if message => "refused for good: the client is to give up".into(),
            _ => String::new(),
        };
        if message || (status == Status::Ok && pending.on_ok.is_some()) {
            self.recipients.clear();
        }
        // The session begins anew (XCLIENT), for another client who may log in.
        if status == Status::Ok && pending.on_ok == Some(State::Connected) {
            (self.authenticated, self.reason) = (false, Reason::None);
        }
        // After HELO there are no extensions.
        if status == Status::Ok && pending.verb() == "HELO" {
            self.connection.offers.hear(&self.grammar, Names::default(), Names::default());
        }
        if !text.is_empty() {
            self.notes.push(Note::new(NoteKind::Session, text, ""));
        }
    }

    /// What a command is called where verbs are counted.
    pub(super) fn verb(&self, exchange: &Exchange) -> &str {
        self.tallies.commands.get(usize::from(exchange.row)).map_or("", |tally| tally.verb.as_str())
    }
}

/// True for ENABLE.
pub(super) fn enables(exchange: &Exchange) -> bool {
    exchange.verb() == "ENABLE"
}

/// The address between angle brackets, or the first word behind the colon (RFC 5321 section 4.1.1.3).
fn address(arguments: &[u8]) -> String {
    let from = arguments.iter().position(|&b| b == b':').map_or(0, |at| at + 1);
    let rest = arguments[from..].trim_ascii_start();
    let inside = match rest.strip_prefix(b"<") {
        Some(rest) => rest.split(|&b| b == b'>').next(),
        None => rest.split(|&b| b == b' ').next(),
    };
    phrase::excerpt(inside.unwrap_or_default())
}
