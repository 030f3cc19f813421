//! The pretty log: one line a text, with time, connection, direction, state, and what it means under it.
//!
//! Knows how things look, and nothing of what they mean: that comes with the event. What ours are to say stands
//! behind `--` or `==` where a peer's text has its direction, so that no peer can pretend to be us.

use std::io::{self, Write};

use jiff::tz::TimeZone;

use super::bulk::Bulk;
use super::clock::Clock;
use super::closing;
use super::page::Page;
use super::secured;
use super::style::{Body, Ink, Look, Palette};
use super::text::{self, End};
use super::{Sink, caps, phrase, run};
use crate::event::{
    Closed, Culprit, Data, DataKind, Edited, Event, Foreign, Kind, Note, NoteKind, Oddity, Opened, Peer, State, Text,
    What, says_odd,
};
use crate::exchange::{Explained, Run};
use crate::wording::{amount, duration};

/// The buffer should be written out when it holds so many octets.
const FULL: usize = 128 * 1024;

/// A folded block shows its first line, up to so many octets.
const FIRST_LINE: usize = 64;

/// Of a TLS record where a text was expected, so many octets are shown.
const FOREIGN: usize = 24;

/// Columns of direction and state, each with the blank behind it.
const DIRECTION: usize = 3;
const STATE: usize = 9;

/// Connections that are open at the same time are moved apart by up to so many columns less one.
const SHIFTS: usize = 4;

/// A log for people, written to `W`.
#[derive(Debug)]
pub struct Pretty<W> {
    writer: W,
    page: Page,
    clock: Clock,
    body: Body,
    bulk: Bulk,
    numbers: Numbers,
    /// Start of the last line, and what it was made for.
    prefix: Vec<u8>,
    prefix_of: Option<(u64, u64, &'static str, Option<State>)>,
    begun: bool,
    run: Run,
}

impl<W: Write + Send> Pretty<W> {
    /// A log with the times of the local time zone.
    #[must_use]
    pub fn new(writer: W, look: Look) -> Self {
        Self::with_zone(writer, look, TimeZone::system())
    }

