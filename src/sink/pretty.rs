//! The pretty log: one line a text, explanations under it, made to be read by a person. Colour adds nothing that is
//! not there without it. The line of a text is never cut: what is shown can be copied.

use std::io::{self, Write};

use super::clock::Clock;
pub use super::clock::TimeStyle;
use super::escape::escape;
use super::style::{Palette, Style};
use super::{Sink, drain, summary};
use crate::event::{
    Closer, Data, DataKind, Event, Explained, Fate, Mark, Note, NoteKind, Opened, Peer, Role, State, Text, What,
};

/// How much of a literal or other block is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// Its size and first line.
    #[default]
    Folded,
    /// So many octets, as far as they are known ([`crate::event::MAX_HEAD`] at most).
    Octets(usize),
    /// Its size only.
    Nothing,
}

/// How the log looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// With colour.
    pub colour: bool,
    /// Notes are folded at this column; `None` for never.
    pub width: Option<u16>,
    /// How times are written.
    pub time: TimeStyle,
    /// How much of blocks is shown.
    pub body: Body,
}

/// Buffered output is written when it exceeds so many octets, or when nothing more is waiting.
const BATCH: usize = 128 * 1024;

/// The pretty log, going to `out`.
pub struct Pretty<W> {
    out: W,
    buffer: Vec<u8>,
    look: Look,
    palette: Palette,
    clock: Clock,
}

/// Columns of the direction, the state, and the connection with its `#`.
const STATE: usize = 9;
const CONNECTION: usize = 4;

impl<W: Write + Send> Pretty<W> {
    /// A log that is written to `out` in large pieces.
    pub fn new(out: W, look: Look) -> Self {
        Pretty { out, buffer: Vec::new(), look, palette: Palette::new(look.colour), clock: Clock::new(look.time) }
    }

    /// Gives back what it writes to.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// The columns that every line begins with.
    fn begin(&mut self, event: &Explained<'_>, from: Peer, star: bool, state: &str) {
        let (palette, out) = (&self.palette, &mut self.buffer);
        out.extend_from_slice(&palette.faint.before);
        self.clock.write(event.at, out);
        out.extend_from_slice(&palette.faint.after);
        column(palette.connection(event.connection), b'#', event.connection, out);
        palette.peer(from).paint(if from == Peer::Client { b"C:" } else { b"S:" }, out);
        if star {
            palette.alarm.paint(b"* ", out);
        } else {
            out.extend_from_slice(b"  ");
        }
        out.extend_from_slice(&palette.faint.before);
        out.extend_from_slice(state.as_bytes());
        out.extend_from_slice(&palette.faint.after);
        pad(STATE.saturating_sub(state.len()), out);
    }

    /// Where notes begin, counted in columns.
    fn indent(&self) -> usize {
        self.clock.width().max(4)
    }

    fn text(&mut self, event: &Explained<'_>, from: Peer, text: &Text) {
        let edited = event.sent.is_some();
        let found = event.notes.iter().any(|note| matches!(note.kind, NoteKind::Finding(_)));
        self.begin(event, from, edited || found, short(text.state));
        let indent = self.indent();
        let out = &mut self.buffer;
        if !text.first {
            self.palette.faint.paint("… ".as_bytes(), out);
        }
        line(event.bytes, event.marks, &self.palette, out);
        out.push(b'\n');
        let Some(sent) = event.sent else { return };
        pad(indent + CONNECTION, out);
        if sent.is_empty() {
            self.palette.changed.paint(b"=> not sent on\n", out);
            return;
        }
        self.palette.changed.paint(b"=>", out);
        pad(2 + STATE, out);
        line(sent, event.sent_marks, &self.palette, out);
        out.push(b'\n');
    }

    fn data(&mut self, event: &Explained<'_>, from: Peer, data: &Data) {
        let found = event.notes.iter().any(|note| matches!(note.kind, NoteKind::Finding(_)));
        self.begin(event, from, found, short(data.state));
        let what = match data.kind {
            DataKind::Literal => "literal",
            DataKind::Overlong => "overlong line",
            DataKind::Opaque => "not read",
            DataKind::Proxy => "PROXY header",
            DataKind::Undecided => "undecided",
        };
        let out = &mut self.buffer;
        out.extend_from_slice(&self.palette.role(Role::Literal).before);
        out.extend_from_slice(format!("({what}, {}", summary::octets(data.len)).as_bytes());
        if let Some(announced) = data.announced.filter(|announced| *announced != data.len) {
            out.extend_from_slice(format!(" of {}", summary::grouped(announced)).as_bytes());
        }
        let opaque = data.kind == DataKind::Opaque;
        if data.secret && event.marks.iter().any(|mark| mark.role == Role::Secret) && !opaque {
            out.extend_from_slice(b": <hidden>)");
        } else if opaque || self.look.body == Body::Nothing || event.bytes.is_empty() {
            out.push(b')');
        } else {
            let shown = match self.look.body {
                Body::Octets(count) => &event.bytes[..event.bytes.len().min(count)],
                _ => first_line(event.bytes),
            };
            out.extend_from_slice(b": \"");
            out.extend_from_slice(&self.palette.role(Role::Literal).after);
            escape(shown, out);
            out.extend_from_slice(&self.palette.role(Role::Literal).before);
            out.extend_from_slice(if shown.len() as u64 == data.len { "\")" } else { "\" …)" }.as_bytes());
        }
        out.extend_from_slice(&self.palette.role(Role::Literal).after);
        out.push(b'\n');
    }

