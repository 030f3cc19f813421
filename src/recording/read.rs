//! Reading a recording: lines in, batches of events out. What is damaged is passed over and told with its line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read};
use std::mem;

use super::line::{Block, Line, Octets, Other, Str};
use super::lines::{self, Lines};
use super::{FORMAT, Head, MAX_LINE, plain, quick};
use crate::event::{
    Batch, Closed, Closer, Data, Event, Form, Kind, MAX_HEAD, MAX_OCTETS, MAX_TEXT, Octets as Piece, Oddity, Opened,
    Peer, Reading, Span, Text, Time, What, repeated,
};

/// So many connections may be open at a time, somewhat more than `proxy` takes by default; those beyond are passed over, for whoever
/// explains and shows has to remember something of each.
pub const MAX_OPEN: usize = 10_240;

/// A batch takes events while its arena has fewer octets, and it has fewer events than a session reports at once.
const BATCH: usize = 256 * 1024;

/// See [`BATCH`].
const EVENTS: usize = 1024;

/// So many remarks are made; what comes then is counted.
const REMARKS: u64 = 20;

/// The first octets of every recording.
pub const START: &[u8] = br#"{"imapscope":"#;

/// What a call of [`Reader::next`] has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Events, which are in the batch.
    Events,
    /// Nothing more now. What is a file's end, and whether more may come, the caller knows.
    End,
}

/// A recording that is being read.
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines<R>,
    /// The first line was read.
    begun: bool,
    events: Events,
    /// The first octets of the lines of one moment, and the text of a line: both are room that is used again.
    moment: Vec<u8>,
    room: Vec<u8>,
}

/// Makes events of lines.
#[derive(Debug, Default)]
struct Events {
    head: Head,
    /// The number of the line in progress.
    number: u64,
    open: HashMap<u64, Lane>,
    /// The time of the last event.
    last: Time,
    /// What comes now belongs to another recording.
    over: bool,
    remarks: Vec<String>,
    /// Remarks so far.
    remarked: u64,
}

/// What has to be known of a connection.
#[derive(Debug, Default)]
struct Lane {
    form: Form,
    heads: [Vec<u8>; 2],
    /// Bytes received from, and sent on to, `[client, server]`, as far as events tell.
    received: [u64; 2],
    sent: [u64; 2],
}

impl Lane {
    /// Counts the bytes of an event.
    fn count(&mut self, from: Peer, what: &What) {
        let (received, sent) = match what {
            What::Text(text) => {
                let len = text.bytes.len() as u64;
                let edit = text.edit.as_deref();
                let ours = edit.is_some_and(|edit| edit.made.is_some());
                let replaced = edit.filter(|edit| !edit.fired.is_empty()).map(|edit| edit.bytes.len() as u64);
                let again = repeated(&text.oddities);
                (if ours { 0 } else { len.saturating_sub(again) }, replaced.unwrap_or(len.saturating_sub(again)))
            }
            What::Data(data) => [data.len.saturating_sub(repeated(&data.oddities)); 2].into(),
            _ => return,
        };
        let (from, to) = (from.index(), from.other().index());
        self.received[from] = self.received[from].saturating_add(received);
        self.sent[to] = self.sent[to].saturating_add(sent);
    }
}

