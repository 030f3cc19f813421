//! A capture for Wireshark and its kin: what the peers said, decoded, as TCP streams in a pcapng file, and the remarks of
//! the log as comments of the packets.
//!
//! The lanes hold what each peer sent, as received; what a rule sent instead is in a comment. The server has the standard
//! port of its protocol, so that dissectors know it. They take what follows a STARTTLS for TLS, so behind one, and behind
//! COMPRESS, a connection goes on as another stream.

mod block;
mod remark;
mod segment;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Sink, closing, escape, text};
use crate::event::{Closed, Closer, Data, Event, Layer, Oddity, Opened, Peer, Text, Time, TlsFacts, What, repeated};
use crate::exchange::Explained;
use crate::wording::amount;
use segment::Stream;

/// The buffer should be written out when it holds so many octets.
const FULL: usize = 128 * 1024;

/// So many servers that are named get an address of their own.
const MAX_NAMES: usize = 250;

/// What the section says of itself.
const ABOUT: &str = "Mail sessions in plain text, as each peer sent them, without the TLS and compression that they may have \
    had. Times and octets are real; TCP, the ports of servers, and addresses of servers that were named are made up. Comments \
    tell what the octets mean, and what was sent on instead of them.";

/// A capture, written to `W`.
#[derive(Debug)]
pub struct Pcapng<W> {
    writer: W,
    out: Vec<u8>,
    begun: bool,
    connections: HashMap<u64, Connection>,
    /// Both ends of the streams that are open.
    taken: HashSet<[SocketAddr; 2]>,
    /// Servers that are named, and so have an address that is made up from their place here.
    names: Vec<String>,
    /// The octets that came last: if they end a block, its remarks stand with them.
    held: Option<Held>,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: Stream,
    /// What is to be remarked on the next packet.
    remarks: Vec<String>,
    /// Octets of the block in progress that were reported, of each lane.
    reported: [u64; 2],
    /// Who said first that no more would come.
    ended: Option<Peer>,
}

/// A piece of a data block that is not written yet.
#[derive(Debug)]
struct Held {
    connection: u64,
    from: Peer,
    at: Time,
    octets: Vec<u8>,
}

