//! The connections of a capture: who is the client, which of them are of mail, and what their peers said. Their number and what
//! waits in them is bounded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;

use super::ip::Carried;
use super::lane::{self, Lanes, Told};
use super::{MAX_OCTETS, NAME_IT, Piece, guess};
use crate::event::{Peer, State, Time};
use crate::wording::amount;

/// So many connections are known at the same time; then the oldest is ended.
const MAX_CONNECTIONS: usize = 10_240;

/// So much may wait in all of them together.
const MAX_WAITING: usize = 64 << 20;

/// Maximum number of ports that are named for each reason why connections are not read.
const MAX_PORTS: usize = 8;

/// Maximum number of bytes that are kept, with their overhead, until both peers' first words tell the protocol.
const MAX_FIRST: usize = 64 * 1024;

/// The port of HTTPS: what is under TLS there is no mail.
const HTTPS: u16 = 443;

/// A segment of TCP.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    from: SocketAddr,
    to: SocketAddr,
    number: u32,
    acknowledges: Option<u32>,
    begins: bool,
    ends: bool,
    resets: bool,
    octets: &'a [u8],
    whole: usize,
}

impl<'a> Segment<'a> {
    /// Reads what IP carried; `None` if it is too short.
    pub fn read(carried: &Carried<'a>) -> Option<Self> {
        let octets = carried.octets;
        let short = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
        let long = |at: usize| Some(u32::from_be_bytes(octets.get(at..at + 4)?.try_into().ok()?));
        let head = usize::from(octets.get(12)? >> 4) * 4;
        let flags = *octets.get(13)?;
        if head < 20 {
            return None;
        }
        Some(Segment {
            from: SocketAddr::new(carried.from, short(0)?),
            to: SocketAddr::new(carried.to, short(2)?),
            number: long(4)?,
            acknowledges: if flags & 16 == 0 { None } else { Some(long(8)?) },
            begins: flags & 2 != 0,
            ends: flags & 1 != 0,
            resets: flags & 4 != 0,
            octets: octets.get(head..).unwrap_or_default(),
            whole: carried.whole.checked_sub(head)?,
        })
    }
}

/// What is known of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Its protocol is not known yet: nothing that was said tells it.
    Undecided,
    /// It was told under this number.
    Told(u64),
    /// It is none of mail, or over.
    Passed,
}

#[derive(Debug)]
struct Flow {
    known: Known,
    client: SocketAddr,
    server: SocketAddr,
    at: Time,
    /// The number with which the client began, if that was seen.
    begun: Option<u32>,
    /// Nothing of its beginning was seen.
    middle: bool,
    lanes: Lanes,
    /// What of each peer's came, and was missing: bytes and places.
    came: [u64; 2],
    lost: [(u64, u64); 2],
    /// Bytes were sent that have not come out, and this was told.
    behind: bool,
    /// A TLS record was the first that came of one of them.
    tls: bool,
    /// Who ended its side first.
    ended: Option<Peer>,
}

/// Connections that are not read for one reason.
#[derive(Debug, Default)]
struct Unread {
    count: u64,
    ports: Vec<u16>,
}

impl Unread {
    fn add(&mut self, port: u16) {
        self.count += 1;
        if self.ports.len() < MAX_PORTS && !self.ports.contains(&port) {
            self.ports.push(port);
        }
    }

    /// `2 connections to port 80, 8080`.
    fn text(&self) -> String {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let more = if self.ports.len() == MAX_PORTS { ", …" } else { "" };
        format!("{} to port {}{more}", amount(self.count, "connection"), ports.join(", "))
    }
}

/// All connections of a capture.
#[derive(Debug)]
pub struct Flows {
    given: Option<String>,
    flows: HashMap<(SocketAddr, SocketAddr), Flow>,
    /// In the order of their beginning.
    order: VecDeque<(SocketAddr, SocketAddr)>,
    told: u64,
    waiting: usize,
    /// Connections that nobody recognised, those of protocols that are none of mail, those under TLS, and those without a byte.
    unknown: Unread,
    strangers: BTreeMap<&'static str, Unread>,
    under_tls: Unread,
    silent: Unread,
}

impl Flows {
    /// None yet. `given` is the protocol that the user has named: it goes before what a port or a line looks like.
    pub fn new(given: Option<&str>) -> Self {
        Flows {
            given: given.map(str::to_owned),
            flows: HashMap::new(),
            order: VecDeque::new(),
            told: 0,
            waiting: 0,
            unknown: Unread::default(),
            strangers: BTreeMap::new(),
            under_tls: Unread::default(),
            silent: Unread::default(),
        }
    }

