//! The bodies output: each message, literal and listing in a file of its own, as it was meant: without the dots of the
//! wire, and chunks of one message put together.
//!
//! `000001-server-000012-01.eml`: the connection, who sent it, the frame, and which block of the frame it is. Messages end
//! in `eml`, what is text by the protocol's rules in `txt`, other literals in `bin`. What is secret has no file.

use std::collections::HashMap;
use std::io;

use super::dot::Undot;
use super::folder::Folder;
use super::{FULL, missing, missing_name};
use crate::event::{Data, DataKind, Kind, Octets, Peer, Text, What, repeated};
use crate::exchange::Explained;
use crate::sink::Sink;

/// Bodies, in files of a folder.
#[derive(Debug)]
pub struct Bodies {
    folder: Folder,
    lanes: HashMap<u64, [Lane; 2]>,
}

/// What is known of one direction of a connection.
#[derive(Debug, Default)]
struct Lane {
    frame: u64,
    /// How many blocks the frame has had.
    blocks: u64,
    /// What the literal is that the last text announced.
    literal: Sort,
    /// The block that is coming.
    open: Option<Open>,
    /// The file of a message whose next chunk may follow.
    chunked: Option<String>,
    /// The chunk that is coming is the last of its message.
    last: bool,
}

/// A block that is coming.
#[derive(Debug)]
struct Open {
    name: String,
    undot: Option<Undot>,
}

/// What a block holds, as far as its surroundings tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Sort {
    Message,
    Text,
    #[default]
    Other,
}

impl Sort {
    const fn ending(self) -> &'static str {
        match self {
            Sort::Message => "eml",
            Sort::Text => "txt",
            Sort::Other => "bin",
        }
    }
}

impl Bodies {
    /// An output into this folder.
    #[must_use]
    pub fn new(folder: Folder) -> Self {
        Bodies { folder, lanes: HashMap::new() }
    }

    fn text(&mut self, event: &Explained<'_>, text: &Text) {
        let command = name(event);
        let literal = match text.reading.literal {
            Some(_) if event.connection.protocol() == Some("managesieve") => Sort::Text,
            Some(literal) => {
                let before = event.bytes.get(..literal.span.start as usize).unwrap_or_default();
                let bare = matches!(text.reading.kind, Kind::Command { arguments, .. } if arguments.is_empty());
                sort(event.event.from, command, before, bare)
            }
            None => Sort::Other,
        };
        let lane = &mut self.lanes.entry(event.connection.number).or_default()[event.event.from.index()];
        lane.literal = literal;
        if let Kind::Command { arguments, .. } = text.reading.kind {
            lane.last = arguments.of(event.bytes).to_ascii_uppercase().ends_with(b" LAST");
            if command != Some("BDAT")
                && let Some(name) = lane.chunked.take()
            {
                self.folder.finish(&name);
            }
        }
    }

    fn octets(&mut self, event: &Explained<'_>, octets: Octets) {
        if octets.secret || !is_body(octets.kind) {
            return;
        }
        let Bodies { folder, lanes } = self;
        let lane = &mut lanes.entry(event.connection.number).or_default()[event.event.from.index()];
        let open = lane.open(event, octets.frame, octets.kind);
        match &mut open.undot {
            Some(undot) => {
                let mut plain = Vec::with_capacity(event.bytes.len());
                undot.put(event.bytes, &mut plain);
                folder.append(&open.name, &plain);
            }
            None => folder.append(&open.name, event.bytes),
        }
    }

    /// A block is over.
    fn data(&mut self, event: &Explained<'_>, data: &Data) {
        if data.secret || !is_body(data.kind) {
            return;
        }
        let Bodies { folder, lanes } = self;
        let lane = &mut lanes.entry(event.connection.number).or_default()[event.event.from.index()];
        if lane.open.is_none() && repeated(&data.oddities) > 0 {
            // All of it stands in the file of the message in which it was smuggled.
            return;
        }
        lane.open(event, data.frame, data.kind);
        if let Some(open) = lane.open.take() {
            let mut end = Vec::new();
            open.undot.unwrap_or_default().end(&mut end);
            // So that one without octets is there, too.
            folder.append(&open.name, &end);
            lane.blocks += 1;
            if data.kind == DataKind::Chunk && !lane.last {
                lane.chunked = Some(open.name);
            } else {
                lane.chunked = None;
                folder.finish(&open.name);
            }
        }
    }

    /// Nothing of what is open will go on.
    fn leave(&mut self, connection: u64) {
        for lane in self.lanes.remove(&connection).into_iter().flatten() {
            for name in lane.open.map(|open| open.name).into_iter().chain(lane.chunked) {
                self.folder.finish(&name);
            }
        }
    }
}

