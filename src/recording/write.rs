//! Writing a recording: a sink.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::line::{Block, Line, Octets, Other};
use super::{FORMAT, Head, plain};
use crate::event::{Data, Event, FILLER, Form, MAX_HEAD, Octets as Piece, Opened, Peer, Text, What};
use crate::exchange::Explained;
use crate::sink::Sink;

/// The buffer should be written out when it holds so many octets.
const FULL: usize = 128 * 1024;

/// What gives the next file of a recording; its argument is the file's number.
type Next<W> = Box<dyn FnMut(u32) -> io::Result<W> + Send>;

/// A recording, written to `W`.
pub struct Writer<W> {
    writer: W,
    head: Head,
    buffer: Vec<u8>,
    begun: bool,
    /// The connections that are open.
    open: BTreeMap<u64, Connection>,
    /// After so many octets comes the next file.
    limit: Option<(u64, Next<W>)>,
    written: u64,
}

struct Connection {
    opened: Opened,
    /// Of each lane, the first octets of the data block in progress.
    heads: [Vec<u8>; 2],
}

impl<W: Write + Send> Writer<W> {
    /// A recording of these routes; `head` says what the file is to say of itself, but for versions.
    pub fn new(writer: W, head: Head) -> Self {
        let head = Head { imapscope: FORMAT, program: env!("CARGO_PKG_VERSION").to_owned(), ..head };
        Writer { writer, head, buffer: Vec::new(), begun: false, open: BTreeMap::new(), limit: None, written: 0 }
    }

    /// The same in several files: behind `limit` octets, give or take those of some events, `next` is asked for another.
    #[must_use]
    pub fn in_parts(mut self, limit: u64, next: impl FnMut(u32) -> io::Result<W> + Send + 'static) -> Self {
        self.limit = Some((limit, Box::new(next)));
        self
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            serde_json::to_writer(&mut self.buffer, &self.head)?;
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        Ok(())
    }

    /// Begins the next file, if this one is large enough: it tells of connections that are open, so that it can be read alone.
    fn turn(&mut self, at: u64) -> io::Result<()> {
        let Some((limit, next)) = &mut self.limit else { return Ok(()) };
        if self.written < *limit {
            return Ok(());
        }
        self.head.part += 1;
        self.writer = next(self.head.part)?;
        (self.written, self.begun) = (0, false);
        self.begin()?;
        let mut open = std::mem::take(&mut self.open);
        for (number, connection) in &mut open {
            // This file has the beginning of a block only if it says so at the block's end.
            connection.heads = Default::default();
            let event = Some(Other::Continued(Box::new(connection.opened.clone())));
            self.line(&Line { event, ..Line::new(at, *number, Peer::Client) })?;
        }
        self.open = open;
        Ok(())
    }

    fn text(&mut self, event: &Explained<'_>, from: Peer, text: &Text) -> io::Result<()> {
        let form = self.open.get(&event.connection.number).map_or(Form::default(), |open| open.opened.form);
        let mut line = Line {
            frame: Some(text.frame),
            state: Some(text.state),
            more: !text.first,
            answers: text.answers,
            unfinished: text.more,
            reading: (text.reading != plain(form, from, text.first, event.bytes)).then(|| text.reading.clone()),
            secrets: text.secrets.clone(),
            decoded: text.decoded.as_deref().cloned(),
            odd: text.oddities.clone(),
            edit: text.edit.as_deref().cloned(),
            sent: Some(event.beside).filter(|beside| !beside.is_empty()).map(Octets::of),
            ..Line::new(event.at.0, event.connection.number, from)
        };
        match Octets::of(event.bytes) {
            Octets::Line(octets) => line.line = Some(octets),
            Octets::Text(octets) => line.text = Some(octets),
            Octets::Base64(octets) => line.base64 = Some(octets),
        }
        self.line(&line)
    }