    /// Takes a segment; what it brings about goes to `ready`.
    pub fn put(&mut self, at: Time, segment: &Segment<'_>, ready: &mut VecDeque<Piece>) {
        let key = if segment.from < segment.to { (segment.from, segment.to) } else { (segment.to, segment.from) };
        let opens = segment.begins && segment.acknowledges.is_none();
        let again = opens
            && self.flows.get(&key).is_some_and(|flow| {
                flow.known == Known::Passed || flow.begun != Some(segment.number) || flow.client != segment.from
            });
        if again {
            self.end(key, at, None, false, ready);
            self.flows.remove(&key);
        }
        if !self.flows.contains_key(&key) {
            if !segment.begins && segment.octets.is_empty() {
                return;
            }
            self.begin(key, at, segment, again, ready);
        }
        let undecided = |flow: &Flow| flow.known == Known::Undecided && !segment.octets.is_empty() && !segment.resets;
        if self.flows.get(&key).is_some_and(undecided)
            && let Some(mut flow) = self.flows.remove(&key)
        {
            let (held, from) = (flow.lanes.waiting(), flow.peer(segment));
            self.decide(&mut flow, from, segment.octets, ready);
            self.waiting -= held - flow.lanes.waiting();
            self.flows.insert(key, flow);
        }
        let Some(flow) = self.flows.get_mut(&key).filter(|flow| flow.known != Known::Passed) else { return };
        let (before, from) = (flow.lanes.waiting(), flow.peer(segment));
        flow.take(at, from, segment, ready);
        let number = flow.number();
        let behind = flow.lanes.are_behind();
        if number > 0 && behind != std::mem::replace(&mut flow.behind, behind) {
            ready.push_back(Piece::Behind { connection: number, at, behind });
        }
        self.waiting = self.waiting + flow.lanes.waiting() - before;
        if self.waiting > MAX_WAITING {
            let held = flow.lanes.waiting();
            if flow.known == Known::Undecided {
                self.unknown.add(flow.server.port());
                flow.pass();
            } else {
                flow.settle(0, ready);
            }
            self.waiting -= held - flow.lanes.waiting();
        }
        if segment.resets {
            self.end(key, at, Some(from), true, ready);
        } else if flow.lanes.have_ended() {
            let by = flow.ended;
            self.end(key, at, by, false, ready);
        }
    }

    /// The capture is over, and so are all connections.
    pub fn finish(&mut self, at: Time, ready: &mut VecDeque<Piece>) {
        while let Some(key) = self.order.pop_front() {
            if let Some(by) = self.flows.get(&key).map(|flow| flow.ended) {
                self.end(key, at, by, false, ready);
                self.flows.remove(&key);
            }
        }
        let mut remark = |text| ready.push_back(Piece::Remark { connection: None, at, text, damage: true });
        if self.under_tls.count > 0 {
            let which = self.under_tls.text();
            remark(format!("{which} under TLS: what is inside cannot be read; relay them with imapscope to see it"));
        }
        for (what, unread) in &self.strangers {
            remark(format!("{} not read: {what} is no mail protocol", unread.text()));
        }
        if self.unknown.count > 0 {
            remark(format!("{} not read: the protocol was not recognised; {NAME_IT}", self.unknown.text()));
        }
        if self.silent.count > 0 && self.told == 0 {
            remark(format!("{} without a byte of either peer", self.silent.text()));
        }
    }

    /// Returns true if a connection was shown, or one that is not shown is reported by [`Flows::finish`].
    pub fn is_reported(&self) -> bool {
        let unread = [&self.unknown, &self.under_tls, &self.silent];
        self.told > 0 || !self.strangers.is_empty() || unread.iter().any(|unread| unread.count > 0)
    }