impl Lane {
    /// The block of this frame that is coming, which begins if there is none.
    fn open(&mut self, event: &Explained<'_>, frame: u64, kind: DataKind) -> &mut Open {
        if self.frame != frame {
            (self.frame, self.blocks) = (frame, 0);
        }
        let sort = match kind {
            DataKind::Message | DataKind::Chunk => Sort::Message,
            DataKind::Lines => match name(event) {
                Some("RETR" | "TOP" | "ARTICLE") => Sort::Message,
                _ => Sort::Text,
            },
            _ => self.literal,
        };
        let chunked = if kind == DataKind::Chunk { self.chunked.take() } else { None };
        let (peer, number) = (event.event.from.word(), self.blocks + 1);
        self.open.get_or_insert_with(|| Open {
            name: chunked.unwrap_or_else(|| {
                format!("{:06}-{peer}-{frame:06}-{number:02}.{}", event.connection.number, sort.ending())
            }),
            undot: matches!(kind, DataKind::Message | DataKind::Lines).then(Undot::default),
        })
    }
}

impl Sink for Bodies {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        match &event.event.what {
            What::Text(text) => self.text(event, text),
            What::Octets(octets) => self.octets(event, *octets),
            What::Data(data) => self.data(event, data),
            What::Lag { events, bytes } => {
                self.leave(event.connection.number);
                missing(&mut self.folder, event.connection.number, *events, *bytes, "");
            }
            What::Closed(_) => {
                self.leave(event.connection.number);
                self.folder.finish(&missing_name(event.connection.number));
            }
            _ => {}
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.folder.waiting() >= FULL
    }

    fn wants_octets(&self) -> bool {
        true
    }

    fn flush(&mut self) -> io::Result<()> {
        self.folder.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// The verb of the event's command, without `UID `.
fn name<'a>(event: &Explained<'a>) -> Option<&'a str> {
    event.connection.exchange().map(|(exchange, _)| exchange.name().0).filter(|name| !name.is_empty())
}

/// Whether a block is what somebody wrote, and not a line or a layer that cannot be read.
const fn is_body(kind: DataKind) -> bool {
    match kind {
        DataKind::Literal | DataKind::Message | DataKind::Chunk | DataKind::Lines => true,
        DataKind::Overlong | DataKind::Opaque | DataKind::Proxy | DataKind::Rest | DataKind::Blank => false,
    }
}

/// What a literal of IMAP is, by what stands before it; `bare` if that is a command without any arguments.
fn sort(from: Peer, command: Option<&str>, before: &[u8], bare: bool) -> Sort {
    let before = before.trim_ascii().to_ascii_uppercase();
    if from == Peer::Client {
        // The mailbox can be a literal, too; and behind TEXT, CATENATE has a part of a message.
        let message = matches!(command, Some("APPEND" | "REPLACE")) && !bare && !before.ends_with(b"TEXT");
        return if message { Sort::Message } else { Sort::Other };
    }
    let item = memchr::memmem::rfind(&before, b"BODY[").map_or(&before[..], |at| &before[at..]);
    let word = item.rsplit(|byte| b" (".contains(byte)).next().unwrap_or_default();
    match item.strip_prefix(b"BODY[") {
        Some(b"]" | b"]<0>") => Sort::Message,
        Some(part) if [&b"HEADER]"[..], b"TEXT]", b"MIME]"].iter().any(|end| part.ends_with(end)) => Sort::Text,
        Some(part) if part.ends_with(b")]") => Sort::Text,
        None if word == b"RFC822" => Sort::Message,
        None if word == b"RFC822.HEADER" || word == b"RFC822.TEXT" => Sort::Text,
        _ => Sort::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_literal_is_stands_before_it() {
        use Peer::{Client, Server};
        for (from, command, before, bare, wanted) in [
            (Client, Some("APPEND"), "a APPEND INBOX (\\Seen) ", false, Sort::Message),
            (Client, Some("APPEND"), "a APPEND ", true, Sort::Other),
            (Client, Some("APPEND"), " (\\Seen) ", false, Sort::Message),
            (Client, Some("APPEND"), "a APPEND INBOX CATENATE (TEXT ", false, Sort::Other),
            (Client, Some("SEARCH"), "a SEARCH SUBJECT ", false, Sort::Other),
            (Client, None, "a X ", false, Sort::Other),
            (Server, None, "* 1 FETCH (UID 1 BODY[] ", false, Sort::Message),
            (Server, None, "* 1 FETCH (body[]<0> ", false, Sort::Message),
            (Server, None, "* 1 FETCH (BODY[]<512> ", false, Sort::Other),
            (Server, None, "* 1 FETCH (BODY[HEADER.FIELDS (DATE FROM)] ", false, Sort::Text),
            (Server, None, "* 1 FETCH (BODY[1.MIME] ", false, Sort::Text),
            (Server, None, "* 1 FETCH (BODY[2] ", false, Sort::Other),
            (Server, None, "* 1 FETCH (RFC822 ", false, Sort::Message),
            (Server, None, "* 1 FETCH (FLAGS () RFC822.HEADER ", false, Sort::Text),
            (Server, None, "* LIST () \"/\" ", false, Sort::Other),
        ] {
            assert_eq!(sort(from, command, before.as_bytes(), bare), wanted, "{before}");
        }
    }
}
