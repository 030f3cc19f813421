//! What capability rules do to a list whose names stand one on a line: the reply to EHLO or LHLO, the answer to CAPA or
//! to CAPABILITIES, the capabilities of ManageSieve. Octets in, other octets out. A line is called by its name, and by
//! all that it says; a login mechanism on the line of another name is called `AUTH=` and its name.

use std::borrow::Cow;
use std::ops::Range;

use super::action::{NamesAction, Pattern, any};
use crate::event::{Form, Item, List, ListKind, Peer, Span};
use crate::wire::{body, managesieve, status};

/// What a mechanism's name has before it where rules speak of it.
const AUTH: &[u8] = b"AUTH=";

/// What every list of ManageSieve has (RFC 5804 section 1.7), so that it is none without them.
const NEEDED: [&[u8]; 3] = [b"IMPLEMENTATION", b"SIEVE", b"VERSION"];

/// What begins the list of NNTP (RFC 3977 section 5.2.2).
const NEEDED_NEWS: [&[u8]; 1] = [b"VERSION"];

/// By which of its names an item was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// By its name.
    Name,
    /// By its name and its parameters.
    Whole,
}

/// By which of its names an item passes a test, if by any.
pub fn called(item: &Item, text: &[u8], mut test: impl FnMut(&[u8]) -> bool) -> Option<Called> {
    let name = item.name.of(text);
    if item.part {
        return test(&[AUTH, name].concat()).then_some(Called::Name);
    }
    if test(name) {
        return Some(Called::Name);
    }
    let parameters = item.parameters.of(text).trim_ascii();
    if parameters.is_empty() {
        return None;
    }
    // The `=` of an old line of mechanisms would make it look like one of them.
    let sign = match text.get(item.name.end as usize) {
        Some(b'=') if !of_mechanisms(name) => b'=',
        _ => b' ',
    };
    test(&[name, &[sign], parameters].concat()).then_some(Called::Whole)
}

/// True for the name of a line whose parameters are login mechanisms.
fn of_mechanisms(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"AUTH") || name.eq_ignore_ascii_case(b"SASL")
}

/// The mechanism that a name of the user's stands for, if it does.
fn mechanism(name: &[u8]) -> Option<&[u8]> {
    let start = name.get(..AUTH.len()).filter(|start| start.eq_ignore_ascii_case(AUTH))?;
    Some(&name[start.len()..]).filter(|rest| !rest.is_empty())
}

/// The text after an action. What the action does not name is as it was, but for the marks that say which line of a
/// reply is the last.
#[must_use]
pub fn act(action: &NamesAction, form: Form, list: &List, text: &[u8]) -> Vec<u8> {
    let block = Block::new(form, list, text);
    let mut now = match action {
        NamesAction::Drop(patterns, _) => block.drop(patterns),
        NamesAction::Only(patterns) => block.only(patterns),
        NamesAction::Replace(old, new) => {
            let (now, left) = block.replace(old, new);
            if left { block.after(now, |block| block.add(new)) } else { now }
        }
        NamesAction::Add(names) => {
            names.iter().fold(text.to_vec(), |now, name| block.after(now, |block| block.add(name)))
        }
    };
    if now != text {
        block.mend(&mut now);
        // Where the last line went, the one before it ends as the text did.
        now.truncate(body(&now).len());
        now.extend_from_slice(&text[body(text).len()..]);
    }
    now
}

/// The list in a text, also where it has no line left.
#[must_use]
pub fn list(form: Form, text: &[u8]) -> List {
    if form != Form::Managesieve {
        return status::list(form, text);
    }
    managesieve::read(Peer::Server, text).list.unwrap_or_else(|| {
        let last = status::lines(text).last().map_or(0, |(start, _)| start);
        List { kind: ListKind::Lines(form), whole: Span::new(0, last), items: Vec::new() }
    })
}

/// How the lines of a list look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Behind a code, with a mark that says whether more follow.
    Codes,
    /// Bare, up to a dot.
    Dot,
    /// In quotes, before the status.
    Strings,
}

/// A text with its list.
struct Block<'a> {
    form: Form,
    look: Look,
    list: &'a List,
    text: &'a [u8],
}

/// What becomes of a mechanism.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate<'a> {
    Kept,
    Cut,
    Is(&'a [u8]),
}