    fn opened(&mut self, event: &Explained<'_>, opened: &Opened) {
        self.begin(event, Peer::Client, false, "opened");
        let edit = match opened.edit {
            [false, false] => "tap: nothing is changed",
            [true, false] => "rules may edit what the client sends",
            [false, true] => "rules may edit what the server sends",
            [true, true] => "rules may edit what both send",
        };
        let facts = format!("{} {} -> {} ({edit})", opened.protocol, opened.client, opened.server);
        escape(facts.as_bytes(), &mut self.buffer);
        self.buffer.push(b'\n');
    }

    fn notes(&mut self, notes: &[Note]) {
        let names = notes.iter().filter(|note| matches!(note.kind, NoteKind::Capability(_)));
        let column = names.filter_map(|note| note.about.as_ref()).map(|name| name.chars().count()).max().unwrap_or(0);
        for note in notes {
            self.note(note, column.min(24));
        }
    }

    /// One note, folded if the log has a width.
    fn note(&mut self, note: &Note, column: usize) {
        let palette = &self.palette;
        let (mark, style) = match note.kind {
            NoteKind::Finding(_) => ("! ", &palette.alarm),
            NoteKind::Rule => ("~ ", &palette.changed),
            NoteKind::Capability(Fate::Removed) => ("- ", &palette.removed),
            NoteKind::Capability(Fate::Added) => ("+ ", &palette.added),
            NoteKind::Answer | NoteKind::Session => ("= ", &palette.strong),
            _ => ("  ", &palette.strong),
        };
        let mut head = Vec::new();
        let plain =
            matches!(note.kind, NoteKind::Meaning | NoteKind::Detail | NoteKind::Difference | NoteKind::Decoded);
        if let Some(about) = &note.about {
            escape(about.as_bytes(), &mut head);
        }
        let mut said = Vec::new();
        match note.kind {
            NoteKind::Finding(Some(culprit)) => said.extend_from_slice(format!("{}: ", culprit.word()).as_bytes()),
            NoteKind::Rule if !head.is_empty() => head.extend_from_slice(b":"),
            _ => {}
        }
        escape(note.text.as_bytes(), &mut said);
        if let Some(rfc) = &note.rfc {
            said.extend_from_slice(b" (");
            escape(rfc.as_bytes(), &mut said);
            said.push(b')');
        }
        let head = String::from_utf8_lossy(&head);
        let said = String::from_utf8_lossy(&said);
        let capability = matches!(note.kind, NoteKind::Capability(_));
        let lead = head.chars().count().max(if capability { column } else { 0 });
        let lead = if lead > 0 { lead + 1 } else { 0 };
        let indent = self.indent();
        let hang = if capability { lead } else { 0 };
        let width = self.look.width.map(|width| usize::from(width).saturating_sub(indent + 4).max(20));
        let out = &mut self.buffer;
        pad(indent, out);
        palette.faint.paint(b"| ", out);
        style.paint(mark.as_bytes(), out);
        if !head.is_empty() {
            style.paint(head.as_bytes(), out);
            pad(lead - head.chars().count(), out);
        }
        let alarm = matches!(note.kind, NoteKind::Finding(_));
        let body = if alarm { style } else { &palette.role(Role::Human).clone() };
        let mut first = true;
        for part in fold(&said, width, lead, hang) {
            if !first {
                pad(indent, out);
                palette.faint.paint(b"|   ", out);
                pad(hang, out);
            }
            body.paint(part.as_bytes(), out);
            out.push(b'\n');
            first = false;
        }
        debug_assert!(!plain || !first, "a note has at least one line");
    }

    fn closed(&mut self, event: &Explained<'_>, closed: &crate::event::Closed) {
        let from = match closed.by {
            Closer::Peer(peer) | Closer::Reset(peer) => peer,
            Closer::Unreachable => Peer::Server,
            Closer::Ours => Peer::Client,
        };
        self.begin(event, from, matches!(closed.by, Closer::Reset(_) | Closer::Unreachable), "closed");
        let who = match closed.by {
            Closer::Peer(peer) => format!("the {} closed the connection", peer.word()),
            Closer::Reset(peer) => format!("the {} reset the connection", peer.word()),
            Closer::Unreachable => "the server could not be reached".to_owned(),
            Closer::Ours => "imapscope closed the connection".to_owned(),
        };
        let why = closed.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        escape(format!("{who}{why}").as_bytes(), &mut self.buffer);
        self.buffer.push(b'\n');
        let indent = self.indent();
        if let Some(numbers) = event.summary {
            for said in summary::lines(closed, numbers) {
                pad(indent, &mut self.buffer);
                self.palette.faint.paint(b"| ", &mut self.buffer);
                escape(said.as_bytes(), &mut self.buffer);
                self.buffer.push(b'\n');
            }
        }
    }
}