impl<W: Write + Send> Pcapng<W> {
    /// A capture that nothing was written to yet.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Pcapng {
            writer,
            out: Vec::new(),
            begun: false,
            connections: HashMap::new(),
            taken: HashSet::new(),
            names: Vec::new(),
            held: None,
        }
    }

    /// Says what the file is, unless that was done.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            block::begin(&mut self.out, concat!("imapscope ", env!("CARGO_PKG_VERSION")), ABOUT);
        }
    }

    fn opened(&mut self, event: &Explained<'_>, opened: &Opened) {
        let mut remarks = Vec::new();
        remark::opened(&mut remarks, event.connection.number, opened);
        remark::notes(&mut remarks, event);
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let client: SocketAddr = opened.client.parse().unwrap_or(nobody);
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let ends = [client, self.server(opened, client.is_ipv4())];
        let ends = self.free(ends);
        let stream = Stream::open(&mut self.out, event.at, ends, event.connection.number, &remarks);
        let fresh = Connection { stream, remarks: Vec::new(), reported: [0; 2], ended: None };
        self.connections.insert(event.connection.number, fresh);
    }

    /// These ends, or such with the next port of the client's that no stream between them has.
    fn free(&mut self, mut ends: [SocketAddr; 2]) -> [SocketAddr; 2] {
        while !self.taken.insert(ends) {
            let port = ends[0].port();
            ends[0].set_port(if port == u16::MAX { 1024 } else { port + 1 });
        }
        ends
    }

    /// The server's end of a stream: its address as the route has it, or one that is made up for its name.
    fn server(&mut self, opened: &Opened, v4: bool) -> SocketAddr {
        let (scheme, server) = opened.server.split_once("://").unwrap_or(("", &opened.server));
        let (host, port) = server.rsplit_once(':').unwrap_or((server, ""));
        let port = standard_port(&opened.protocol, scheme, port.parse().unwrap_or(0));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>()
            && address.is_ipv4() == v4
        {
            return (address, port).into();
        }
        let known = self.names.iter().position(|name| name == host);
        let place = known.unwrap_or(self.names.len());
        // For documents (RFC 5737, RFC 3849): nobody has these addresses.
        let last = place.min(MAX_NAMES) as u8 + 1;
        let address: [IpAddr; 2] =
            [Ipv4Addr::new(192, 0, 2, last).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into()];
        if known.is_none() && place < MAX_NAMES {
            self.names.push(host.to_owned());
            address.iter().for_each(|address| block::name(&mut self.out, *address, &escape::escaped(host)));
        }
        (address[usize::from(!v4)], port).into()
    }

    fn text(&mut self, event: &Explained<'_>, from: Peer, text: &Text) {
        let Some(connection) = self.connections.get_mut(&event.connection.number) else { return };
        let mut remarks = std::mem::take(&mut connection.remarks);
        if text.oddities.contains(&Oddity::Ours) {
            remark::add(&mut remarks, format!("said by imapscope, to the {}", from.other().word()));
        }
        remark::edit(&mut remarks, event, text);
        remark::notes(&mut remarks, event);
        // What was read again stands in a packet of its message.
        match text::fresh(event.bytes, &text.oddities) {
            b"" => connection.remarks = remarks,
            fresh => connection.stream.send(&mut self.out, event.at, from, fresh, &remarks),
        }
    }

    /// A piece of data: what is held of the lane was written, so this one is held.
    fn octets(&mut self, event: &Explained<'_>, from: Peer) {
        let Some(connection) = self.connections.get_mut(&event.connection.number) else { return };
        connection.reported[from.index()] += event.bytes.len() as u64;
        self.held =
            Some(Held { connection: event.connection.number, from, at: event.at, octets: event.bytes.to_vec() });
    }

    /// The end of a data block: what is remarked on it belongs to its last piece, if that is still here.
    fn data(&mut self, event: &Explained<'_>, from: Peer, data: &Data) {
        let Some(connection) = self.connections.get_mut(&event.connection.number) else { return };
        let mut remarks = std::mem::take(&mut connection.remarks);
        remark::notes(&mut remarks, event);
        let reported = std::mem::take(&mut connection.reported[from.index()]);
        let held = self.held.take_if(|held| held.connection == event.connection.number && held.from == from);
        self.release();
        let Some(connection) = self.connections.get_mut(&event.connection.number) else { return };
        let missing = data.len.saturating_sub(repeated(&data.oddities)).saturating_sub(reported);
        if missing > 0 {
            remark::add(&mut remarks, format!("{} before this are missing", amount(missing, "octet")));
            connection.stream.skip(from, missing);
        }
        match held {
            Some(held) => connection.stream.send(&mut self.out, held.at, from, &held.octets, &remarks),
            None => connection.remarks = remarks,
        }
    }

    /// Writes what is held.
    fn release(&mut self) {
        if let Some(held) = self.held.take()
            && let Some(connection) = self.connections.get_mut(&held.connection)
        {
            let remarks = std::mem::take(&mut connection.remarks);
            connection.stream.send(&mut self.out, held.at, held.from, &held.octets, &remarks);
        }
    }

    /// A layer begins that dissectors would look for: what lies in it goes on as another stream, unless nothing was said yet.
    fn split(&mut self, event: &Explained<'_>, layer: Layer) {
        let number = event.connection.number;
        let Some(before) = self.connections.get(&number).filter(|it| it.stream.used).map(|it| it.stream.ends()) else {
            return;
        };
        let ends = self.free(before);
        self.taken.remove(&before);
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let (layer, [from, to]) = (remark::layer(layer), [before[0].port(), ends[0].port()]);
        let mut remarks = std::mem::take(&mut connection.remarks);
        remark::add(&mut remarks, format!("{layer} begins; what lies inside is another stream here, from port {to}"));
        connection.stream.end(&mut self.out, event.at, Peer::Client, &remarks);
        let opening =
            format!("connection {number} goes on here, as what lies inside {layer}: before, from port {from}");
        connection.stream = Stream::open(&mut self.out, event.at, ends, number, &[opening]);
    }

    fn secured(&mut self, event: &Explained<'_>, from: Peer, facts: &TlsFacts) {
        self.split(event, Layer::Tls);
        self.remark(event, Some(remark::tls(from, facts)));
    }

    /// What has no octets is remarked on the next packet.
    fn remark(&mut self, event: &Explained<'_>, remark: Option<String>) {
        if let Some(connection) = self.connections.get_mut(&event.connection.number) {
            remark.into_iter().for_each(|remark| remark::add(&mut connection.remarks, remark));
            remark::notes(&mut connection.remarks, event);
        }
    }

    /// A peer ends its side. What it said before may still be reported, when an answer tells how it reads, so that the
    /// segment with FIN waits for the end.
    fn half_closed(&mut self, event: &Explained<'_>, from: Peer) {
        self.remark(event, Some(format!("the {} will send no more", from.word())));
        if let Some(connection) = self.connections.get_mut(&event.connection.number) {
            connection.ended.get_or_insert(from);
        }
    }

    fn closed(&mut self, event: &Explained<'_>, closed: &Closed) {
        let Some(mut connection) = self.connections.remove(&event.connection.number) else { return };
        let mut remarks = std::mem::take(&mut connection.remarks);
        remark::add(&mut remarks, closing::ended(closed.by));
        if let Some(why) = &closed.why {
            remark::add(&mut remarks, escape::escaped(why));
        }
        remark::notes(&mut remarks, event);
        let (stream, out) = (&mut connection.stream, &mut self.out);
        let (first, resets) = match closed.by {
            Closer::Peer(peer) | Closer::Tls(peer) => (peer, false),
            Closer::Ours | Closer::Unseen => (Peer::Server, false),
            Closer::Reset(peer) => (peer, true),
            Closer::Unreachable => (Peer::Server, true),
        };
        if resets {
            stream.reset(out, event.at, first, &remarks);
        } else {
            let first = connection.ended.unwrap_or(first);
            stream.end(out, event.at, first, &remarks);
        }
        self.taken.remove(&connection.stream.ends());
    }
}