    /// A connection is seen for the first time.
    fn begin(
        &mut self,
        key: (SocketAddr, SocketAddr),
        at: Time,
        segment: &Segment<'_>,
        again: bool,
        ready: &mut VecDeque<Piece>,
    ) {
        if !again {
            if self.flows.len() >= MAX_CONNECTIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.end(oldest, at, None, false, ready);
                self.flows.remove(&oldest);
            }
            self.order.push_back(key);
        }
        let (from, to) = (segment.from, segment.to);
        let is_server = |end: SocketAddr| {
            guess::of_port(end.port(), false).is_some()
                || guess::of_tls_port(end.port()).is_some()
                || end.port() == HTTPS
        };
        let says = |peer: Peer| {
            guess::of_hello(segment.octets)
                .map_or_else(|| guess::of_line(peer, segment.octets).is_some(), |it| it == peer)
        };
        let server_speaks = match segment.begins {
            true => segment.acknowledges.is_some(),
            false if is_server(to) => false,
            false => is_server(from) || says(Peer::Server) || !says(Peer::Client) && from.port() < to.port(),
        };
        let (client, server) = if server_speaks { (to, from) } else { (from, to) };
        let mut flow = Flow {
            known: Known::Undecided,
            client,
            server,
            at,
            begun: (segment.begins && !server_speaks).then_some(segment.number),
            middle: !segment.begins,
            lanes: Lanes::default(),
            came: [0; 2],
            lost: [(0, 0); 2],
            behind: false,
            tls: false,
            ended: None,
        };
        // What is not recognised waits until it is.
        flow.lanes.held = true;
        let port = guess::of_port(server.port(), segment.begins);
        let tls_port = guess::of_tls_port(server.port());
        if server.port() == HTTPS {
            self.under_tls.add(HTTPS);
            flow.known = Known::Passed;
        } else if let Some(protocol) = tls_port {
            let protocol = self.given.clone().unwrap_or_else(|| protocol.to_owned());
            self.tell(&mut flow, &protocol, true, ready);
        } else if let Some(protocol) = port.filter(|port| self.given.as_deref().is_none_or(|given| given == *port)) {
            self.tell(&mut flow, protocol, false, ready);
        }
        self.flows.insert(key, flow);
    }

    /// Bytes of a connection are here that may tell its protocol. What the user has named goes before a guess, and is not forced
    /// upon what is certainly another one: none of mail, or one by its port and its words.
    fn decide(&mut self, flow: &mut Flow, from: Peer, bytes: &[u8], ready: &mut VecDeque<Piece>) {
        let port = flow.server.port();
        let words = guess::of_line(from, bytes);
        let certain = words.filter(|words| guess::of_port(port, !flow.middle) == Some(words));
        let stranger = guess::stranger(from, bytes);
        if let Some(what) = stranger.filter(|_| flow.came == [0; 2]) {
            self.strangers.entry(what).or_default().add(port);
            flow.pass();
        } else if guess::is_tls(bytes) && flow.came == [0; 2] {
            match self.given.clone() {
                Some(given) => self.tell(flow, &given, true, ready),
                None => {
                    self.under_tls.add(port);
                    flow.pass();
                }
            }
        } else if let Some(certain) = certain {
            self.tell(flow, certain, false, ready);
        } else if let Some(protocol) = self.given.clone().or_else(|| words.map(str::to_owned)) {
            self.tell(flow, &protocol, false, ready);
        } else if flow.came[from.other().index()] > 0 && !flow.middle || flow.lanes.waiting() > MAX_FIRST {
            self.settle(flow, ready);
        }
    }

    /// Nothing that was said tells the protocol. In the middle of a connection it need not, and a port may, though it can be a client's.
    fn settle(&mut self, flow: &mut Flow, ready: &mut VecDeque<Piece>) {
        let port = flow.server.port();
        match guess::of_port(port, true).filter(|_| flow.middle) {
            Some(protocol) => self.tell(flow, protocol, false, ready),
            None => {
                self.unknown.add(port);
                flow.pass();
            }
        }
    }

    /// Opens a connection of this protocol, which begins with TLS or not.
    fn tell(&mut self, flow: &mut Flow, protocol: &str, tls: bool, ready: &mut VecDeque<Piece>) {
        self.told += 1;
        let (connection, at) = (self.told, flow.at);
        flow.known = Known::Told(connection);
        flow.lanes.held = false;
        ready.push_back(Piece::Opened {
            connection,
            at,
            protocol: Some(protocol.to_owned()),
            client: flow.client.to_string(),
            server: flow.server.to_string(),
            inside: false,
            middle: flow.middle.then_some(State::Opaque),
        });
        if tls {
            ready.push_back(Piece::TlsFirst { connection, at });
        }
        if flow.middle {
            flow.lack_beginning(at, ready);
        }
    }

    /// A connection is over: what waits comes, and what is strange about it is said.
    fn end(
        &mut self,
        key: (SocketAddr, SocketAddr),
        at: Time,
        by: Option<Peer>,
        reset: bool,
        ready: &mut VecDeque<Piece>,
    ) {
        let Some(mut flow) = self.flows.remove(&key) else { return };
        self.waiting -= flow.lanes.waiting();
        if flow.known == Known::Undecided && flow.came != [0; 2] {
            self.settle(&mut flow, ready);
        }
        match flow.known {
            Known::Told(connection) => {
                flow.finish(connection, at, ready);
                ready.push_back(Piece::Closed { connection, at, by, reset });
                if flow.tls {
                    self.under_tls.add(flow.server.port());
                }
            }
            Known::Undecided => self.silent.add(flow.server.port()),
            Known::Passed => {}
        }
        flow.pass();
        self.flows.insert(key, flow);
    }
}