impl<R: Read> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// What the input cannot give.
    pub fn new(input: R) -> io::Result<Self> {
        let lines = Lines::new(input);
        let mut reader =
            Reader { lines, begun: false, events: Events::default(), moment: Vec::new(), room: Vec::new() };
        reader.begin()?;
        Ok(reader)
    }

    /// Goes on with another file of the same recording. The one before is at its end, and [`Reader::finish`] was called.
    ///
    /// # Errors
    /// What the input cannot give.
    pub fn go_on(&mut self, input: R) -> io::Result<()> {
        self.lines = Lines::new(input);
        (self.begun, self.events.number, self.events.remarked, self.events.over) = (false, 0, 0, false);
        self.begin().map(|_| ())
    }

    /// Reads the first line, unless that was done. False if it is not there yet; then [`Reader::head`] says nothing.
    ///
    /// # Errors
    /// What the input cannot give.
    pub fn begin(&mut self) -> io::Result<bool> {
        if self.begun {
            return Ok(true);
        }
        let Some(line) = self.lines.next()? else { return Ok(false) };
        (self.begun, self.events.number) = (true, 1);
        match line {
            lines::Line::TooLong => self.events.too_long(),
            lines::Line::Whole(line) => {
                if !self.events.first(line) {
                    // It may be an event like those behind it.
                    let len = line.len();
                    self.lines.put_back(len);
                    self.events.number = 0;
                }
            }
        }
        Ok(true)
    }

    /// True if what has been read so far holds no further line: the next call may have to wait for the input.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.lines.is_drained()
    }

    /// What the first line says.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.events.head
    }

    /// What is to be told of damage since the last call, each with its line.
    pub fn remarks(&mut self) -> Vec<String> {
        mem::take(&mut self.events.remarks)
    }

    /// How much was damaged.
    #[must_use]
    pub const fn remarked(&self) -> u64 {
        self.events.remarked
    }

    /// What is to be told at the end: a line that is not complete, and remarks that were not made.
    pub fn finish(&mut self) -> Vec<String> {
        if self.lines.finish() {
            self.events.number = self.lines.number();
            self.events.remark("the file ends in the middle of this line".to_owned());
        } else if !self.begun {
            self.events.number = 1;
            self.events.remark("the file is empty".to_owned());
        }
        let mut last = self.remarks();
        if self.remarked() > REMARKS {
            last.push(format!("{} more lines are damaged", self.remarked() - REMARKS));
        }
        last
    }

    /// Returns the ends of the connections that have none, at the time of the last event: the recording is at its end.
    pub fn close(&mut self) -> Vec<Batch> {
        let mut open: Vec<(u64, Lane)> = self.events.open.drain().collect();
        open.sort_unstable_by_key(|(number, _)| *number);
        let end = |(connection, lane): (u64, Lane)| {
            let Lane { received, sent, .. } = lane;
            let closed = Closed { by: Closer::Unseen, why: None, received, sent, inflated: [(0, 0); 2] };
            let event = Event { from: Peer::Client, what: What::Closed(Box::new(closed)) };
            Batch { connection, at: self.events.last, bytes: Vec::new(), events: vec![event] }
        };
        open.into_iter().map(end).collect()
    }

    /// Puts the next events into `batch`, which is emptied first: those of one connection and one moment.
    ///
    /// # Errors
    /// What the input cannot give.
    pub fn next(&mut self, batch: &mut Batch) -> io::Result<State> {
        batch.bytes.clear();
        batch.events.clear();
        if !self.begin()? {
            return Ok(State::End);
        }
        while batch.events.is_empty() {
            if !self.line(batch, true)? {
                return Ok(State::End);
            }
        }
        // Lines of one moment begin with the same octets. What follows a close is another connection, whatever its number.
        let closes = |batch: &Batch| batch.events.last().is_some_and(|event| matches!(event.what, What::Closed(_)));
        while !closes(batch)
            && !self.moment.is_empty()
            && batch.events.len() < EVENTS
            && batch.bytes.len() < BATCH
            && self.lines.goes_on(&self.moment)
        {
            self.line(batch, false)?;
        }
        Ok(State::Events)
    }

    /// Adds the event of the next line to a batch, and keeps what tells its moment; false if there is no line.
    fn line(&mut self, batch: &mut Batch, first: bool) -> io::Result<bool> {
        let Some(line) = self.lines.next()? else { return Ok(false) };
        self.events.number += 1;
        match line {
            lines::Line::TooLong => self.events.too_long(),
            lines::Line::Whole(b"") => {}
            lines::Line::Whole(line) => {
                if first {
                    self.moment.clear();
                    self.moment.extend_from_slice(moment(line));
                }
                self.events.event(line, &mut self.room, batch);
            }
        }
        Ok(true)
    }
}

impl Events {
    /// Takes what the first line says; false if it does not say that this is a recording.
    fn first(&mut self, line: &[u8]) -> bool {
        let head = match serde_json::from_slice::<Head>(line) {
            Ok(head) if head.imapscope > 0 => head,
            Ok(_) => {
                self.remark("the first line should say that this is a recording of imapscope".to_owned());
                return false;
            }
            Err(error) => {
                self.remark(format!("the first line should say what the recording is: {}", cause(&error)));
                return true;
            }
        };
        if head.imapscope > FORMAT {
            self.remark(format!(
                "written by imapscope {} in version {} of the format, and this is imapscope {}, which knows version \
                {FORMAT}: what cannot be read is passed over",
                version(&head.program),
                head.imapscope,
                env!("CARGO_PKG_VERSION")
            ));
        }
        self.head = head;
        true
    }

