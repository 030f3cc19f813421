//! The raw outputs: the octets that peers sent, and nothing else. A file for each connection and side in a folder, or all of
//! it on one writer. The bodies output beside it ([`body`]) has the messages and literals, each in a file of its own.

pub mod body;
mod dot;
pub mod folder;

use std::collections::HashMap;
use std::io::{self, Write};

use super::{Sink, text};
use crate::event::{Oddity, Peer, What};
use crate::exchange::Explained;
use crate::wording::amount;
use folder::Folder;

/// The buffers should be written out when they hold so many octets.
const FULL: usize = 256 * 1024;

/// Octets of each connection and side, in files of a folder: `000001-client.raw`.
#[derive(Debug)]
pub struct Raw {
    folder: Folder,
    /// How many octets each side has sent, of connections that are open.
    counts: HashMap<u64, [u64; 2]>,
}

impl Raw {
    /// An output into this folder.
    #[must_use]
    pub fn new(folder: Folder) -> Self {
        Raw { folder, counts: HashMap::new() }
    }
}

impl Sink for Raw {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let (connection, from) = (event.connection.number, event.event.from);
        match &event.event.what {
            What::Lag { events, bytes } => {
                let [client, server] = self.counts.get(&connection).copied().unwrap_or_default();
                let behind = format!(", behind octet {client} of the client's, {server} of the server's");
                missing(&mut self.folder, connection, *events, *bytes, &behind);
            }
            What::Closed(_) => {
                self.counts.remove(&connection);
                for peer in [Peer::Client, Peer::Server] {
                    self.folder.finish(&name(connection, peer));
                }
                self.folder.finish(&missing_name(connection));
            }
            _ => {
                let octets = sent(event);
                if !octets.is_empty() {
                    self.counts.entry(connection).or_default()[from.index()] += octets.len() as u64;
                    self.folder.append(&name(connection, from), octets);
                }
            }
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

/// The octets of one side, or of both in the order in which they came, of all connections: for a pipe or a file. Whoever
/// opens it sees to it that no terminal is behind.
#[derive(Debug)]
pub struct RawStream<W> {
    writer: W,
    side: Option<Peer>,
    out: Vec<u8>,
}

impl<W: Write + Send> RawStream<W> {
    /// What this side sends, or with `None` both.
    #[must_use]
    pub fn new(writer: W, side: Option<Peer>) -> Self {
        RawStream { writer, side, out: Vec::new() }
    }
}

impl<W: Write + Send> Sink for RawStream<W> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        if self.side.is_none_or(|side| side == event.event.from) {
            self.out.extend_from_slice(sent(event));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.out.len() >= FULL
    }

    fn wants_octets(&self) -> bool {
        true
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.writer.write_all(&self.out);
        self.out.clear();
        written?;
        self.writer.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// The octets of an event that its peer has sent, each once: not what imapscope says itself, and not what is read a second
/// time. What is known of data by its head came before, whole.
fn sent<'a>(event: &Explained<'a>) -> &'a [u8] {
    match &event.event.what {
        What::Text(text) if text.oddities.contains(&Oddity::Ours) => b"",
        What::Text(text) => text::fresh(event.bytes, &text.oddities),
        What::Octets(_) => event.bytes,
        _ => b"",
    }
}

/// Says beside the files of a connection that they are not whole.
fn missing(folder: &mut Folder, connection: u64, events: u64, octets: u64, place: &str) {
    let (events, octets) = (amount(events, "event"), amount(octets, "octet"));
    let text = format!("{events} with {octets} are missing{place}: this output could not keep up\n");
    folder.append(&missing_name(connection), text.as_bytes());
}

fn missing_name(connection: u64) -> String {
    format!("{connection:06}-missing.txt")
}

fn name(connection: u64, peer: Peer) -> String {
    format!("{connection:06}-{}.raw", peer.word())
}