impl<W: Write + Send> Sink for Pretty<W> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let Event { from, what } = event.event;
        match what {
            What::Opened(opened) => self.opened(event, opened),
            What::Text(text) => self.text(event, *from, text),
            What::Data(data) => self.data(event, *from, data),
            What::Upgrade(_) | What::Lag { .. } | What::HalfClosed if event.notes.is_empty() => return Ok(()),
            What::Upgrade(_) => self.plain(event, *from, "layer"),
            What::Lag { .. } => self.plain(event, *from, "lag"),
            What::HalfClosed => self.plain(event, *from, "half-end"),
            What::Closed(closed) => self.closed(event, closed),
        }
        match what {
            What::Upgrade(_) | What::Lag { .. } | What::HalfClosed => {}
            _ => self.notes(event.notes),
        }
        if self.buffer.len() >= BATCH { drain(&mut self.buffer, &mut self.out) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        drain(&mut self.buffer, &mut self.out)?;
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl<W: Write + Send> Pretty<W> {
    /// An event that consists of what is noted about it.
    fn plain(&mut self, event: &Explained<'_>, from: Peer, word: &str) {
        let star = event.notes.iter().any(|note| matches!(note.kind, NoteKind::Finding(_)));
        self.begin(event, from, star, word);
        if let Some((first, rest)) = event.notes.split_first() {
            escape(first.text.as_bytes(), &mut self.buffer);
            if let Some(rfc) = &first.rfc {
                escape(format!(" ({rfc})").as_bytes(), &mut self.buffer);
            }
            self.buffer.push(b'\n');
            self.notes(rest);
        }
    }
}

/// The octets of a text with their roles, without a correct line end; a wrong one is shown.
fn line(bytes: &[u8], marks: &[Mark], palette: &Palette, out: &mut Vec<u8>) {
    let (body, end): (_, &[u8]) = match bytes {
        [body @ .., b'\r', b'\n'] => (body, b""),
        [body @ .., b'\n'] => (body, b"<LF>"),
        _ => (bytes, b"<no line end>"),
    };
    let mut at = 0;
    for mark in marks {
        let (start, stop) = (mark.span.start as usize, (mark.span.end as usize).min(body.len()));
        let style = palette.role(mark.role);
        let secret = mark.role == Role::Secret;
        // A mark without a look of its own is shown with what is around it.
        if start < at || start >= stop || (style.before.is_empty() && !secret) {
            continue;
        }
        escape(&body[at..start], out);
        out.extend_from_slice(&style.before);
        if secret {
            out.extend_from_slice(b"<hidden>");
        } else {
            escape(&body[start..stop], out);
        }
        out.extend_from_slice(&style.after);
        at = stop;
    }
    escape(&body[at..], out);
    if !end.is_empty() {
        palette.role(Role::Surprise).paint(end, out);
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    // A block may begin with an empty line; its first line with something in it tells more.
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(0);
    let stop = bytes[start..].iter().position(|byte| b"\r\n".contains(byte)).map_or(bytes.len(), |at| start + at);
    &bytes[..stop]
}

fn pad(columns: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + columns, b' ');
}

fn column(style: &Style, mark: u8, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&style.before);
    let start = out.len();
    out.push(mark);
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    let used = out.len() - start;
    out.extend_from_slice(&style.after);
    pad(CONNECTION.saturating_sub(used).max(1), out);
}

/// A state in at most eight letters.
const fn short(state: State) -> &'static str {
    match state {
        State::Greeting => "greeting",
        State::NotAuthenticated => "not-auth",
        State::Authenticated => "auth",
        State::Selected => "selected",
        State::Logout => "logout",
        State::Opaque => "opaque",
    }
}

/// Folds a sentence at blanks to lines of `width` columns, the first of which has `lead` of them taken and the others
/// `hang`. A word that is longer than a line stays whole.
fn fold(text: &str, width: Option<usize>, lead: usize, hang: usize) -> Vec<&str> {
    let Some(width) = width else { return vec![text] };
    let mut lines = Vec::new();
    let mut rest = text;
    let mut taken = lead;
    loop {
        let room = width.saturating_sub(taken).max(16);
        taken = hang;
        let Some((limit, _)) = rest.char_indices().nth(room) else {
            lines.push(rest);
            return lines;
        };
        let cut = rest[..limit].rfind(' ').or_else(|| rest[limit..].find(' ').map(|at| limit + at));
        match cut.filter(|cut| *cut > 0) {
            Some(cut) => {
                lines.push(&rest[..cut]);
                rest = rest[cut..].trim_start();
            }
            None => {
                lines.push(rest);
                return lines;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_folded_at_blanks_and_lose_nothing() {
        let text = "one two three four five six seven eight nine ten eleven";
        let lines = fold(text, Some(24), 4, 0);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= 24), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(fold("averyveryveryverylongwordwithoutanyblank", Some(20), 0, 0).len(), 1);
        assert_eq!(fold("", Some(20), 0, 0), [""]);
        assert_eq!(fold(text, None, 0, 0), [text]);
    }
}
