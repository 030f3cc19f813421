//! The capabilities of a connection over time: a row for each, a column for each list as it came. Bounded in both.

use super::markup::Markup;
use crate::event::{Fate, NoteKind, Role, Span, State, Summary, Text};
use crate::exchange::Explained;
use crate::sink::caps;
use crate::sink::text::start_of;

/// So many capabilities have a row.
const MAX_ROWS: usize = 256;

/// So many lists have a column.
const MAX_LISTS: usize = 16;

/// The longest name and the longest value that are kept, in octets.
const MAX_NAME: usize = 64;

/// The longest meaning that is kept, in octets.
const MAX_MEANING: usize = 400;

/// What may have changed a list, as the note about it ends.
const REASONS: [&str; 5] = ["after TLS began", "with login", "after login", "after ENABLE", "after UNAUTHENTICATE"];

/// The lists of one connection.
#[derive(Debug, Default)]
pub struct Matrix {
    rows: Vec<Row>,
    lists: Vec<List>,
    /// Lists and names for which there was no room.
    more_lists: u64,
    more_rows: u64,
}

#[derive(Debug, Default)]
struct Row {
    name: Vec<u8>,
    value: Vec<u8>,
    meaning: String,
    rfc: String,
    used: String,
}

#[derive(Debug)]
struct List {
    /// The line of the log.
    line: u64,
    when: &'static str,
    state: State,
    secured: bool,
    /// How many times in a row it came.
    times: u64,
    /// By the place of the row; what is beyond is absent.
    cells: Vec<Option<Fate>>,
}

impl Matrix {
    /// Takes the list in a text, if there is one of what a server offers.
    pub fn hear(&mut self, event: &Explained<'_>, text: &Text, line: u64, secured: bool) {
        let Some(list) = text.reading.list.as_ref().filter(|list| list.kind.offers()) else { return };
        let all_gone = event.sent.is_some_and(<[u8]>::is_empty);
        let mut cells = Vec::new();
        for item in &list.items {
            let taken = |mark: &&crate::event::Mark| mark.role == Role::Removed && overlap(mark.span, item.name);
            let gone = all_gone || event.marks.iter().any(|mark| taken(&mark));
            let name = if item.part {
                [b"AUTH=", item.name.of(event.bytes)].concat()
            } else {
                item.name.of(event.bytes).to_vec()
            };
            // What lists its mechanisms one by one needs no value.
            let value = item.parameters.of(event.bytes).trim_ascii();
            self.place(&mut cells, &name, value, if gone { Fate::Removed } else { Fate::Kept });
        }
        for mark in event.sent_marks.iter().filter(|mark| mark.role == Role::Added) {
            let name = mark.span.of(event.sent.unwrap_or_default());
            let (name, value) = split(name);
            self.place(&mut cells, name, value, Fate::Added);
        }
        self.learn(event);
        let when = reason(event).unwrap_or(match (self.lists.is_empty(), text.state) {
            (_, State::Greeting) => "greeting",
            (true, _) => "first list",
            (false, _) => "later",
        });
        let full = self.lists.len() >= MAX_LISTS;
        match self.lists.last_mut() {
            Some(last) if last.cells == cells && last.secured == secured && last.state == text.state => last.times += 1,
            _ if full => self.more_lists += 1,
            _ => self.lists.push(List { line, when, state: text.state, secured, times: 1, cells }),
        }
    }

    /// Puts a name into a column.
    fn place(&mut self, cells: &mut Vec<Option<Fate>>, name: &[u8], value: &[u8], fate: Fate) {
        let (name, value) = (start_of(name, MAX_NAME), start_of(value, MAX_NAME));
        let at = self.rows.iter().position(|row| row.name.eq_ignore_ascii_case(name));
        let at = match at {
            Some(at) => at,
            None if self.rows.len() >= MAX_ROWS => return self.more_rows += 1,
            None => {
                self.rows.push(Row { name: name.to_vec(), value: value.to_vec(), ..Row::default() });
                self.rows.len() - 1
            }
        };
        if cells.len() <= at {
            cells.resize(at + 1, None);
        }
        // One that was taken away and put there with another value came to the client all the same.
        cells[at] = Some(match (cells[at], fate) {
            (Some(Fate::Removed), Fate::Added) => Fate::Added,
            (Some(before), _) => before,
            (None, fate) => fate,
        });
    }