impl<W: Write + Send> Sink for Pcapng<W> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        self.begin();
        let Event { from, what } = event.event;
        if !matches!(what, What::Data(_)) {
            self.release();
        }
        match what {
            What::Opened(opened) => self.opened(event, opened),
            What::Text(text) => self.text(event, *from, text),
            What::Octets(_) => self.octets(event, *from),
            What::Data(data) => self.data(event, *from, data),
            What::Tls(facts) => self.secured(event, *from, facts),
            // TLS that is relayed stays where it is, for there it is expected.
            What::Upgrade(layer) => {
                if *layer == Layer::Deflate {
                    self.split(event, Layer::Deflate);
                }
                self.remark(event, None);
            }
            What::Hello(_) => self.remark(event, Some(format!("the {} begins TLS", from.word()))),
            What::Abrupt => self.remark(event, Some(format!("the {} closed without close_notify", from.word()))),
            What::Lag { events, bytes } => {
                let (events, bytes) = (amount(*events, "event"), amount(*bytes, "octet"));
                self.remark(
                    event,
                    Some(format!("! this could not keep up: {events} ({bytes}) are missing before this")),
                );
            }
            What::Gap { bytes, .. } => self.remark(event, Some(format!("! {}", super::phrase::gap(*from, *bytes)))),
            What::Missed(rule) => {
                self.remark(event, Some(format!("rule `{}` did nothing", escape::escaped(rule))));
            }
            What::Waiting(_) => self.remark(event, event.waiting.map(|waiting| escape::escaped(&waiting.text))),
            What::HalfClosed => self.half_closed(event, *from),
            What::Closed(closed) => self.closed(event, closed),
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
        self.release();
        let written = self.writer.write_all(&self.out);
        self.out.clear();
        written?;
        self.writer.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        // A capture of nothing is a capture.
        self.begin();
        self.flush()
    }
}

/// The standard port of a protocol in plain text; the server's own if there is none. What a client submits has another one
/// than what servers pass on.
fn standard_port(protocol: &str, scheme: &str, own: u16) -> u16 {
    match protocol {
        "imap" => 143,
        "smtp" if scheme.starts_with("submission") || own == 587 => 587,
        "smtp" => 25,
        "lmtp" => 24,
        "pop3" => 110,
        "managesieve" => 4190,
        "nntp" => 119,
        "irc" => 6667,
        _ => own,
    }
}