/// Pieces of the text, in order and apart from each other, and what stands there instead.
type Edits<'a> = Vec<(Range<usize>, Cow<'a, [u8]>)>;

fn apply(text: &[u8], edits: Edits<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut at = 0;
    for (place, instead) in edits {
        out.extend_from_slice(&text[at..place.start]);
        out.extend_from_slice(&instead);
        at = place.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

impl<'a> Block<'a> {
    fn new(form: Form, list: &'a List, text: &'a [u8]) -> Self {
        let dot = status::lines(text).last().is_some_and(|(_, line)| line == b".");
        let look = match form {
            Form::Managesieve => Look::Strings,
            Form::Codes if !dot => Look::Codes,
            _ => Look::Dot,
        };
        Block { form, look, list, text }
    }

    /// Goes on with a text that came of this one.
    fn after(&self, text: Vec<u8>, step: impl FnOnce(Block<'_>) -> Vec<u8>) -> Vec<u8> {
        let list = list(self.form, &text);
        step(Block { form: self.form, look: self.look, list: &list, text: &text })
    }

    /// The lines, each with the mechanisms on it.
    fn lines(&self) -> impl Iterator<Item = (&'a Item, &'a [Item])> {
        let lines = self.list.items.chunk_by(|_, next| next.part);
        lines.filter_map(<[Item]>::split_first).filter(|(line, _)| !line.part)
    }

    fn named(&self, item: &Item, patterns: &[Pattern]) -> bool {
        called(item, self.text, |name| any(patterns, name)).is_some()
    }

    fn drop(&self, patterns: &[Pattern]) -> Vec<u8> {
        let mut edits = Edits::new();
        for (line, parts) in self.lines() {
            if self.named(line, patterns) {
                edits.push((whole(line), Cow::Borrowed(b"")));
            } else {
                let fate = |part| if self.named(part, patterns) { Fate::Cut } else { Fate::Kept };
                self.mechanisms(line, parts, &parts.iter().map(fate).collect::<Vec<_>>(), &mut edits);
            }
        }
        apply(self.text, edits)
    }

    fn only(&self, patterns: &[Pattern]) -> Vec<u8> {
        let needed: &[&[u8]] = match self.look {
            Look::Strings => &NEEDED,
            Look::Dot if status::code(self.text) => &NEEDED_NEWS,
            _ => &[],
        };
        let needs = |name: &[u8]| needed.iter().any(|needed| needed.eq_ignore_ascii_case(name));
        let among_needed = |line: &Item| needs(line.name.of(self.text)) && self.named(line, patterns);
        let chosen = needed.iter().any(|name| any(patterns, name)) || self.lines().any(|(line, _)| among_needed(line));
        let mut edits = Edits::new();
        for (line, parts) in self.lines() {
            if self.named(line, patterns) || (!chosen && needs(line.name.of(self.text))) {
                continue;
            }
            let fate = |part| if self.named(part, patterns) { Fate::Kept } else { Fate::Cut };
            let fates: Vec<_> = parts.iter().map(fate).collect();
            if fates.contains(&Fate::Kept) {
                self.mechanisms(line, parts, &fates, &mut edits);
            } else {
                edits.push((whole(line), Cow::Borrowed(b"")));
            }
        }
        apply(self.text, edits)
    }

    /// Puts a name in the place of another, and says whether the new one has to be added elsewhere. A list names a thing
    /// once: where the new name stands already, or was put by this rule, a further old one goes.
    fn replace(&self, old: &Pattern, new: &[u8]) -> (Vec<u8>, bool) {
        let is_old = |item: &Item| called(item, self.text, |name| old.matches(name));
        let as_mechanism = mechanism(new);
        let same = |item: &Item| item.name.of(self.text).eq_ignore_ascii_case(self.name_in(new));
        let mut there = self.lines().any(|(line, _)| same(line) && is_old(line).is_none());
        let mut left = false;
        let mut edits = Edits::new();
        for (line, parts) in self.lines() {
            match (is_old(line), as_mechanism) {
                (Some(_), Some(_)) => {
                    edits.push((whole(line), Cow::Borrowed(b"")));
                    left = true;
                }
                (Some(_), None) if there => edits.push((whole(line), Cow::Borrowed(b""))),
                (Some(how), None) => {
                    edits.push(self.renamed(line, how, new));
                    there = true;
                }
                (None, _) => {
                    let put =
                        |part: &Item| as_mechanism.is_some_and(|new| part.name.of(self.text).eq_ignore_ascii_case(new));
                    let mut stands = parts.iter().any(|part| put(part) && is_old(part).is_none());
                    let mut fate = |part: &Item| match (is_old(part), as_mechanism) {
                        (None, _) => Fate::Kept,
                        (Some(_), None) => {
                            left = true;
                            Fate::Cut
                        }
                        (Some(_), Some(_)) if stands => Fate::Cut,
                        (Some(_), Some(new)) => {
                            stands = true;
                            Fate::Is(new)
                        }
                    };
                    let fates: Vec<_> = parts.iter().map(&mut fate).collect();
                    self.mechanisms(line, parts, &fates, &mut edits);
                }
            }
        }
        (apply(self.text, edits), left)
    }

    /// Puts a name in a line's place. Its parameters stay, unless they were named too or new ones come.
    fn renamed<'n>(&self, line: &Item, how: Called, new: &'n [u8]) -> (Range<usize>, Cow<'n, [u8]>) {
        let name = line.name.start as usize..line.name.end as usize;
        if how == Called::Name && !new.contains(&b' ') {
            return (name, self.stuffed(new));
        }
        let start = name.start - usize::from(self.look == Look::Strings);
        (start..self.line_end(line), self.written(new))
    }

    /// The edits that a line of mechanisms needs. A blank goes with the mechanism before which it stands; with the first
    /// ones, those behind them.
    fn mechanisms<'n>(&self, line: &Item, parts: &[Item], fates: &[Fate<'n>], edits: &mut Edits<'n>) {
        let span = |item: &Item| item.name.start as usize..item.name.end as usize;
        let Some(first) = fates.iter().position(|fate| *fate != Fate::Cut) else {
            if parts.is_empty() {
                return;
            }
            // No mechanism at all is something that a server of ManageSieve may say (RFC 5804 section 1.7).
            if self.quoted(line) {
                edits.push((line.parameters.start as usize..line.parameters.end as usize, Cow::Borrowed(b"")));
            } else {
                edits.push((whole(line), Cow::Borrowed(b"")));
            }
            return;
        };
        for (nth, (part, fate)) in parts.iter().zip(fates).enumerate() {
            let Range { start, end } = span(part);
            match fate {
                Fate::Kept => {}
                Fate::Cut if nth < first => edits.push((start..span(&parts[nth + 1]).start, Cow::Borrowed(b""))),
                Fate::Cut => edits.push((span(&parts[nth - 1]).end..end, Cow::Borrowed(b""))),
                Fate::Is(new) => edits.push((start..end, Cow::Borrowed(new))),
            }
        }
    }

    /// The text with a name, unless it is there.
    fn add(&self, new: &[u8]) -> Vec<u8> {
        let Some(new) = mechanism(new) else {
            let stands = |item: &Item| item.name.of(self.text).eq_ignore_ascii_case(self.name_in(new));
            return if self.lines().any(|(line, _)| stands(line)) {
                self.text.to_vec()
            } else {
                self.with_line(&self.written(new))
            };
        };
        let mut parts = self.list.items.iter().filter(|item| item.part);
        if parts.any(|part| part.name.of(self.text).eq_ignore_ascii_case(new)) {
            return self.text.to_vec();
        }
        // The line as it is spelt today comes before the old one with `=`.
        let old = |line: &Item| self.text.get(line.name.end as usize) == Some(&b'=');
        let fits = |line: &Item| {
            let name = line.name.of(self.text);
            match self.look {
                Look::Strings => name.eq_ignore_ascii_case(b"SASL") && (self.quoted(line) || self.bare(line)),
                _ => of_mechanisms(name),
            }
        };
        match self.lines().filter(|(line, _)| fits(line)).min_by_key(|(line, _)| old(line)) {
            // A line of ManageSieve without a value gets one.
            Some((line, _)) if self.look == Look::Strings && !self.quoted(line) => {
                let at = line.name.end as usize + 1;
                apply(self.text, vec![(at..at, Cow::Owned([b" \"", new, b"\""].concat()))])
            }
            Some((line, parts)) => {
                let (at, blank): (_, &[u8]) = match parts.last() {
                    Some(last) => (last.name.end as usize, b" "),
                    None if self.look == Look::Strings || old(line) => (line.parameters.start as usize, b""),
                    None => (line.name.end as usize, b" "),
                };
                apply(self.text, vec![(at..at, Cow::Owned([blank, new].concat()))])
            }
            None => {
                let name: &[u8] = if self.look == Look::Codes { b"AUTH " } else { b"SASL " };
                self.with_line(&self.written(&[name, new].concat()))
            }
        }
    }

    /// The text with a line more at the end of the list.
    fn with_line(&self, line: &[u8]) -> Vec<u8> {
        let first = self.text.iter().position(|&b| b == b'\n').map_or(self.text.len(), |at| at + 1);
        let end: &[u8] = match &self.text[body(&self.text[..first]).len()..first] {
            [] => b"\r\n",
            end => end,
        };
        let before = |at: usize| -> Edits<'_> { vec![(at..at, Cow::Owned([line, end].concat()))] };
        let behind = |at: usize, line: &[u8]| (at..at, Cow::Owned::<[u8]>([end, line].concat()));
        let edits: Edits<'_> = match self.look {
            Look::Strings => before(self.list.whole.end as usize),
            Look::Dot => match status::lines(self.text).skip(1).find(|(_, line)| *line == b".") {
                Some((dot, _)) => before(dot),
                None => vec![behind(body(self.text).len(), line)],
            },
            Look::Codes => {
                let mut coded = status::lines(self.text).filter(|(_, line)| status::code(line));
                let Some((first, head)) = coded.next() else { return self.text.to_vec() };
                let (start, last) = coded.last().unwrap_or((first, head));
                let new = [&head[..3], b"-", line].concat();
                let mark = start + 3..start + 4.min(last.len());
                vec![(mark, Cow::Borrowed(b"-")), behind(start + last.len(), &new)]
            }
        };
        apply(self.text, edits)
    }

    /// All lines of a reply but the last say that more follow, and one that ends otherwise has no such line.
    fn mend(&self, text: &mut [u8]) {
        let coded = |text: &[u8]| status::lines(text).last().is_some_and(|(_, line)| status::code(line));
        if self.look == Look::Codes && coded(text) {
            status::mend(text);
        }
    }

    /// True if a line's parameters stand in quotes.
    fn quoted(&self, line: &Item) -> bool {
        let start = line.parameters.start as usize;
        self.look == Look::Strings
            && start > line.name.end as usize + 1
            && self.text[start - 1] == b'"'
            && self.text.get(line.parameters.end as usize) == Some(&b'"')
    }

    /// True if a line is a name in quotes and nothing else.
    fn bare(&self, line: &Item) -> bool {
        let end = line.name.end as usize;
        self.look == Look::Strings && self.text.get(end) == Some(&b'"') && end + 1 == self.line_end(line)
    }

    /// Where a line's text ends.
    fn line_end(&self, line: &Item) -> usize {
        line.with_space.start as usize + body(line.with_space.of(self.text)).len()
    }

    /// The name that what the user wrote begins with.
    fn name_in<'n>(&self, new: &'n [u8]) -> &'n [u8] {
        let ends = |b: &u8| *b == b' ' || (*b == b'=' && self.look != Look::Strings);
        &new[..new.iter().position(ends).unwrap_or(new.len())]
    }

    /// What the user wrote, as a line shows it.
    fn written<'n>(&self, new: &'n [u8]) -> Cow<'n, [u8]> {
        if self.look != Look::Strings {
            return self.stuffed(new);
        }
        let name = self.name_in(new);
        let value = new[name.len()..].trim_ascii();
        let parts: [&[u8]; 5] =
            if value.is_empty() { [b"\"", name, b"\"", b"", b""] } else { [b"\"", name, b"\" \"", value, b"\""] };
        Cow::Owned(parts.concat())
    }

    /// Before a line that ends with a dot, a line that begins with one has two (RFC 1939 section 3).
    fn stuffed<'n>(&self, new: &'n [u8]) -> Cow<'n, [u8]> {
        if self.look == Look::Dot && new.starts_with(b".") {
            Cow::Owned([b".", new].concat())
        } else {
            Cow::Borrowed(new)
        }
    }
}

fn whole(line: &Item) -> Range<usize> {
    line.with_space.start as usize..line.with_space.end as usize
}
