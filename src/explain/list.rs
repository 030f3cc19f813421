//! Capability lists in words: the first in full, entry by entry; later ones as what they change, and why.

use super::{Explainer, Met, phrase};
use crate::check::Standard;
use crate::exchange::capability::{MAX_NAMES, Names, word};
use std::borrow::Cow;

use crate::event::{Fate, Item, List, ListKind, Note, NoteKind, Offer, Reading, Span, Text};
use crate::grammar::Grammar;

/// The most entries of a list that get a note each.
const MAX_ENTRIES: usize = 256;

/// What happened since the last list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reason {
    /// Nothing that would change it.
    #[default]
    None,
    /// TLS began.
    Tls,
    /// A login is under way, and will be confirmed in a moment.
    During,
    /// A user logged in.
    Login,
    /// ENABLE was answered.
    Enable,
    /// The user was logged out again (UNAUTHENTICATE).
    Reset,
}

impl Reason {
    const fn words(self) -> &'static str {
        match self {
            Reason::None => "",
            Reason::Tls => " (after TLS began)",
            Reason::During => " (with login)",
            Reason::Login => " (after login)",
            Reason::Enable => " (after ENABLE)",
            Reason::Reset => " (after UNAUTHENTICATE)",
        }
    }
}

impl Explainer {
    /// Explains the list in a text; `sent` is what went out instead, where a rule acted.
    pub(super) fn list(&mut self, text: &Text, shown: &[u8], sent: Option<(&[u8], &Reading)>) {
        let came = text.reading.list.as_ref();
        let went = match sent {
            Some((_, reading)) => reading.list.as_ref(),
            None => came,
        };
        let server = came.map(|list| names(list, shown)).unwrap_or_default();
        let client = match sent {
            // One that is only written otherwise is called as the server calls it.
            Some((bytes, _)) => went.map(|list| names(list, bytes).spelled_as(&server)).unwrap_or_default(),
            None => server.clone(),
        };
        match came.or(went).map(|list| list.kind) {
            Some(ListKind::Data | ListKind::Code | ListKind::Lines(_)) => {
                if let Some(pending) = self.connection.waiting.all_mut().filter(|exchange| exchange.login).last() {
                    pending.listed = true;
                    if self.reason == Reason::None {
                        self.reason = Reason::During;
                    }
                }
                if self.standard == Standard::Imap {
                    self.bogus(text.frame, &server);
                }
                self.offered(server, client, went.is_some());
            }
            Some(ListKind::Enabled) => {
                let on: Vec<String> = client.iter().map(str::to_owned).collect();
                self.who.get_or_insert_default().enabled.confirm(client.iter());
                let what = if on.is_empty() { "nothing".to_owned() } else { phrase::names(&on) };
                self.notes.push(Note::new(NoteKind::Session, format!("switched on: {what}"), "RFC 5161 section 3.2"));
            }
            Some(ListKind::Enable) | None => {}
        }
    }

    fn offered(&mut self, server: Names, client: Names, arrived: bool) {
        let reason = std::mem::take(&mut self.reason);
        self.judge_early(&server);
        if !arrived {
            // A rule took the whole list away: the client knows what it knew.
            let hidden: Vec<&str> = server.iter().collect();
            let text = format!("the client does not see this list: {}", phrase::names(&hidden));
            return self.notes.push(Note::new(NoteKind::Difference, text, ""));
        }
        let change = self.connection.offers.hear(&self.grammar, server.clone(), client.clone());
        self.implied(&change.hidden);
        if change.first {
            let all = server.iter().chain(client.iter().filter(|name| !server.has(name)));
            for name in all.take(MAX_ENTRIES) {
                let fate = match (server.has(name), client.has(name)) {
                    (true, true) => Fate::Kept,
                    (true, false) => Fate::Removed,
                    (false, _) => Fate::Added,
                };
                self.notes.push(entry(&self.grammar, name, fate));
            }
            return self.more(server.iter().count());
        }
        let mut parts = Vec::new();
        // Names that were never there before have entries of their own, below.
        let again: Vec<&String> = change.added.iter().filter(|name| !change.novel.contains(name)).collect();
        if !again.is_empty() {
            parts.push(format!("there again: {}", phrase::names(&again)));
        }
        if !change.gone.is_empty() {
            parts.push(format!("gone: {}", phrase::names(&change.gone)));
        }
        if parts.is_empty() {
            let unchanged = if change.novel.is_empty() { "the same list as before" } else { "nothing is gone" };
            parts.push(unchanged.to_owned());
        }
        let hidden = match change.hidden.as_slice() {
            [] => String::new(),
            hidden => format!("; kept from the client by a rule: {}", phrase::names(hidden)),
        };
        self.notes.push(Note::new(NoteKind::Difference, format!("{}{hidden}{}", parts.join("; "), reason.words()), ""));
        for name in change.novel.iter().take(MAX_ENTRIES) {
            let fate = if server.has(name) { Fate::Kept } else { Fate::Added };
            self.notes.push(entry(&self.grammar, name, fate));
        }
        self.more(change.novel.len());
    }