    /// Keeps what the notes of an event say of names.
    fn learn(&mut self, event: &Explained<'_>) {
        for note in event.notes.iter().filter(|note| caps::fate(note).is_some()) {
            let name = split(note.about.as_deref().unwrap_or_default().as_bytes()).0;
            let row = self.rows.iter_mut().find(|row| row.name.eq_ignore_ascii_case(name) && row.meaning.is_empty());
            if let Some(row) = row {
                row.meaning = kept(&note.text);
                row.rfc = kept(note.rfc.as_deref().unwrap_or_default());
            }
        }
    }

    /// The connection is over: takes what was used, and first by what.
    pub fn judge(&mut self, summary: &Summary) {
        let same = |row: &Row, name: &str| row.name.eq_ignore_ascii_case(name.as_bytes());
        for row in &mut self.rows {
            let used = summary.used.iter().find(|used| same(row, &used.name)).map(|used| used.by.clone());
            let not = || summary.unused.iter().any(|name| same(row, name)).then(|| "not used".to_owned());
            let open = || summary.undetermined.iter().any(|name| same(row, name)).then(|| "cannot be told".to_owned());
            row.used = used.or_else(not).or_else(open).unwrap_or_default();
        }
    }

    /// Writes the table, if a list came.
    pub fn write(&self, page: &mut Markup) {
        if self.lists.is_empty() {
            return;
        }
        page.raw("<h3>Capabilities</h3><div class=scroll tabindex=0 role=group aria-label=Capabilities><table class=matrix><thead><tr><th scope=col>Capability</th>");
        for list in &self.lists {
            if list.line > 0 {
                page.raw("<th scope=col><a href=\"#e");
                page.number(list.line);
                page.within("\">", list.when, "</a><small>");
            } else {
                page.within("<th scope=col>", list.when, "<small>");
            }
            // Where it is known what came before, the state adds nothing.
            let state = if ["first list", "later"].contains(&list.when) { list.state.word() } else { "" };
            let secured = if list.secured { "TLS" } else { "" };
            let times = if list.times > 1 { format!("{} times", list.times) } else { String::new() };
            let words: Vec<&str> = [state, secured, &times].into_iter().filter(|word| !word.is_empty()).collect();
            page.text(&words.join(", "));
            page.raw("</small></th>");
        }
        page.raw("<th scope=col>First use</th><th scope=col>Meaning</th></tr></thead><tbody>");
        for (at, row) in self.rows.iter().enumerate() {
            page.raw("<tr><th scope=row>");
            page.octets(&row.name);
            if !row.value.is_empty() {
                page.raw(" <small>");
                page.octets(&row.value);
                page.raw("</small>");
            }
            page.raw("</th>");
            for list in &self.lists {
                page.raw(match list.cells.get(at).copied().flatten() {
                    Some(Fate::Kept) => "<td class=k>● <span class=v>kept</span></td>",
                    Some(Fate::Removed) => "<td class=r>− removed</td>",
                    Some(Fate::Added) => "<td class=a>+ added</td>",
                    None => "<td class=n>· <span class=v>absent</span></td>",
                });
            }
            page.within("<td>", &row.used, "</td>");
            page.within("<td class=w>", &row.meaning, " ");
            page.within("<cite>", &row.rfc, "</cite></td></tr>");
        }
        page.raw("</tbody></table></div>");
        page.raw("<p class=key>● kept: the client was offered it; − removed, + added: by a rule; · absent</p>");
        for (number, what) in [(self.more_lists, " later lists"), (self.more_rows, " names")] {
            if number > 0 {
                page.raw("<p class=key>");
                page.number(number);
                page.raw(what);
                page.raw(" have no room here.</p>");
            }
        }
    }
}

fn overlap(one: Span, other: Span) -> bool {
    one.start < other.end && other.start < one.end
}

/// A meaning as far as it is kept.
fn kept(text: &str) -> String {
    String::from_utf8_lossy(start_of(text.as_bytes(), MAX_MEANING)).into_owned()
}

/// A name, and the value behind it.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let at = name.iter().position(|&byte| byte == b' ').unwrap_or(name.len());
    (&name[..at], name[at..].trim_ascii())
}

/// Why a list differs from the one before, as the explainer says.
fn reason(event: &Explained<'_>) -> Option<&'static str> {
    let text = &event.notes.iter().find(|note| note.kind == NoteKind::Difference)?.text;
    let said = text.strip_suffix(')')?;
    REASONS.into_iter().find(|reason| said.strip_suffix(reason).is_some_and(|before| before.ends_with(" (")))
}
