//! What actions do: to a list of capabilities, and, as sed does, to a line. Octets in, other octets out; knows no
//! condition and no syntax. Whether the outcome may be sent is decided by `mod`, except that a substitution stops
//! as soon as it is too long.

use std::sync::Arc;

use regex::bytes::{Captures, Regex};

use super::Scene;
use super::fault::Fault;
use super::vary::Ways;
use crate::event::{Item, Kind, List, ListKind, MAX_TEXT, Peer, Span};
use crate::wire::status::lines;

/// What a rule does.
#[derive(Debug)]
pub enum Action {
    /// Acts on the text's list of capabilities.
    Names(NamesAction),
    /// Acts on each line of the text, without its line end.
    Substitute(Substitution),
    /// Acts on the human text of a reply, or its code.
    Words(Words),
    /// Puts a line of our own before the text, or behind it.
    Insert(Inserted),
    /// Takes the text away, with all that belongs to it.
    Drop,
    /// Takes a command away and answers it.
    Refuse(Refusal),
    /// Does something to the connection.
    Fault(Fault),
    /// Says the same in other octets.
    Vary(Ways),
}

/// What is put in the place of a part of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// The human text.
    Text(Arc<[u8]>),
    /// The response code, without brackets; nothing takes it away.
    Code(Arc<[u8]>),
}

/// A line of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted {
    /// It stands before the text, rather than behind what belongs to it.
    pub before: bool,
    /// With its line end.
    pub line: Arc<[u8]>,
}

/// A command that is not sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its verb; `FETCH` is `UID FETCH` too.
    pub command: Pattern,
    /// What it is answered, behind the tag; what the protocol has for unknown commands if `None`.
    pub reply: Option<Arc<[u8]>>,
}

impl Action {
    /// True if it can change anything that this peer sends. A capability that is only added is added to the server's
    /// lists; one that is taken away is also taken from the client's ENABLE.
    #[must_use]
    pub const fn touches(&self, from: Peer) -> bool {
        match self {
            Action::Names(NamesAction::Add(_)) | Action::Words(_) => matches!(from, Peer::Server),
            Action::Refuse(_) => matches!(from, Peer::Client),
            Action::Names(_)
            | Action::Substitute(_)
            | Action::Insert(_)
            | Action::Drop
            | Action::Fault(_)
            | Action::Vary(_) => true,
        }
    }

    /// True if something is said to one peer or the other that the other side has not said, once it acts on the client's texts.
    #[must_use]
    pub const fn has_answers(&self) -> bool {
        matches!(self, Action::Insert(_) | Action::Refuse(_))
    }

    /// The capabilities that it names, without their parameters.
    #[must_use]
    pub fn capabilities(&self) -> Vec<&[u8]> {
        let named: Vec<&[u8]> = match self {
            Action::Names(NamesAction::Drop(patterns, _) | NamesAction::Only(patterns)) => {
                patterns.iter().map(|Pattern(name)| &name[..]).collect()
            }
            Action::Names(NamesAction::Add(names)) => names.iter().map(|name| &name[..]).collect(),
            Action::Names(NamesAction::Replace(Pattern(old), new)) => vec![old, new],
            _ => Vec::new(),
        };
        named.into_iter().map(|name| name.split(|&b| b == b' ').next().unwrap_or_default()).collect()
    }
}

impl Refusal {
    /// True if this text is the command.
    #[must_use]
    pub fn is_for(&self, scene: &Scene<'_>) -> bool {
        let whole = scene.command.as_bytes();
        let short = whole.strip_prefix(b"UID ").unwrap_or(whole);
        let command = matches!(scene.reading.kind, Kind::Command { .. }) && scene.first;
        command && !whole.is_empty() && (self.command.matches(whole) || self.command.matches(short))
    }
}

/// What a capability rule does.
#[derive(Debug)]
pub enum NamesAction {
    /// Takes away what matches. If the second is true, what it would have allowed is refused too.
    Drop(Vec<Pattern>, bool),
    /// Puts names at the end, unless they are there.
    Add(Vec<Arc<[u8]>>),
    /// Takes away what does not match. Never adds.
    Only(Vec<Pattern>),
    /// Puts a name in the place of another.
    Replace(Pattern, Arc<[u8]>),
}

impl NamesAction {
    /// True if it takes this name away.
    #[must_use]
    pub fn hides(&self, name: &[u8]) -> bool {
        match self {
            NamesAction::Drop(patterns, _) => any(patterns, name),
            NamesAction::Only(patterns) => !any(patterns, name) && !is_revision(name),
            NamesAction::Replace(old, new) => old.matches(name) && !name.eq_ignore_ascii_case(new),
            NamesAction::Add(_) => false,
        }
    }

    /// True if it would put a name with a blank into a list: on one line that would be two names.
    #[must_use]
    pub fn puts_blank(&self) -> bool {
        match self {
            NamesAction::Drop(..) | NamesAction::Only(_) => false,
            NamesAction::Add(names) => names.iter().any(|name| name.contains(&b' ')),
            NamesAction::Replace(_, new) => new.contains(&b' '),
        }
    }
}

