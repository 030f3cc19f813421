//! What a client makes use of, and whether it was offered: commands, their arguments and parameters, mechanisms, literals,
//! and sending on before the answer.

use super::book::Book;
use super::finding::{finding, note};
use super::{Explainer, MAX_NAME, Met};
use crate::event::{Literal, NoteKind, Peer};
use crate::exchange::capability::{PARAMETER, Verdict};
use crate::grammar::{self, Command, Then, Use};
use crate::wording::amount;

/// A `{n+}` of more octets than this needs LITERAL+ (RFC 7888 section 5).
const LITERAL_MINUS: u64 = 4096;

impl Explainer {
    /// A command that was sent before the one before it was answered.
    pub(super) fn pipelined(&mut self, frame: u64) {
        let form = matches!(self.book, Book::Smtp | Book::Pop3);
        if form
            && self.connection.waiting.all().any(|exchange| exchange.frame != frame)
            && self.first_time(Met::Status, b"PIPELINING")
        {
            self.used("sending on before the answer", &["PIPELINING"]);
        }
    }

    /// A command, without what its arguments are.
    pub(super) fn itself(&mut self, known: &Command) {
        if !known.needs.is_empty() {
            return self.used(&known.name, &known.needs);
        }
        // Every server should know it, and it may be offered, or hidden, all the same: USER of POP3, VRFY.
        let grammar = std::sync::Arc::clone(&self.grammar);
        if let Some(name) = grammar.enabling(&known.name).filter(|name| self.connection.offers.lists(&grammar, name)) {
            self.used(&known.name, &[name]);
        }
    }

    /// What else a command makes use of.
    pub(super) fn features(&mut self, known: &Command, arguments: &[u8]) {
        let mut words = arguments.split(|&b| b == b' ' || b == b'\t').filter(|word| !word.is_empty());
        if known.then == Some(Then::Sasl) {
            let Some(name) = words.next().filter(|name| name.len() <= MAX_NAME) else {
                return self.used(&known.name, &known.needs);
            };
            let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
            let need = format!("AUTH={}", String::from_utf8_lossy(name).to_ascii_uppercase());
            self.used(&known.name, &[need]);
            if self.book == Book::Imap && words.next().is_some() {
                self.used("an initial response", &["SASL-IR"]);
            }
            return;
        }
        if self.book != Book::Imap {
            return self.parameters(known, arguments);
        }
        if known.name == "ENABLE" {
            for name in words.take(16).filter(|name| name.len() <= MAX_NAME) {
                self.asked_for(&String::from_utf8_lossy(name).to_ascii_uppercase());
            }
        }
        self.arguments(known, arguments);
        self.unconfirmed_utf8(known, arguments);
    }

    /// A name that ENABLE asks for. Servers ignore those that they do not know, so that any may be asked for.
    fn asked_for(&mut self, name: &str) {
        self.who.get_or_insert_default().enabled.ask(name);
        if let Some(hidden) = self.connection.offers.ask(&self.grammar, name) {
            let text = format!("asks for {hidden}, which a rule hides from the client; to ask is not a fault");
            self.notes.push(note(NoteKind::Session, text, "RFC 5161 section 3.1"));
        }
    }

    /// What the arguments of a command of IMAP make use of; of what needs the same, the first.
    fn arguments(&mut self, known: &Command, arguments: &[u8]) {
        let grammar = std::sync::Arc::clone(&self.grammar);
        let offered = known.needs.iter().any(|need| self.connection.offers.offers(&grammar, need));
        let member = grammar::member(&known.name, arguments).filter(|_| offered);
        if let Some(need) = &member {
            self.used(&known.name, &[need]);
        }
        let mut said: Vec<Vec<&str>> = member.as_deref().into_iter().map(|need| vec![need]).collect();
        for Use { what, needs } in grammar::uses(&grammar, &known.name, arguments) {
            // Without the command none of its words can be known.
            let whole = needs.iter().any(|need| known.needs.iter().any(|of| of.eq_ignore_ascii_case(need)));
            if !whole && !said.contains(&needs) {
                self.used(what, &needs);
                self.unconfirmed(what, &needs);
                said.push(needs);
            }
        }
    }

    /// The parameters behind the arguments of a command, which need extensions (`SIZE=1000` of MAIL).
    fn parameters(&mut self, known: &Command, arguments: &[u8]) {
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
                Some(need) => self.used(&format!("{}={need}", found.name), &[need]),
                None => self.used(&found.name, &found.needs),
            }
        }
    }

    fn used<S: AsRef<str>>(&mut self, feature: &str, needs: &[S]) {
        let text = match self.connection.offers.make_use(&self.grammar, feature, needs) {
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
        self.notes.push(finding(Peer::Client, text, self.book.offers()));
    }

    /// A literal that the client announces.
    pub(super) fn literal(&mut self, literal: Literal) {
        // In ManageSieve no literal waits (RFC 5804 section 4).
        if literal.synchronizing || self.book != Book::Imap {
            return;
        }
        let needs: &[&str] = if literal.len > LITERAL_MINUS { &["LITERAL+"] } else { &["LITERAL+", "LITERAL-"] };
        let minus = literal.len > LITERAL_MINUS && self.connection.offers.offers(&self.grammar, "LITERAL-");
        if minus && !self.connection.offers.offers(&self.grammar, "LITERAL+") {
            let text = format!(
                "a literal of {} sent without waiting: LITERAL- allows 4,096 at most",
                amount(literal.len, "octet")
            );
            return self.notes.push(finding(Peer::Client, text, "RFC 7888 section 5"));
        }
        self.used("{n+}", needs);
    }
}
