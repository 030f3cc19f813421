//! What a capability that a rule takes away would have allowed, where that is enforced: commands, mechanisms, literals and
//! parameters, from the grammar. Such a command is answered as by a server without the capability.

use std::sync::Arc;

use super::Session;
use super::secret::unquoted;
use crate::event::{Form, Item, Kind, ListKind, Peer, Reading};
use crate::grammar::{self, Command, Then};
use crate::rules::Scene;
use crate::wire;

/// So many names of a list are remembered, of so many octets at the most.
const NAMES: usize = 256;
const NAME: usize = 64;

/// The largest literal that LITERAL- lets a client send at once (RFC 7888 section 5).
const LITERAL_MINUS: u64 = 4096;

/// How servers list their rights (RFC 4314 section 2.2), for rules that name them as they stand in a list.
const RIGHTS: [&str; 4] = ["RIGHTS=*", "RIGHTS=texk", "RIGHTS=kxte", "RIGHTS=kxten"];

/// Maximum number of implied capabilities that are reported on one connection.
const IMPLIED: usize = 32;

/// So many parameters of a command are looked at.
const PARAMETERS: usize = 16;

/// A rule, and what is answered; what the protocol says to unknown commands if `None`.
pub(super) type Refused = (Arc<str>, Option<&'static str>);

impl Session {
    /// A list of the server's says what is offered: remembered as the client gets it.
    pub(super) fn hear(&mut self, text: &[u8], reading: &Reading, sent: Option<&[u8]>) {
        let literals = self.rules.asks_for_literals();
        if !literals && !self.rules.has_enforced() {
            return;
        }
        let new = sent.map(|sent| wire::reread(self.grammar.form, Peer::Server, reading, sent));
        let offered = names(sent.unwrap_or(text), new.as_ref().unwrap_or(reading));
        if literals {
            // What a rule has added the server does not know.
            self.own.at_once = self.at_once(&names(text, reading)).min(self.at_once(&offered));
        }
        self.own.offered = Some(offered);
    }

    /// Returns true if a list of the server's offers a command whose bytes follow it at once.
    pub(super) fn offers_chunks(&self, text: &[u8], reading: &Reading) -> bool {
        let chunks = |command: &&Command| command.then == Some(Then::ClientOctets);
        let mut needs = self.grammar.commands.iter().filter(chunks).flat_map(|command| &command.needs).peekable();
        let offered = if needs.peek().is_some() { names(text, reading) } else { Vec::new() };
        needs.any(|need| offered.iter().any(|name| self.grammar.covers(name, need)))
    }

    /// The rules that take a capability away which the server does not list, and which another one that reaches the client brings
    /// along: each once, with what it is. `sent`: what the rules make of the list. Where the capability is listed, the rule
    /// acts, and the explainer tells what still implies it.
    pub(super) fn implied(&self, scene: &Scene<'_>, sent: Option<&[u8]>) -> Vec<(Arc<str>, Box<str>, String)> {
        let offers = scene.reading.list.as_ref().is_some_and(|list| list.kind.offers());
        if scene.from != Peer::Server || !offers || !self.rules.has_drops() {
            return Vec::new();
        }
        let listed = names(scene.text, scene.reading);
        let new = sent.map(|sent| wire::reread(self.grammar.form, Peer::Server, scene.reading, sent));
        let offered = sent.zip(new.as_ref()).map_or_else(|| listed.clone(), |(sent, new)| names(sent, new));
        let mut found: Vec<(Arc<str>, Box<str>, String)> = Vec::new();
        for by in &offered {
            let Some(known) = self.grammar.capability(&**by) else { continue };
            let by = &known.name;
            for implied in known.implies.iter().filter(|name| !listed.iter().any(|it| it.eq_ignore_ascii_case(name))) {
                let Some(rule) = self.rules.dropping(scene, implied) else { continue };
                let mut told = self.own.implied().iter().chain(found.iter().map(|(_, name, _)| name));
                if self.own.implied().len() < IMPLIED && !told.any(|name| **name == **implied) {
                    let why = format!("{implied} is not listed, and {by}, which is, implies it");
                    found.push((Arc::clone(rule), implied.as_str().into(), why));
                }
            }
        }
        found
    }

    /// The longest literal that these names let a client send without waiting.
    fn at_once(&self, offered: &[Box<str>]) -> u32 {
        let has = |need| offered.iter().any(|name| self.grammar.covers(name, need));
        match () {
            () if has("LITERAL+") => u32::MAX,
            () if has("LITERAL-") => LITERAL_MINUS as u32,
            () => 0,
        }
    }

    /// Why a command is refused, if it makes use of what an enforced rule takes away.
    pub(super) fn enforced(&self, scene: &Scene<'_>) -> Option<Refused> {
        if scene.from != Peer::Client || !scene.first || !self.rules.has_enforced() {
            return None;
        }
        let Kind::Command { verb, arguments, .. } = scene.reading.kind else { return None };
        let known = self.grammar.command(verb.of(scene.text))?;
        let arguments = arguments.of(scene.text);
        let form = self.grammar.form;
        let waits = scene.reading.literal.is_none_or(|literal| literal.synchronizing);
        if form == Form::Imap && !waits {
            let len = scene.reading.literal.map_or(0, |literal| literal.len);
            let needs: &[&str] = if len > LITERAL_MINUS { &["LITERAL+"] } else { &["LITERAL+", "LITERAL-"] };
            if let Some(rule) = self.lacks(scene, needs) {
                return Some((rule, Some("BAD this literal has to wait")));
            }
        }
        if known.then == Some(Then::Sasl) {
            return self.mechanism(scene, known, arguments);
        }
        // What every server should know, and a capability stands for all the same: USER of POP3, VRFY.
        let enabling = if known.needs.is_empty() { self.grammar.enabling(&known.name) } else { None };
        if let Some(rule) = self.lacks(scene, &known.needs).or_else(|| self.lacks(scene, &[enabling?])) {
            return Some((rule, None));
        }
        match form {
            Form::Imap => self.imap_feature(scene, known, arguments),
            Form::Codes => self.parameter(scene, known, arguments),
            _ => None,
        }
    }

    /// The rule that takes away one of these, of which one would do, and the client was offered none.
    fn lacks<S: AsRef<str>>(&self, scene: &Scene<'_>, needs: &[S]) -> Option<Arc<str>> {
        let rule = needs.iter().find_map(|need| self.rules.enforced(scene, need.as_ref()))?;
        let offered = self.own.offered.as_deref().unwrap_or_default();
        let has = |need: &S| offered.iter().any(|name| self.grammar.covers(name, need.as_ref()));
        (!needs.iter().any(has)).then(|| Arc::clone(rule))
    }

    /// A login: by its mechanism, and by whether something comes along with it.
    fn mechanism(&self, scene: &Scene<'_>, known: &Command, arguments: &[u8]) -> Option<Refused> {
        let mut words = arguments.split(|&b| b == b' ').filter(|word| !word.is_empty());
        let name = unquoted(words.next()?);
        if name.len() > NAME {
            return None;
        }
        let form = self.grammar.form;
        let need = format!("AUTH={}", String::from_utf8_lossy(name).to_ascii_uppercase());
        // On lists of lines, mechanisms go with the line that they stand on.
        let line: &[&str] = if form == Form::Imap { &[] } else { &["AUTH", "SASL"] };
        let whole = line
            .iter()
            .find(|line| self.rules.enforced(scene, line).is_some())
            .and_then(|line| self.lacks(scene, &[line]));
        let unknown = match form {
            Form::Codes => "504 5.5.4 mechanism not known",
            Form::Pop3 => "-ERR mechanism not known",
            Form::Managesieve => "NO \"mechanism not known\"",
            _ => "NO mechanism not known",
        };
        if let Some(rule) = self.lacks(scene, &[need]).or(whole) {
            return Some((rule, Some(unknown)));
        }
        let first = form == Form::Imap && words.next().is_some();
        if let Some(rule) = first.then(|| self.lacks(scene, &["SASL-IR"])).flatten() {
            return Some((rule, Some("BAD no initial response is known here")));
        }
        let needs: Vec<&String> = known.needs.iter().filter(|need| !need.starts_with("AUTH")).collect();
        self.lacks(scene, &needs).map(|rule| (rule, None))
    }

    /// One of a family, such as an algorithm of THREAD, of which others may still be offered.
    fn member(&self, scene: &Scene<'_>, known: &Command, arguments: &[u8]) -> Option<Refused> {
        let need = grammar::member(&known.name, arguments)?;
        let answer = (known.name != "COMPRESS").then_some("BAD arguments not known");
        let rule = if need == RIGHTS[0] { self.lacks(scene, &RIGHTS) } else { self.lacks(scene, &[need]) };
        rule.map(|rule| (rule, answer))
    }

    /// What a command of IMAP makes use of besides itself.
    fn imap_feature(&self, scene: &Scene<'_>, known: &Command, arguments: &[u8]) -> Option<Refused> {
        if let Some(refused) = self.member(scene, known, arguments) {
            return Some(refused);
        }
        let mut uses = grammar::uses(&self.grammar, &known.name, arguments).into_iter();
        let rule = uses.find_map(|found| self.lacks(scene, &found.needs));
        rule.map(|rule| (rule, Some("BAD arguments not known")))
    }

    /// The parameters behind the address of MAIL and RCPT (RFC 5321 section 4.1.1.11).
    fn parameter(&self, scene: &Scene<'_>, known: &Command, arguments: &[u8]) -> Option<Refused> {
        let vocabulary = self.grammar.vocabulary(&format!("{} parameter", known.name.to_ascii_lowercase()))?;
        let behind = arguments.iter().position(|&b| b == b'>').map_or(arguments.len(), |at| at + 1);
        let words = arguments[behind..].split(|&b| b == b' ').filter(|word| !word.is_empty()).take(PARAMETERS);
        words.into_iter().find_map(|word| {
            let mut parts = word.splitn(2, |&b| b == b'=');
            let (key, value) = (parts.next()?, parts.next().unwrap_or_default());
            let found = vocabulary.get(key)?;
            // BODY=8BITMIME is named as the extension is.
            let named = found.needs.iter().find(|need| need.as_bytes().eq_ignore_ascii_case(value));
            let rule = match named {
                Some(need) => self.lacks(scene, std::slice::from_ref(need)),
                None => self.lacks(scene, &found.needs),
            };
            rule.map(|rule| (rule, Some("555 5.5.4 parameter not known")))
        })
    }
}

/// The names of a list, as they are remembered; none for a code of which nothing is left.
fn names(text: &[u8], reading: &Reading) -> Vec<Box<str>> {
    let Some(list) = &reading.list else { return Vec::new() };
    let lines = matches!(list.kind, ListKind::Lines(_));
    let short = list.items.iter().filter(|item| item.name.len() <= NAME).take(NAMES);
    let name = |item: &Item| -> Box<str> {
        let name = String::from_utf8_lossy(item.name.of(text)).to_ascii_uppercase();
        if lines && item.part { format!("AUTH={name}").into() } else { name.into() }
    };
    short.map(name).collect()
}