/// The names of the protocol itself (RFC 9051 section 7.2.2): a list without one of them is none that a client accepts.
const REVISIONS: [&[u8]; 3] = [b"IMAP4", b"IMAP4rev1", b"IMAP4rev2"];

/// What stands in an ENABLE of which nothing is left: servers pass over names that they do not know (RFC 5161
/// section 3.1), while ENABLE without a name would be an error.
const NOTHING: &[u8] = b"X-HIDDEN";

/// A capability, with `*` for any octets. Matches whole tokens, or a line with its parameters, ignoring ASCII case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Vec<u8>);

impl Pattern {
    /// True if the whole of `name` matches.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        let pattern = &self.0;
        let (mut p, mut n) = (0, 0);
        // After a mismatch only the last `*` has to take one octet more.
        let mut last = None;
        while n < name.len() {
            if pattern.get(p) == Some(&b'*') {
                last = Some((p, n));
                p += 1;
            } else if pattern.get(p).is_some_and(|b| b.eq_ignore_ascii_case(&name[n])) {
                p += 1;
                n += 1;
            } else if let Some((star, taken)) = last {
                last = Some((star, taken + 1));
                p = star + 1;
                n = taken + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|&b| b == b'*')
    }
}

/// A list of names while rules act on it, where these stand behind each other on one line. Its spans point into the text in which it was found.
#[derive(Debug, Clone)]
pub struct Names {
    kind: ListKind,
    whole: Span,
    /// Where what is added goes.
    end: usize,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// Where it stands; `None` for an added one.
    item: Option<Item>,
    fate: Fate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Kept,
    Cut,
    Is(Arc<[u8]>),
}

impl Names {
    /// The list as it was found in `text`.
    #[must_use]
    pub fn new(list: &List, text: &[u8]) -> Self {
        let entries: Vec<Entry> = list.items.iter().map(|&item| Entry { item: Some(item), fate: Fate::Kept }).collect();
        let end = list.items.last().map_or_else(|| after_word(list, text), |item| item.name.end as usize);
        Names { kind: list.kind, whole: list.whole, end, entries }
    }

    /// Lets an action act. What it did shows when the list is written.
    pub fn act(&mut self, action: &NamesAction, text: &[u8]) {
        match action {
            NamesAction::Drop(patterns, _) => self.cut(text, |name| any(patterns, name)),
            NamesAction::Only(patterns) => {
                let named = REVISIONS.iter().any(|revision| any(patterns, revision));
                self.cut(text, |name| !(any(patterns, name) || (!named && is_revision(name))));
            }
            NamesAction::Add(names) => names.iter().for_each(|name| self.add(name, text)),
            NamesAction::Replace(old, new) if self.offers() => self.replace(old, new, text),
            NamesAction::Replace(old, new) => {
                self.cut(text, |name| old.matches(name) && !name.eq_ignore_ascii_case(new));
            }
        }
    }

    /// True if the list says what the server can do, rather than what the client wants of it.
    const fn offers(&self) -> bool {
        self.kind.offers()
    }

    fn cut(&mut self, text: &[u8], goes: impl Fn(&[u8]) -> bool) {
        for entry in &mut self.entries {
            if entry.name(text).is_some_and(&goes) {
                entry.fate = Fate::Cut;
            }
        }
    }

    fn add(&mut self, new: &Arc<[u8]>, text: &[u8]) {
        if self.entries.iter().any(|entry| entry.name(text).is_some_and(|name| name.eq_ignore_ascii_case(new))) {
            return;
        }
        if self.offers() {
            self.entries.push(Entry { item: None, fate: Fate::Is(Arc::clone(new)) });
            return;
        }
        // What one rule hides and a later one shows again may be asked for again.
        for entry in &mut self.entries {
            if entry.item.is_some_and(|item| item.name.of(text).eq_ignore_ascii_case(new)) {
                entry.fate = Fate::Kept;
            }
        }
    }

    /// A list names a thing once: where `new` stands already, or was put by this rule, a further `old` goes.
    fn replace(&mut self, old: &Pattern, new: &Arc<[u8]>, text: &[u8]) {
        let stands = |name: &[u8]| !old.matches(name) && name.eq_ignore_ascii_case(new);
        let mut there = self.entries.iter().any(|entry| entry.name(text).is_some_and(stands));
        for entry in &mut self.entries {
            let Some(name) = entry.name(text).filter(|name| old.matches(name)) else { continue };
            if there {
                entry.fate = Fate::Cut;
            } else if *name != **new {
                entry.fate = Fate::Is(Arc::clone(new));
            }
            there = true;
        }
    }