    /// A log with the times of a given zone.
    #[must_use]
    pub fn with_zone(writer: W, look: Look, zone: TimeZone) -> Self {
        Pretty {
            writer,
            page: Page::new(Palette::new(look.color), look.width.map(usize::from)),
            clock: Clock::new(look.time, zone),
            body: look.body,
            bulk: Bulk::new(look.body),
            numbers: Numbers::default(),
            prefix: Vec::new(),
            prefix_of: None,
            begun: false,
            run: Run::default(),
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let written = self.writer.write_all(&self.page.out);
        self.page.out.clear();
        written
    }

    /// Begins a line of this event: `mark` is the direction with what is to be noticed, or says that we speak.
    fn begin(&mut self, event: &Explained<'_>, mark: &'static str, ink: Ink, state: Option<State>) {
        let relative = self.clock.is_relative();
        let stamp = self.clock.stamp(event.at);
        // A stamp changes with the millisecond at most, or else is no reason to keep the start of a line.
        let key = (event.at.0 / 1_000_000, event.connection.number, mark, state);
        if self.prefix_of != Some(key) || relative {
            let page = &mut self.page;
            let end = page.out.len();
            page.ink(Ink::Faint, std::str::from_utf8(stamp).unwrap_or_default());
            let (shift, number, width) = self.numbers.place(event.connection.number);
            page.gutter = Ink::of_connection(event.connection.number);
            page.margin = self.clock.width() + width + 1;
            page.blanks(shift);
            page.ink(page.gutter, &number);
            page.blanks(width + 1 - shift - number.len());
            page.ink(ink, mark);
            page.blanks(DIRECTION - mark.len());
            if let Some(state) = state {
                let word = state.short();
                page.ink(Ink::Faint, word);
                page.blanks(STATE - word.len());
            }
            self.prefix.clear();
            self.prefix.extend_from_slice(&page.out[end..]);
            self.prefix_of = Some(key);
        } else {
            self.page.out.extend_from_slice(&self.prefix);
        }
    }

    /// Begins a line of what a peer sent.
    fn begin_from(&mut self, event: &Explained<'_>, from: Peer, star: bool, state: State) {
        let (mark, ink) = match (from, star, event.connection.has_tls(from)) {
            (Peer::Client, false, false) => ("C:", Ink::Client),
            (Peer::Server, false, false) => ("S:", Ink::Server),
            (Peer::Client, false, true) => ("C~", Ink::Client),
            (Peer::Server, false, true) => ("S~", Ink::Server),
            (Peer::Client, true, _) => ("C*", Ink::Star),
            (Peer::Server, true, _) => ("S*", Ink::Star),
        };
        self.begin(event, mark, ink, Some(state));
    }

    /// One line of our own.
    fn say(&mut self, event: &Explained<'_>, ink: Ink, text: &str) {
        self.begin(event, "--", Ink::Faint, None);
        self.page.ink(ink, text);
        self.page.end();
    }

    fn text(&mut self, event: &Explained<'_>, from: Peer, text: &Text) {
        let star = is_surprise(event)
            || event.sent.is_some()
            || text.edit.is_some()
            || says_odd(&text.oddities)
            || matches!(text.reading.kind, Kind::Foreign(_) | Kind::Unknown);
        self.begin_from(event, from, star, text.state);
        let (body, end) = text::split_end(event.bytes);
        let page = &mut self.page;
        if event.bytes.is_empty() {
            page.ink(Ink::Faint, "(nothing)");
        } else if matches!(text.reading.kind, Kind::Foreign(Foreign::Tls | Foreign::TlsAlert)) {
            let start = &event.bytes[..event.bytes.len().min(FOREIGN)];
            page.octets(Ink::Plain, start);
            page.ink(Ink::Faint, &format!(" … ({})", amount(event.bytes.len() as u64, "octet")));
        } else {
            let indent = page.margin + DIRECTION + STATE;
            text::write(&mut page.out, &page.palette, body, event.marks, indent);
            match end {
                End::CrLf if body.is_empty() && text.first => page.ink(Ink::Faint, "(empty line)"),
                End::CrLf if body.is_empty() => page.ink(
                    Ink::Faint,
                    if from == Peer::Client { "(end of the command)" } else { "(end of the response)" },
                ),
                End::CrLf => {}
                End::Lf => page.ink(Ink::Surprise, "<LF>"),
                End::Open
                    if text.oddities.iter().any(|odd| {
                        matches!(odd, Oddity::Truncated | Oddity::CutShort | Oddity::Torn | Oddity::Unfinished)
                    }) =>
                {
                    page.ink(Ink::Surprise, "<cut off>")
                }
                End::Open => {}
            }
        }
        page.out.push(b'\n');
        if let Some(sent) = event.sent {
            self.sent(event, sent);
        }
        if let Some(edit) = text.edit.as_deref() {
            self.rules(event, edit);
        }
        self.notes(event);
    }

    /// What went on its way instead of what came.
    fn sent(&mut self, event: &Explained<'_>, sent: &[u8]) {
        let page = &mut self.page;
        page.blanks(page.margin);
        page.ink(Ink::Star, "=>");
        page.blanks(DIRECTION - 2);
        if sent.is_empty() {
            page.ink(Ink::Faint, "dropped");
            page.ink(Ink::Plain, "  (nothing was sent on)");
        } else {
            page.ink(Ink::Faint, "sent");
            page.blanks(STATE - 4);
            let (body, end) = text::split_end(sent);
            let indent = page.margin + DIRECTION + STATE;
            text::write(&mut page.out, &page.palette, body, event.sent_marks, indent);
            match end {
                End::CrLf => {}
                End::Lf => page.ink(Ink::Surprise, "<LF>"),
                End::Open => page.ink(Ink::Surprise, "<no line end>"),
            }
        }
        page.out.push(b'\n');
    }

    /// The rules that were at work, unless a note of the event names them.
    fn rules(&mut self, event: &Explained<'_>, edit: &Edited) {
        if event.notes.iter().any(|note| note.kind == NoteKind::Rule) {
            return;
        }
        for (rule, reason) in phrase::rules(edit) {
            self.page.remark();
            self.page.words(Ink::Code, &rule);
            self.page.words(Ink::Plain, reason);
            self.page.end();
        }
    }

    fn notes(&mut self, event: &Explained<'_>) {
        if let Some(latency) = event.latency
            && !event.notes.iter().any(|note| note.kind == NoteKind::Answer)
        {
            self.page.remark();
            self.page.words(Ink::Plain, &format!("after {}", duration(latency)));
            self.page.end();
        }
        let (mut rest, mut later) = (event.notes, false);
        while let Some((note, others)) = rest.split_first() {
            let entries = rest.iter().take_while(|note| caps::fate(note).is_some()).count();
            if entries > 0 {
                caps::write(&mut self.page, &rest[..entries], later);
                rest = &rest[entries..];
            } else {
                write_note(&mut self.page, note);
                later = note.kind == NoteKind::Difference;
                rest = others;
            }
        }
    }

    fn data(&mut self, event: &Explained<'_>, from: Peer, data: &Data) {
        let star = phrase::is_short(data) || is_surprise(event) || !data.oddities.is_empty();
        self.begin_from(event, from, star, data.state);
        let page = &mut self.page;
        if event.hides(data) {
            page.ink(Ink::Secret, &format!("<hidden {}>", amount(data.len, "octet")));
            page.end();
            return self.notes(event);
        }
        page.ink(Ink::Code, &format!("({}", phrase::size(data)));
        let shown = match self.body {
            Body::None => 0,
            Body::Octets(most) => usize::try_from(most).unwrap_or(usize::MAX),
            Body::Fold | Body::All => usize::MAX,
        };
        let bulk = self.bulk.take(event, data);
        let head = text::start_of(bulk.as_deref().unwrap_or(event.bytes), shown);
        if self.body == Body::Fold && data.kind != DataKind::Blank {
            first_line(page, head, data.len);
        }
        page.ink(Ink::Code, ")");
        page.out.push(b'\n');
        if matches!(self.body, Body::Octets(_) | Body::All) {
            block(page, head, data.len);
        }
        self.notes(event);
    }

    fn opened(&mut self, event: &Explained<'_>, opened: &Opened) {
        if self.begun {
            self.page.out.push(b'\n');
        }
        self.begin(event, "==", Ink::Faint, None);
        self.page.ink(Ink::Strong, &format!("{} -> {}", opened.client, opened.server));
        self.page.out.push(b'\n');
        let date = self.clock.date(event.at).filter(|_| self.clock.hides_the_date());
        let date = date.map_or_else(String::new, |date| format!(", {date}"));
        self.page.remark();
        self.page.words(Ink::Plain, &format!("{}{date}; {}", opened.protocol, phrase::lanes(opened.edit)));
        self.page.end();
        self.notes(event);
        if let Some(middle) = opened.middle {
            self.say(event, Ink::Bad, &phrase::middle(middle));
        }
    }

    fn closed(&mut self, event: &Explained<'_>, closed: &Closed) {
        self.begin(event, "==", Ink::Faint, None);
        self.page.ink(Ink::Strong, closing::ended(closed.by));
        if let Some(summary) = event.summary {
            self.page.ink(Ink::Plain, &closing::after(summary));
        }
        self.page.out.push(b'\n');
        if let Some(why) = &closed.why {
            self.page.remark();
            self.page.words(Ink::Plain, why);
            self.page.end();
        }
        self.notes(event);
        if let Some(summary) = event.summary {
            let (clock, began) = (&mut self.clock, event.connection.began);
            closing::verdict(&mut self.page, &summary.verdict, |at| clock.moment(at, began));
        }
        closing::octets(&mut self.page, closed);
        if let Some(summary) = event.summary {
            closing::summary(&mut self.page, summary);
        }
        self.leave(event.connection.number);
    }

    fn waiting(&mut self, event: &Explained<'_>) {
        self.begin(event, "--", Ink::Faint, None);
        self.page.goes_on(DIRECTION, 0);
        self.page.words(Ink::Strong, event.waiting.map_or("waiting", |waiting| &waiting.text));
        self.page.end();
        self.notes(event);
    }

    /// What all connections come to.
    fn run(&mut self) {
        let page = &mut self.page;
        page.out.push(b'\n');
        page.ink(Ink::Faint, std::str::from_utf8(self.clock.stamp(self.run.last())).unwrap_or_default());
        (page.gutter, page.margin) = (Ink::Faint, self.clock.width() + self.numbers.width + 1);
        page.blanks(self.numbers.width + 1);
        page.ink(Ink::Faint, "==");
        page.blanks(1);
        run::write(page, &self.run);
    }

    /// The connection is over.
    fn leave(&mut self, connection: u64) {
        self.numbers.leave(connection);
        self.bulk.leave(connection);
    }
}

impl<W: Write + Send> Sink for Pretty<W> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        if matches!(event.event.what, What::Octets(_)) {
            self.bulk.feed(event);
            return Ok(());
        }
        self.run.see(event);
        if self.numbers.enter(event.connection.number) {
            self.prefix_of = None;
        }
        let Event { from, what } = event.event;
        match what {
            What::Octets(_) => {}
            What::Text(text) => self.text(event, *from, text),
            What::Data(data) => self.data(event, *from, data),
            What::Opened(opened) => self.opened(event, opened),
            What::Closed(closed) => self.closed(event, closed),
            What::Upgrade(layer) => {
                self.say(event, Ink::Strong, &phrase::begins(*layer, *from));
                self.notes(event);
            }
            What::Tls(facts) => {
                self.begin(event, "--", Ink::Faint, None);
                secured::write(&mut self.page, *from, facts);
                self.notes(event);
            }
            What::Hello(hello) => {
                self.begin(event, "--", Ink::Faint, None);
                secured::hello(&mut self.page, *from, hello);
                self.notes(event);
            }
            What::Abrupt => {
                self.say(event, Ink::Plain, &phrase::abrupt(*from));
                self.notes(event);
            }
            What::Lag { events, bytes } => {
                self.say(event, Ink::Bad, &format!("! {}", phrase::lag(*events, *bytes)));
                self.notes(event);
            }
            What::Gap { bytes, .. } => {
                self.say(event, Ink::Bad, &format!("! {}", phrase::gap(*from, *bytes)));
                self.notes(event);
            }
            What::Missed(rule) => {
                self.say(event, Ink::Code, &phrase::missed(rule));
                self.notes(event);
            }
            What::Waiting(_) => self.waiting(event),
            What::HalfClosed => {
                self.say(event, Ink::Plain, &phrase::half_closed(*from));
                self.notes(event);
            }
        }
        self.begun = true;
        Ok(())
    }