    /// A first line in the middle: parts of one recording may have been joined. Anything else is none of it, and may hold
    /// secrets that nobody would hide.
    fn another(&mut self, line: &[u8]) {
        match serde_json::from_slice::<Head>(line) {
            Ok(next) if self.head.goes_on(&next) => self.head = next,
            _ => {
                self.over = true;
                self.remark("another recording begins here, which is passed over; read it by itself".to_owned());
            }
        }
    }

    fn too_long(&mut self) {
        self.remark(format!("a line of more than {MAX_LINE} octets is passed over"));
    }

    fn remark(&mut self, what: String) {
        self.remarked += 1;
        if self.remarked <= REMARKS {
            self.remarks.push(format!("{}: {what}", self.number));
        }
    }

    /// Adds the event of a line to a batch.
    fn event(&mut self, line: &[u8], room: &mut Vec<u8>, batch: &mut Batch) {
        if self.over {
            return;
        }
        let event = match quick::read(line, room).map_or_else(|| serde_json::from_slice(line), Ok) {
            Ok(event) => event,
            Err(_) if line.starts_with(START) => return self.another(line),
            Err(error) => {
                let column = error.column();
                let cause = cause(&error);
                return self.remark(format!("column {column}: no event of a recording, passed over: {cause}"));
            }
        };
        if batch.events.is_empty() {
            (batch.connection, batch.at) = (event.conn, Time(event.at));
        } else if (batch.connection, batch.at) != (event.conn, Time(event.at)) {
            // Two fields of one name: whoever wrote this wanted to confuse.
            return self.remark("not the moment that its first octets say; passed over".to_owned());
        }
        let (number, from) = (event.conn, event.from);
        if !self.enter(&event, batch) {
            return;
        }
        let before = batch.bytes.len();
        let what = match self.open.get_mut(&number) {
            Some(lane) => what(event, lane, batch),
            None => Err("its connection is not open"),
        };
        match what {
            Ok(Some(what)) => {
                self.last = self.last.max(batch.at);
                match self.open.get_mut(&number) {
                    Some(_) if matches!(what, What::Closed(_)) => drop(self.open.remove(&number)),
                    Some(lane) => lane.count(from, &what),
                    None => {}
                }
                batch.events.push(Event { from, what });
            }
            Ok(None) => {}
            Err(why) => {
                batch.bytes.truncate(before);
                self.remark(format!("{why}; passed over"));
            }
        }
    }

    /// Sees to it that a connection is open before its first event; false for an event that is to be passed over.
    fn enter(&mut self, event: &Line<'_>, batch: &mut Batch) -> bool {
        let known = self.open.contains_key(&event.conn);
        let (Some(Other::Opened(opened)) | Some(Other::Continued(opened))) = &event.event else {
            if known {
                return true;
            }
            // Its beginning is lost. All that has to be known is the protocol.
            let Some((protocol, form)) = self.head.protocols.first_key_value() else {
                self.remark(format!("connection {} has no beginning in this file; passed over", event.conn));
                return false;
            };
            let opened = Opened { protocol: protocol.clone(), form: *form, ..Opened::default() };
            let admitted = self.admit(event.conn, &opened, batch);
            if admitted {
                self.remark(format!("the beginning of connection {} is missing", event.conn));
            }
            return admitted;
        };
        if known {
            let begins = matches!(event.event, Some(Other::Opened(_)));
            if begins {
                self.remark(format!("connection {} begins a second time; passed over", event.conn));
            }
            return false;
        }
        match self.head.protocols.first_key_value() {
            // The first line names all protocols of a recording.
            Some((protocol, form)) if !self.head.protocols.contains_key(&opened.protocol) => {
                let opened = Opened { protocol: protocol.clone(), form: *form, ..(**opened).clone() };
                self.remark(format!("connection {} has a protocol that the first line does not name", event.conn));
                self.admit(event.conn, &opened, batch);
            }
            _ => {
                self.admit(event.conn, opened, batch);
            }
        }
        false
    }