    /// The text with the list as it is now; everything else is as it was.
    #[must_use]
    pub fn write(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 64);
        let mut at = 0;
        let left = self.entries.iter().any(|entry| entry.fate != Fate::Cut);
        if !left && !self.entries.is_empty() && self.kind == ListKind::Code {
            out.extend_from_slice(&text[..self.whole.start as usize]);
            out.extend_from_slice(&text[self.whole.end as usize..]);
            return out;
        }
        let found = self.entries.iter().filter_map(|entry| entry.item.map(|item| (item, &entry.fate)));
        let last = self.entries.len().wrapping_sub(1);
        for (index, (item, fate)) in found.enumerate() {
            let (span, instead): (Span, &[u8]) = match fate {
                Fate::Kept => continue,
                Fate::Cut if !left && index == last && self.kind == ListKind::Enable => (item.name, NOTHING),
                Fate::Cut => (item.with_space, b""),
                Fate::Is(name) => (item.name, name),
            };
            out.extend_from_slice(&text[at..span.start as usize]);
            out.extend_from_slice(instead);
            at = span.end as usize;
        }
        out.extend_from_slice(&text[at..self.end]);
        for entry in self.entries.iter().filter(|entry| entry.item.is_none()) {
            if let Fate::Is(name) = &entry.fate {
                out.push(b' ');
                out.extend_from_slice(name);
            }
        }
        out.extend_from_slice(&text[self.end..]);
        out
    }
}

impl Entry {
    /// The name as it is now; `None` if it is cut.
    fn name<'a>(&'a self, text: &'a [u8]) -> Option<&'a [u8]> {
        match &self.fate {
            Fate::Cut => None,
            Fate::Is(name) => Some(name),
            Fate::Kept => self.item.map(|item| item.name.of(text)),
        }
    }
}

/// True if one of these matches the name.
pub fn any(patterns: &[Pattern], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

fn is_revision(name: &[u8]) -> bool {
    REVISIONS.iter().any(|revision| revision.eq_ignore_ascii_case(name))
}

/// Where the word ends that opens a list without items.
fn after_word(list: &List, text: &[u8]) -> usize {
    let whole = list.whole.of(text);
    let word = whole.iter().take_while(|&&b| !matches!(b, b' ' | b'\t' | b']')).count();
    list.whole.start as usize + word
}

/// `s/REGEX/REPLACEMENT/flags`
#[derive(Debug)]
pub struct Substitution {
    /// What is looked for, in each line without its line end.
    pub regex: Regex,
    /// What stands there afterwards.
    pub replacement: Vec<Part>,
    /// The number of the first match on a line that is replaced, from 1.
    pub first: u32,
    /// True if those after it are replaced as well.
    pub all: bool,
}

/// A part of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These octets.
    Octets(Vec<u8>),
    /// What a group matched; 0 is the whole match.
    Group(usize),
}

/// Why a substitution gave no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl Substitution {
    /// The text with the matches in its lines replaced; `None` if there is none to replace. Line ends stay.
    pub fn apply(&self, text: &[u8]) -> Result<Option<Vec<u8>>, TooLong> {
        let mut out = Vec::with_capacity(text.len() + 64);
        let (mut at, mut replaced) = (0, false);
        for (start, line) in lines(text) {
            out.extend_from_slice(&text[at..start]);
            replaced |= self.apply_to(line, &mut out)?;
            at = start + line.len();
        }
        out.extend_from_slice(&text[at..]);
        Ok(replaced.then_some(out))
    }

    /// Puts out a line with its matches replaced, and says whether it has any.
    fn apply_to(&self, line: &[u8], out: &mut Vec<u8>) -> Result<bool, TooLong> {
        let (mut at, mut replaced) = (0, false);
        // Most lines hold no match, and to say so is cheap.
        let found = self.regex.is_match(line).then(|| self.regex.captures_iter(line));
        for found in found.into_iter().flatten().skip(self.first.saturating_sub(1) as usize) {
            let Some(whole) = found.get(0) else { continue };
            out.extend_from_slice(&line[at..whole.start()]);
            self.put(&found, out)?;
            at = whole.end();
            replaced = true;
            if !self.all {
                break;
            }
        }
        out.extend_from_slice(&line[at..]);
        Ok(replaced)
    }

    /// Every part is bounded by the line or the rule, so that checking between them bounds the memory.
    fn put(&self, found: &Captures<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
        for part in &self.replacement {
            match part {
                Part::Octets(octets) => out.extend_from_slice(octets),
                Part::Group(group) => out.extend_from_slice(found.get(*group).map_or(b"", |group| group.as_bytes())),
            }
            if out.len() > MAX_TEXT {
                return Err(TooLong);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let cases = [
            ("IDLE", "idle", true),
            ("UNSELECT", "UNSELECTFOO", false),
            ("UNSELECT", "UNSEL", false),
            ("AUTH=*", "auth=plain", true),
            ("AUTH=*", "AUTH=", true),
            ("AUTH=*", "AUTH", false),
            ("*", "", true),
            ("*=*", "COMPRESS=DEFLATE", true),
            ("*=*", "COMPRESS", false),
            ("*REV*2", "IMAP4rev12", true),
            ("*REV*2", "IMAP4rev21", false),
            ("**a**b", "xxaxxabxxb", true),
            ("", "", true),
            ("", "A", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern(pattern.into()).matches(name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