    fn wants_octets(&self) -> bool {
        self.bulk.is_wanted()
    }

    fn is_full(&self) -> bool {
        self.page.out.len() >= FULL
    }

    fn skip(&mut self, event: &Explained<'_>) {
        match event.event.what {
            What::Closed(_) => self.leave(event.connection.number),
            What::Data(ref data) => drop(self.bulk.take(event, data)),
            _ => {}
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()?;
        self.writer.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.run.is_worth_telling() {
            self.run();
        }
        self.flush()
    }
}

/// The numbers of connections and their columns: those that are open at the same time stand apart.
#[derive(Debug, Default)]
struct Numbers {
    /// The connections that hold a column; one that finds none free shares it.
    columns: [Option<u64>; SHIFTS],
    last: Option<u64>,
    /// The widest that shift and number have been: the column never gets narrower.
    width: usize,
}

impl Numbers {
    /// Gives the connection a column, unless it has one. True if another connection spoke last.
    fn enter(&mut self, connection: u64) -> bool {
        if self.last == Some(connection) {
            return false;
        }
        self.last = Some(connection);
        if !self.columns.contains(&Some(connection))
            && let Some(free) = self.columns.iter_mut().find(|column| column.is_none())
        {
            *free = Some(connection);
        }
        let (shift, number, _) = self.place(connection);
        self.width = self.width.max(shift + number.len());
        true
    }