    /// Says how many of `count` names have no entry.
    fn more(&mut self, count: usize) {
        if count > MAX_ENTRIES {
            let text = format!("and {} more names", count - MAX_ENTRIES);
            self.notes.push(Note::new(NoteKind::Difference, text, ""));
        }
    }

    /// What a rule hides may still be implied by what it leaves: then a client goes on using it, and rightly so.
    fn implied(&mut self, hidden: &[String]) {
        for name in hidden {
            let Some(by) = self.connection.offers.implying(&self.grammar, name).map(str::to_owned) else { continue };
            if self.first_time(Met::Implied, name.as_bytes()) {
                let text =
                    format!("{by}, which is still offered, implies {name}: drop {by} too to see a client without");
                self.notes.push(Note::new(NoteKind::Rule, text, ""));
            }
        }
    }
}

/// What an item is called: `AUTH=PLAIN` for a mechanism on a line of its own kind.
fn name<'a>(item: &Item, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    let name = item.name.of(bytes);
    if item.part { Cow::Owned([b"AUTH=", name].concat()) } else { Cow::Borrowed(name) }
}

/// The names of a list, with the parameters of those that stand on lines: `SIZE 1000`.
fn names(list: &List, bytes: &[u8]) -> Names {
    Names::of(entries(list, bytes).map(|(_, name)| name))
}

/// The same, with the place of each.
pub(super) fn entries<'a>(list: &'a List, bytes: &'a [u8]) -> impl Iterator<Item = (Span, Cow<'a, [u8]>)> {
    let parted = |at: usize| list.items.get(at + 1).is_some_and(|next| next.part);
    list.items.iter().enumerate().map(move |(at, item)| {
        let parameters = item.parameters.of(bytes).trim_ascii();
        if parameters.is_empty() || parted(at) {
            return (item.name, name(item, bytes));
        }
        let end = item.parameters.start as usize + item.parameters.of(bytes).trim_ascii_end().len();
        let place = Span::new(item.name.start as usize, end);
        (place, Cow::Owned([item.name.of(bytes), b" ", parameters].concat()))
    })
}

/// What a list offers, each name once, as far as there is room; and how many names there is none for.
#[must_use]
pub fn offers(grammar: &Grammar, list: &List, bytes: &[u8]) -> (Vec<Offer>, usize) {
    let names = names(list, bytes);
    let offer = |name: &str| {
        let (first, value) = name.split_once(' ').map_or((name, None), |(first, value)| (first, Some(value)));
        Offer {
            name: phrase::excerpt(first.as_bytes()),
            value: value.map(|value| phrase::excerpt(value.as_bytes())),
            meaning: grammar.capability(first).map(|known| known.does.clone()),
            entry: entry(grammar, name, Fate::Kept),
        }
    };
    let offers: Vec<Offer> = names.iter().map(offer).collect();
    let all = entries(list, bytes).count();
    // Those that are there twice are not missing.
    let full = offers.len() == MAX_NAMES || all > MAX_NAMES;
    let more = if full { all.saturating_sub(offers.len()) } else { 0 };
    (offers, more)
}

/// Names with parameters that are longer than this, in octets, have them behind the meaning.
const BESIDE: usize = 20;

fn entry(grammar: &Grammar, name: &str, fate: Fate) -> Note {
    let known = grammar.capability(word(name));
    let (about, beside) = if name.len() <= BESIDE { (name, "") } else { name.split_once(' ').unwrap_or((name, "")) };
    let does = known.map_or("not known to this program's grammar", |known| &known.does).to_owned();
    Note {
        kind: NoteKind::Capability(fate),
        about: Some(phrase::excerpt(about.as_bytes())),
        text: if beside.is_empty() { does } else { format!("{does} Value: {}", phrase::excerpt(beside.as_bytes())) },
        rfc: known.map(|known| known.rfc.clone()).filter(|rfc| !rfc.is_empty()),
        ..Note::new(NoteKind::Session, "", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_with_its_value_and_mechanisms_by_themselves() {
        let text = b"250-SIZE 1000\r\n250 AUTH PLAIN\r\n";
        let item = |name: (usize, usize), parameters: (usize, usize), part| Item {
            name: Span::new(name.0, name.1),
            with_space: Span::new(name.0, name.1),
            parameters: Span::new(parameters.0, parameters.1),
            part,
        };
        let items = vec![item((4, 8), (8, 13), false), item((19, 23), (23, 29), false), item((24, 29), (29, 29), true)];
        let list = List { kind: ListKind::Lines(crate::event::Form::Codes), whole: Span::new(0, text.len()), items };
        let found: Vec<_> = entries(&list, text).map(|(place, name)| (place.of(text), name.into_owned())).collect();
        let want: [(&[u8], &[u8]); 3] = [(b"SIZE 1000", b"SIZE 1000"), (b"AUTH", b"AUTH"), (b"PLAIN", b"AUTH=PLAIN")];
        assert_eq!(found, want.map(|(place, name)| (place, name.to_vec())));
    }
}