    fn admit(&mut self, number: u64, opened: &Opened, batch: &mut Batch) -> bool {
        if self.open.len() >= MAX_OPEN {
            self.remark(format!("more than {MAX_OPEN} connections are open; connection {number} is passed over"));
            return false;
        }
        self.open.insert(number, Lane { form: opened.form, ..Lane::default() });
        batch.events.push(Event { from: Peer::Client, what: What::Opened(Box::new(opened.clone())) });
        true
    }
}

/// A version of the program, if it is spelled like one: nothing else of a file is quoted.
fn version(text: &str) -> &str {
    let spelled = text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if spelled { text } else { "(unknown version)" }
}

/// What is wrong, without the place that serde adds to it, for which every line is the first, and without what the line
/// says there: it may be a secret, and nobody has hidden it.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(cause, _)| cause);
    match text.rsplit_once(", expected ") {
        _ if error.classify() != serde_json::error::Category::Data
            || ["missing field ", "duplicate field "].iter().any(|it| text.starts_with(it)) =>
        {
            text.to_owned()
        }
        Some((_, expected)) => format!("expected {expected}"),
        None => "not a field or value that a recording has".to_owned(),
    }
}

/// The octets of a line that tell its moment and its connection, as we write them.
fn moment(line: &[u8]) -> &[u8] {
    let commas = memchr::memchr_iter(b',', line).nth(1);
    commas.map(|at| &line[..=at]).filter(|start| start.starts_with(br#"{"at":"#)).unwrap_or_default()
}

/// The event of a line; nothing for a line without one.
fn what(line: Line<'_>, lane: &mut Lane, batch: &mut Batch) -> Result<Option<What>, &'static str> {
    if let Some(other) = line.event {
        return Ok(Some(match other {
            Other::Opened(_) | Other::Continued(_) => return Ok(None),
            Other::Tls(facts) => What::Tls(facts),
            Other::Hello(hello) => What::Hello(hello),
            Other::Abrupt => What::Abrupt,
            Other::Upgrade(layer) => What::Upgrade(layer),
            Other::Lag(events, bytes) => What::Lag { events, bytes },
            Other::Gap(bytes, data) => What::Gap { bytes, data },
            Other::Missed(rule) => What::Missed(rule),
            Other::Waiting(wait) => What::Waiting(wait),
            Other::HalfClosed => What::HalfClosed,
            Other::Closed(closed) => What::Closed(closed),
        }));
    }
    if line.data.is_some() {
        return data(line, lane, batch).map(Some);
    }
    let kind = line.piece;
    let borrowed = |text| Str(Cow::Borrowed(text));
    let bytes = match (&line.line, &line.text, &line.base64, line.hidden) {
        (Some(Str(text)), ..) => keep(batch, &Octets::Line(borrowed(text)))?,
        (_, Some(Str(text)), ..) => keep(batch, &Octets::Text(borrowed(text)))?,
        (_, _, Some(Str(text)), _) => keep(batch, &Octets::Base64(borrowed(text)))?,
        (_, _, _, Some(hidden)) if kind.is_some() && hidden as usize <= MAX_OCTETS => {
            let start = batch.bytes.len();
            batch.bytes.resize(start + hidden as usize, b'*');
            Span::new(start, batch.bytes.len())
        }
        _ => return Err("neither octets nor anything else that a recording has"),
    };
    let frame = line.frame.ok_or("a text or a piece of data without its frame")?;
    if let Some(kind) = kind {
        let octets = bytes.of(&batch.bytes);
        // Longer ones than are written: a tail may have been joined to a piece.
        if octets.len() > MAX_OCTETS * 2 {
            return Err("a piece of data that is too long");
        }
        let head = &mut lane.heads[line.from.index()];
        head.extend_from_slice(&octets[..octets.len().min(MAX_HEAD - head.len())]);
        return Ok(Some(What::Octets(Piece { frame, kind, bytes, secret: line.hidden.is_some() || line.secret })));
    }
    text(line, frame, lane.form, bytes, batch).map(Some)
}

fn text(line: Line<'_>, frame: u64, form: Form, bytes: Span, batch: &mut Batch) -> Result<What, &'static str> {
    let octets = bytes.of(&batch.bytes);
    if octets.len() > MAX_TEXT {
        return Err("a text that is too long");
    }
    let len = octets.len();
    let reading = line.reading.unwrap_or_else(|| plain(form, line.from, !line.more, octets));
    if !fits(&reading, len) || !apart(&line.secrets, len) || !line.odd.iter().all(|odd| inside(*odd, len)) {
        return Err("its parts do not lie inside of the text");
    }
    let mut edit = line.edit.map(Box::new);
    if let Some(sent) = &line.sent {
        let span = keep(batch, sent)?;
        let edit = edit.as_mut().ok_or("what was sent instead, and no rule")?;
        edit.bytes = span;
    }
    if edit.as_ref().is_some_and(|edit| !apart(&edit.secrets, edit.bytes.len())) {
        return Err("its parts do not lie inside of the text");
    }
    Ok(What::Text(Text {
        frame,
        first: !line.more,
        bytes,
        edit,
        reading,
        answers: line.answers,
        more: line.unfinished,
        state: line.state.unwrap_or_default(),
        secrets: line.secrets,
        decoded: line.decoded.map(Box::new),
        oddities: line.odd,
    }))
}

fn data(line: Line<'_>, lane: &mut Lane, batch: &mut Batch) -> Result<What, &'static str> {
    let Some(Block { kind, len, announced, lines, head, subject, secret }) = line.data else {
        return Err("no block of data");
    };
    let begun = mem::take(&mut lane.heads[line.from.index()]);
    let head = match &head {
        Some(head) => keep(batch, head)?,
        None => {
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(&begun);
            Span::new(start, batch.bytes.len())
        }
    };
    let subject = subject.map_or(Ok(Span::default()), |subject| keep(batch, &subject))?;
    if head.len() > MAX_HEAD {
        return Err("the beginning of its data is too long");
    }
    if repeated(&line.odd) > len {
        return Err("more of its octets came before than there are");
    }
    Ok(What::Data(Data {
        frame: line.frame.ok_or("a block of data without its frame")?,
        kind,
        len,
        announced,
        head,
        subject,
        lines,
        secret,
        state: line.state.unwrap_or_default(),
        oddities: line.odd,
    }))
}

fn keep(batch: &mut Batch, octets: &Octets<'_>) -> Result<Span, &'static str> {
    let start = batch.bytes.len();
    if octets.append(&mut batch.bytes) {
        Ok(Span::new(start, batch.bytes.len()))
    } else {
        Err("its octets are no base64")
    }
}

/// True if all parts of a reading lie inside of a text of so many octets.
fn fits(reading: &Reading, len: usize) -> bool {
    let lies = |span: Span| span.start <= span.end && span.end as usize <= len;
    let kind = match reading.kind {
        Kind::Command { tag, verb, arguments } => lies(tag) && lies(verb) && lies(arguments),
        Kind::Reply { tag, word, code, text, .. } => lies(tag) && lies(word) && lies(text) && code.is_none_or(lies),
        Kind::GoAhead { word, text } => lies(word) && lies(text),
        Kind::Info { number, name, arguments } => number.is_none_or(lies) && lies(name) && lies(arguments),
        Kind::More | Kind::Done | Kind::Sasl | Kind::Cancel | Kind::Blank | Kind::Foreign(_) | Kind::Unknown => true,
    };
    let listed = reading.list.as_ref().is_none_or(|list| {
        let item = |item: &crate::event::Item| lies(item.name) && lies(item.with_space) && lies(item.parameters);
        lies(list.whole) && list.items.iter().all(item)
    });
    let literal = reading.literal.is_none_or(|literal| lies(literal.span));
    kind && listed && literal && reading.stopped.is_none_or(|at| at as usize <= len)
}

/// True if spans are in order, apart from each other, and inside of so many octets.
fn apart(spans: &[Span], len: usize) -> bool {
    let mut last = 0;
    spans.iter().all(|span| {
        let fine = span.start >= last && span.end > span.start && span.end as usize <= len;
        last = span.end;
        fine
    })
}

const fn inside(odd: Oddity, len: usize) -> bool {
    match odd {
        Oddity::BareCr(at) | Oddity::Nul(at) | Oddity::OpenQuote(at) | Oddity::NotALiteral(at) => at as usize <= len,
        Oddity::Smuggled(count) => count <= len as u64,
        _ => true,
    }
}