    /// The connection is over: its column is free.
    fn leave(&mut self, connection: u64) {
        self.last = None;
        for column in self.columns.iter_mut().filter(|column| **column == Some(connection)) {
            *column = None;
        }
    }

    /// How far the number is moved to the right, the number, and the columns that both may take.
    fn place(&self, connection: u64) -> (usize, String, usize) {
        let shared = (connection % SHIFTS as u64) as usize;
        let shift = self.columns.iter().position(|column| *column == Some(connection)).unwrap_or(shared);
        (shift, format!("#{connection}"), self.width)
    }
}

fn is_surprise(event: &Explained<'_>) -> bool {
    event.notes.iter().any(|note| matches!(note.kind, NoteKind::Finding(_)))
}

fn write_note(page: &mut Page, note: &Note) {
    let ink = match note.kind {
        NoteKind::Finding(culprit) => {
            page.note(Ink::Bad, "!", 2);
            if culprit != Culprit::None {
                page.words(Ink::Bad, &format!("{}: ", culprit.word()));
            }
            Ink::Bad
        }
        kind => {
            page.remark();
            match kind {
                NoteKind::Rule => Ink::Code,
                NoteKind::Decoded => Ink::Flag,
                NoteKind::Session | NoteKind::Difference => Ink::Strong,
                _ => Ink::Plain,
            }
        }
    };
    if let Some(about) = note.about.as_deref().filter(|about| !about.is_empty() && !note.text.contains(about)) {
        page.words(Ink::Strong, &format!("{about}: "));
    }
    page.words(ink, &note.text);
    if let Some(rfc) = caps::reference(note) {
        page.unit(Ink::Faint, &format!("({rfc})"));
    }
    if let Some(first) = note.consequence {
        page.unit(Ink::Faint, &format!("(follows from {})", first.check));
    }
    page.end();
}

/// `: "Return-Path: <alice@example.org>" …`
fn first_line(page: &mut Page, head: &[u8], len: u64) {
    if head.is_empty() {
        return;
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let start = text::start_of(line, FIRST_LINE);
    page.ink(Ink::Code, ": \"");
    page.octets(Ink::Plain, start);
    // A line end that is all there is beside the line is not worth a sign.
    page.ink(Ink::Code, if len > start.len() as u64 + 2 { "\" …" } else { "\"" });
}

/// A data block line by line.
fn block(page: &mut Page, head: &[u8], len: u64) {
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let (body, end) = text::split_end(line);
        page.note(page.gutter, ">", 0);
        page.octets(Ink::Plain, body);
        if end == End::Lf {
            page.ink(Ink::Surprise, "<LF>");
        }
        page.out.push(b'\n');
    }
    let missing = len.saturating_sub(head.len() as u64);
    if missing > 0 && !head.is_empty() {
        page.remark();
        page.words(Ink::Faint, &format!("… {} more", amount(missing, "octet")));
        page.end();
    }
}