impl Flow {
    fn peer(&self, segment: &Segment<'_>) -> Peer {
        if segment.from == self.client { Peer::Client } else { Peer::Server }
    }

    fn take(&mut self, at: Time, from: Peer, segment: &Segment<'_>, ready: &mut VecDeque<Piece>) {
        let first = segment.number.wrapping_add(u32::from(segment.begins));
        if segment.begins {
            self.lanes.begin(from, first);
        }
        // What comes with a reset is a reason at best, and no bytes of the connection.
        if segment.resets {
            return;
        }
        // Without the numbers with which the other one began, nobody knows whether it had spoken.
        if self.came == [0; 2] && segment.whole > 0 && !self.middle && !self.lanes.lane(from.other()).is_known() {
            self.middle = true;
            self.lack_beginning(at, ready);
        }
        if self.came[from.index()] == 0 {
            self.tls |= guess::is_tls(segment.octets);
        }
        self.came[from.index()] += segment.octets.len() as u64;
        if segment.ends {
            self.ended.get_or_insert(from);
        }
        let piece = lane::Piece {
            number: first,
            acknowledges: segment.acknowledges,
            bytes: segment.octets,
            whole: segment.whole,
            ends: segment.ends,
        };
        let (number, lost) = (self.number(), &mut self.lost);
        self.lanes.put(at, from, &piece, &mut |from, at, told| say(number, at, from, told, lost, ready));
    }

    fn lack_beginning(&self, at: Time, ready: &mut VecDeque<Piece>) {
        let connection = self.number();
        if connection > 0 {
            let text = "the beginning of the connection is not in the capture".to_owned();
            ready.push_back(Piece::Lost { connection, at, from: Peer::Client, bytes: None });
            ready.push_back(Piece::Remark { connection: Some(connection), at, text, damage: true });
        }
    }

    /// Ceases to wait for what is missing until no more than `most` waits.
    fn settle(&mut self, most: usize, ready: &mut VecDeque<Piece>) {
        let (number, lost) = (self.number(), &mut self.lost);
        self.lanes.settle(most, &mut |from, at, told| say(number, at, from, told, lost, ready));
    }

    /// Nothing of it is shown, or nothing more.
    fn pass(&mut self) {
        self.known = Known::Passed;
        self.lanes = Lanes::default();
    }

    fn number(&self) -> u64 {
        match self.known {
            Known::Told(number) => number,
            Known::Undecided | Known::Passed => 0,
        }
    }

    fn finish(&mut self, connection: u64, at: Time, ready: &mut VecDeque<Piece>) {
        let lost = &mut self.lost;
        self.lanes.finish(&mut |from, at, told| say(connection, at, from, told, lost, ready));
        for peer in [Peer::Client, Peer::Server] {
            let mut remark =
                |text, damage| ready.push_back(Piece::Remark { connection: Some(connection), at, text, damage });
            let (lane, who) = (self.lanes.lane(peer), peer.word());
            match self.lost[peer.index()] {
                (0, _) => {}
                (lost, _) if self.came[peer.index()] == 0 => {
                    remark(format!("nothing that the {who} sent is in the capture: {}", amount(lost, "byte")), true);
                }
                (lost, 1) => remark(format!("{} of the {who} missing from the capture", amount(lost, "byte")), true),
                (lost, places) => {
                    let lost = amount(lost, "byte");
                    remark(format!("{lost} of the {who} missing from the capture, in {places} places"), true);
                }
            }
            // That is how TCP works.
            if lane.repeated > 0 {
                remark(format!("{} of the {who} came again", amount(lane.repeated, "segment")), false);
            }
            if lane.differing > 0 {
                let count = amount(lane.differing, "segment");
                remark(format!("{count} of the {who} had other bytes than one before, which counts"), true);
            }
            if lane.astray > 0 {
                let count = amount(lane.astray, "segment");
                remark(format!("{count} of the {who} had numbers that cannot be, and are left out"), true);
            }
        }
    }
}

/// Makes what a lane tells a piece, and counts what is missing.
fn say(connection: u64, at: Time, from: Peer, told: Told<'_>, lost: &mut [(u64, u64); 2], ready: &mut VecDeque<Piece>) {
    match told {
        // Nothing is kept of a connection that was not told.
        _ if connection == 0 => {}
        Told::Bytes(bytes) => ready.extend(bytes.chunks(MAX_OCTETS).map(|bytes| Piece::Octets {
            connection,
            at,
            from,
            bytes: bytes.to_vec(),
        })),
        Told::Lost(count) => {
            let (bytes, places) = &mut lost[from.index()];
            (*bytes, *places) = (*bytes + count, *places + 1);
            ready.push_back(Piece::Lost { connection, at, from, bytes: Some(count) });
        }
    }
}
