//! What a client makes use of, and whether it was offered: commands, their arguments and parameters, mechanisms, literals,
//! and sending on before the answer.

use super::{Explainer, MAX_NAME, Met, phrase};
use crate::check::Standard;
use crate::check::imap::LITERAL_MINUS_TOO_LARGE;
use crate::check::session::{CAPABILITY_HIDDEN, CAPABILITY_NOT_OFFERED};
use crate::event::{Literal, Note, NoteKind, Peer, Span, Text};
use crate::exchange::capability::{Offered, PARAMETER};
use crate::exchange::used::Site;
use crate::grammar::{self, Command, Then, Use};
use crate::wording::amount;

/// A `{n+}` of more octets than this needs LITERAL+ (RFC 7888 section 5).
const LITERAL_MINUS: u64 = 4096;

/// Maximum number of words of a list that are looked at for what they make use of.
const MAX_WORDS: usize = 32;

impl Explainer {
    /// A command that was sent before the one before it was answered. Where anything is missing, a reply may have been to another one.
    pub(super) fn pipelined(&mut self, site: Site<'_>) {
        let form = matches!(self.standard, Standard::Smtp | Standard::Pop3);
        if form
            && self.connection.missing.is_nothing()
            && self.connection.waiting.all().any(|exchange| exchange.frame != site.frame)
            && self.first_time(Met::Status, b"PIPELINING")
        {
            let grammar = std::sync::Arc::clone(&self.grammar);
            self.connection.offers.shown(&grammar, "before the last answer", &["PIPELINING"], site);
            self.used("sending on before the answer", &["PIPELINING"], site);
        }
    }

    /// A command, without what its arguments are.
    pub(super) fn itself(&mut self, known: &Command, site: Site<'_>) {
        if !known.needs.is_empty() {
            return self.used(&known.name, &known.needs, site);
        }
        // Every server should know it, and it may be offered, or hidden, all the same: USER of POP3, VRFY.
        let grammar = std::sync::Arc::clone(&self.grammar);
        if let Some(name) = grammar.enabling(&known.name).filter(|name| self.connection.offers.lists(&grammar, name)) {
            self.used(&known.name, &[name], site);
        }
    }

    /// What else a command makes use of.
    pub(super) fn features(&mut self, known: &Command, arguments: &[u8], site: Site<'_>) {
        let mut words = arguments.split(|&b| b == b' ' || b == b'\t').filter(|word| !word.is_empty());
        if known.then == Some(Then::Sasl) {
            let Some(name) = words.next().filter(|name| name.len() <= MAX_NAME) else {
                return self.used(&known.name, &known.needs, site);
            };
            let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
            let need = format!("AUTH={}", String::from_utf8_lossy(name).to_ascii_uppercase());
            let grammar = std::sync::Arc::clone(&self.grammar);
            self.connection.offers.shown(&grammar, &need["AUTH=".len()..], &[&need], site);
            self.used(&known.name, &[&need], site);
            self.line_of_mechanisms(known, &need["AUTH=".len()..], site);
            if self.standard == Standard::Imap && words.next().is_some() {
                self.connection.offers.shown(&grammar, "with an initial response", &["SASL-IR"], site);
                self.used("an initial response", &["SASL-IR"], site);
            }
            return;
        }
        if self.standard != Standard::Imap {
            return self.parameters(known, arguments, site);
        }
        if known.name == "ENABLE" {
            for name in words.take(16).filter(|name| name.len() <= MAX_NAME) {
                self.asked_for(&String::from_utf8_lossy(name).to_ascii_uppercase(), site);
            }
        }
        self.arguments(known, arguments, site);
        self.unconfirmed_utf8(known, arguments);
    }

    /// A login in which the mechanism is hidden: it may be any of those that are offered.
    pub(super) fn hidden_mechanism(&mut self, known: &Command, site: Site<'_>) {
        self.line_of_mechanisms(known, &known.name, site);
        self.connection.offers.blind = true;
    }

    /// On a list of lines the mechanisms have a line (AUTH, SASL), which is used with each of them.
    fn line_of_mechanisms(&mut self, known: &Command, feature: &str, site: Site<'_>) {
        let grammar = std::sync::Arc::clone(&self.grammar);
        for line in known.needs.iter().filter(|line| !line.contains('=')) {
            self.connection.offers.shown(&grammar, feature, &[line], site);
        }
    }