    fn octets(&mut self, event: &Explained<'_>, from: Peer, octets: &Piece) -> io::Result<()> {
        if let Some(open) = self.open.get_mut(&event.connection.number) {
            let head = &mut open.heads[from.index()];
            head.extend_from_slice(&event.bytes[..event.bytes.len().min(MAX_HEAD - head.len())]);
        }
        let mut line = Line {
            frame: Some(octets.frame),
            piece: Some(octets.kind),
            ..Line::new(event.at.0, event.connection.number, from)
        };
        if octets.secret && event.bytes.iter().all(|&byte| byte == FILLER) {
            line.hidden = Some(event.bytes.len() as u32);
        } else {
            line.secret = octets.secret;
            match Octets::of(event.bytes) {
                Octets::Line(octets) => line.line = Some(octets),
                Octets::Text(octets) => line.text = Some(octets),
                Octets::Base64(octets) => line.base64 = Some(octets),
            }
        }
        self.line(&line)
    }

    fn data(&mut self, event: &Explained<'_>, from: Peer, data: &Data) -> io::Result<()> {
        let open = self.open.get_mut(&event.connection.number);
        let head = open.map(|open| std::mem::take(&mut open.heads[from.index()])).unwrap_or_default();
        let block = Block {
            kind: data.kind,
            len: data.len,
            announced: data.announced,
            lines: data.lines,
            head: (head != event.bytes).then(|| Octets::of(event.bytes)),
            subject: Some(event.beside).filter(|beside| !beside.is_empty()).map(Octets::of),
            secret: data.secret,
        };
        self.line(&Line {
            frame: Some(data.frame),
            state: Some(data.state),
            odd: data.oddities.clone(),
            data: Some(block),
            ..Line::new(event.at.0, event.connection.number, from)
        })
    }

    fn other(&mut self, event: &Explained<'_>, from: Peer, what: &What) -> io::Result<()> {
        let other = match what {
            What::Opened(opened) => {
                let connection = Connection { opened: (**opened).clone(), heads: Default::default() };
                self.open.insert(event.connection.number, connection);
                Other::Opened(opened.clone())
            }
            What::Tls(facts) => Other::Tls(facts.clone()),
            What::Hello(hello) => Other::Hello(hello.clone()),
            What::Abrupt => Other::Abrupt,
            What::Upgrade(layer) => Other::Upgrade(*layer),
            What::Lag { events, bytes } => Other::Lag(*events, *bytes),
            What::Gap { bytes, data } => Other::Gap(*bytes, *data),
            What::Missed(rule) => Other::Missed(rule.clone()),
            What::Waiting(wait) => Other::Waiting(wait.clone()),
            What::HalfClosed => Other::HalfClosed,
            What::Closed(closed) => {
                self.open.remove(&event.connection.number);
                Other::Closed(closed.clone())
            }
            What::Text(_) | What::Octets(_) | What::Data(_) => return Ok(()),
        };
        self.line(&Line { event: Some(other), ..Line::new(event.at.0, event.connection.number, from) })
    }
}

impl<W: Write + Send> Sink for Writer<W> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        if self.head.began == 0 {
            self.head.began = event.at.0;
        }
        self.begin()?;
        let Event { from, what } = event.event;
        match what {
            What::Text(text) => self.text(event, *from, text)?,
            What::Octets(octets) => self.octets(event, *from, octets)?,
            What::Data(data) => self.data(event, *from, data)?,
            other => self.other(event, *from, other)?,
        }
        if self.limit.as_ref().is_some_and(|(limit, _)| self.written + self.buffer.len() as u64 >= *limit) {
            self.flush()?;
            self.turn(event.at.0)?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.buffer.len() >= FULL
    }

    fn wants_octets(&self) -> bool {
        true
    }

    fn flush(&mut self) -> io::Result<()> {
        self.begin()?;
        let written = self.writer.write_all(&self.buffer);
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        written?;
        self.writer.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()
    }
}