    /// A name that ENABLE asks for. Servers ignore those that they do not know, so that any may be asked for.
    fn asked_for(&mut self, name: &str, site: Site<'_>) {
        self.who.get_or_insert_default().enabled.ask(name);
        if let Some(hidden) = self.connection.offers.ask(&self.grammar, name, site) {
            let text = format!("asks for {hidden}, which a rule hides from the client; to ask is not a fault");
            self.notes.push(Note::new(NoteKind::Session, text, "RFC 5161 section 3.1"));
        }
    }

    /// What the arguments of a command of IMAP make use of; of what needs the same, the first.
    fn arguments(&mut self, known: &Command, arguments: &[u8], site: Site<'_>) {
        let grammar = std::sync::Arc::clone(&self.grammar);
        let offered = known.needs.iter().any(|need| self.connection.offers.offers(&grammar, need));
        let member = grammar::member(&known.name, arguments).filter(|_| offered);
        if let Some(need) = &member {
            self.used(&known.name, &[need], site);
        }
        let mut said: Vec<Vec<&str>> = member.as_deref().into_iter().map(|need| vec![need]).collect();
        for Use { what, needs } in grammar::uses(&grammar, &known.name, arguments) {
            // Without the command none of its words can be known.
            let whole = needs.iter().any(|need| known.needs.iter().any(|of| of.eq_ignore_ascii_case(need)));
            if !whole && !said.contains(&needs) {
                self.used(what, &needs, site);
                self.unconfirmed(what, &needs);
                said.push(needs);
            }
        }
    }

    /// The parameters behind the arguments of a command, which need extensions (`SIZE=1000` of MAIL).
    fn parameters(&mut self, known: &Command, arguments: &[u8], site: Site<'_>) {
        let grammar = std::sync::Arc::clone(&self.grammar);
        let kind = format!("{}{PARAMETER}", known.name.to_ascii_lowercase());
        let Some(vocabulary) = grammar.vocabulary(&kind) else { return };
        let behind = arguments.iter().position(|&b| b == b'>').map_or(arguments.len(), |at| at + 1);
        for word in arguments[behind..].split(|&b| b == b' ').filter(|word| !word.is_empty()).take(16) {
            let (key, value) = match word.iter().position(|&b| b == b'=') {
                Some(at) => (&word[..at], &word[at + 1..]),
                None => (word, &b""[..]),
            };
            let Some(found) = vocabulary.get(key) else { continue };
            // BODY=8BITMIME is named as the extension is; BODY=7BIT needs none of them in particular.
            let named = found.needs.iter().find(|need| need.as_bytes().eq_ignore_ascii_case(value));
            match named {
                Some(need) => self.used(&format!("{}={need}", found.name), &[need], site),
                None => self.used(&found.name, &found.needs, site),
            }
        }
    }

    fn used<S: AsRef<str>>(&mut self, feature: &str, needs: &[S], site: Site<'_>) {
        let (check, text, name) = match self.connection.offers.make_use(&self.grammar, feature, needs, site) {
            Offered::Fine => return,
            Offered::Hidden(name) if name.eq_ignore_ascii_case(feature) => {
                (CAPABILITY_HIDDEN, format!("hidden and tried: {name}, which a rule keeps from the client"), name)
            }
            Offered::Hidden(name) => {
                let text = format!("hidden and tried: {feature} needs {name}, which a rule keeps from the client");
                (CAPABILITY_HIDDEN, text, name)
            }
            Offered::Unoffered(name) if name.eq_ignore_ascii_case(feature) => {
                (CAPABILITY_NOT_OFFERED, format!("{name} is used, and the server does not offer it"), name)
            }
            Offered::Unoffered(name) => {
                (CAPABILITY_NOT_OFFERED, format!("{feature} needs {name}, which the server does not offer"), name)
            }
        };
        let wanted = needs.first().map_or("", |need| need.as_ref());
        let found = self.misled(check.found(Peer::Client, text, self.standard), wanted);
        self.notes.push(Note { about: Some(name), ..found });
    }

    /// A literal that the client announces, in the command of this frame.
    pub(super) fn literal(&mut self, frame: u64, literal: Literal) {
        let (tag, verb) = self.named(Some(frame));
        let site = Site { frame, command: frame, tag: &tag, verb: &verb };
        let grammar = std::sync::Arc::clone(&self.grammar);
        if literal.binary {
            self.connection.offers.shown(&grammar, "~{n}", &["BINARY", "UTF8=ACCEPT"], site);
        }
        // In ManageSieve no literal waits (RFC 5804 section 4).
        if literal.synchronizing || self.standard != Standard::Imap {
            return;
        }
        let needs: &[&str] = if literal.len > LITERAL_MINUS { &["LITERAL+"] } else { &["LITERAL+", "LITERAL-"] };
        let minus = literal.len > LITERAL_MINUS && self.connection.offers.offers(&self.grammar, "LITERAL-");
        if minus && !self.connection.offers.offers(&self.grammar, "LITERAL+") {
            let text = format!(
                "a literal of {} sent without waiting: LITERAL- allows 4,096 at most",
                amount(literal.len, "octet")
            );
            return self.notes.push(LITERAL_MINUS_TOO_LARGE.found(Peer::Client, text, self.standard));
        }
        self.used("{n+}", needs, site);
    }

    /// What a server's data make use of: their name, attributes of mailboxes, resources of quotas. The first time tells.
    pub(super) fn data_shows(&mut self, frame: u64, name: &[u8], arguments: &[u8]) {
        let grammar = std::sync::Arc::clone(&self.grammar);
        let site = Site { frame, command: frame, tag: "*", verb: "" };
        let known = grammar.response(name);
        if let Some(known) = known.filter(|known| !known.needs.is_empty()) {
            self.connection.offers.shown(&grammar, &known.name, &known.needs, site);
        }
        let kind = match known.map_or("", |known| &*known.name) {
            "LIST" | "LSUB" | "XLIST" => "mailbox attribute",
            "QUOTA" => "quota resource",
            _ => return,
        };
        let Some(vocabulary) = grammar.vocabulary(kind) else { return };
        let group = arguments.split(|&byte| byte == b'(').nth(1).unwrap_or_default();
        let group = group.split(|&byte| byte == b')').next().unwrap_or_default();
        for word in group.split(|&byte| byte == b' ').take(MAX_WORDS) {
            let Some(found) = vocabulary.get(word) else { continue };
            let site = Site { verb: known.map_or("", |known| &*known.name), ..site };
            match kind {
                // A resource is offered by its name (RFC 9208 section 3.1).
                "quota resource" => {
                    self.connection.offers.shown(&grammar, &found.name, &[format!("QUOTA=RES-{}", found.name)], site);
                }
                _ => {
                    self.connection.offers.shown(&grammar, &found.name, &found.needs, site);
                }
            }
        }
    }

    /// What a response code makes use of, the first time that it comes. In SMTP and POP3 all codes have a capability.
    pub(super) fn code_shows(&mut self, text: &Text, code: Span, shown: &[u8]) {
        let code = code.of(shown);
        let name = code.split(|&byte| byte == b' ').next().unwrap_or_default();
        let all = match self.standard {
            Standard::Smtp if matches!(name, [b'2' | b'4' | b'5', b'.', ..]) => "ENHANCEDSTATUSCODES",
            Standard::Pop3 => "RESP-CODES",
            _ => "",
        };
        let settled = all.is_empty() || self.connection.offers.uses.has(all);
        if settled && self.met[Met::Code as usize].has(&String::from_utf8_lossy(name)) {
            return;
        }
        let grammar = std::sync::Arc::clone(&self.grammar);
        let needs = self.known_code(name).map(|known| known.needs.clone()).unwrap_or_default();
        let (tag, verb) = self.named(text.answers);
        let tag = if text.answers.is_none() { "*" } else { &tag };
        let site = Site { frame: text.frame, command: text.answers.unwrap_or(text.frame), tag, verb: &verb };
        let name = format!("[{}]", String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]));
        self.connection.offers.shown(&grammar, &name, &needs, site);
        if !settled {
            self.connection.offers.shown(&grammar, &name, &[all], site);
        }
    }

    /// The tag and the verb of the command in this frame; empty if it is not known.
    fn named(&self, frame: Option<u64>) -> (String, String) {
        let exchange = frame.and_then(|frame| self.connection.find(frame));
        exchange.map_or_else(Default::default, |exchange| {
            (String::from_utf8_lossy(exchange.tag()).into_owned(), exchange.verb().to_owned())
        })
    }

    /// Says what is used for the first time.
    pub(super) fn news(&mut self) {
        let news = self.connection.offers.uses.news();
        if !news.is_empty() {
            let text = format!("uses {}", phrase::names(&news));
            self.notes.push(Note::new(NoteKind::Session, text, ""));
        }
    }
}
