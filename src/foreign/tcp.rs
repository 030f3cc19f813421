//! The connections of a capture: who is the client, which of them are of mail, and what their peers said. Their number and what
//! waits in them is bounded.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::ether::Carried;
use super::lane::{Lane, Told};
use super::{MAX_OCTETS, NAME_IT, Piece, guess};
use crate::event::{Peer, Time};
use crate::wording::amount;

/// So many connections are known at the same time; then the oldest is ended.
const MAX_CONNECTIONS: usize = 65_536;

/// So much may wait in all of them together.
const MAX_WAITING: usize = 64 << 20;

/// So many ports of unknown protocols are told.
const MAX_PORTS: usize = 8;

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
    /// Nobody has said anything yet.
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
    lanes: [Lane; 2],
    /// Who ended its side first.
    ended: Option<Peer>,
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
    /// Connections of protocols that are not known, some of their ports, and those under TLS from the start.
    strange: u64,
    ports: Vec<u16>,
    under_tls: u64,
}

impl Flows {
    /// None yet. `given` is the protocol of those that nothing else tells.
    pub fn new(given: Option<&str>) -> Self {
        Flows {
            given: given.map(str::to_owned),
            flows: HashMap::new(),
            order: VecDeque::new(),
            told: 0,
            waiting: 0,
            strange: 0,
            ports: Vec::new(),
            under_tls: 0,
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
        let Some(flow) = self.flows.get_mut(&key).filter(|flow| flow.known != Known::Passed) else { return };
        let from = if segment.from == flow.client { Peer::Client } else { Peer::Server };
        let before = flow.waiting();
        let decided = flow.known;
        if !segment.octets.is_empty() && decided == Known::Undecided {
            self.decide(key, from, segment, ready);
        }
        let Some(flow) = self.flows.get_mut(&key).filter(|flow| flow.known != Known::Passed) else { return };
        flow.take(at, from, segment, ready);
        self.waiting = self.waiting + flow.waiting() - before;
        if self.waiting > MAX_WAITING {
            let held = flow.waiting();
            flow.give_up(at, from, ready);
            self.waiting -= held - flow.waiting();
        }
        if segment.resets {
            self.end(key, at, Some(from), true, ready);
        } else if flow.lanes.iter().all(Lane::has_ended) {
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
        if self.under_tls > 0 {
            let count = amount(self.under_tls, "connection");
            remark(format!("{count} to ports of TLS cannot be read; relay them with imapscope to see what is inside"));
        }
        if self.strange > 0 {
            let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
            let more = if self.ports.len() == MAX_PORTS { ", …" } else { "" };
            let (count, ports) = (amount(self.strange, "connection"), ports.join(", "));
            remark(format!("{count} of no protocol that is recognised (to port {ports}{more}): {NAME_IT}"));
        }
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
        let is_server = |end: SocketAddr| guess::of_port(end.port(), false).is_some() || guess::is_tls(end.port());
        let says = |peer: Peer| guess::of_line(peer, segment.octets).is_some();
        let server_speaks = match segment.begins {
            true => segment.acknowledges.is_some(),
            false if is_server(to) => false,
            false => is_server(from) || says(Peer::Server) || !says(Peer::Client) && from.port() < to.port(),
        };
        let (client, server) = if server_speaks { (to, from) } else { (from, to) };
        let begun = (segment.begins && !server_speaks).then_some(segment.number);
        let mut flow = Flow {
            known: Known::Undecided,
            client,
            server,
            at,
            begun,
            middle: !segment.begins,
            lanes: Default::default(),
            ended: None,
        };
        if guess::is_tls(server.port()) {
            self.under_tls += 1;
            flow.known = Known::Passed;
        } else if let Some(protocol) = guess::of_port(server.port(), segment.begins) {
            self.tell(&mut flow, Some(protocol), ready);
        }
        self.flows.insert(key, flow);
    }

    /// The first octets of a connection are here: they tell the protocol, or nothing does.
    fn decide(
        &mut self,
        key: (SocketAddr, SocketAddr),
        from: Peer,
        segment: &Segment<'_>,
        ready: &mut VecDeque<Piece>,
    ) {
        let Some(mut flow) = self.flows.remove(&key) else { return };
        let protocol = guess::of_line(from, segment.octets).map(str::to_owned).or_else(|| self.given.clone());
        if protocol.is_some() {
            self.tell(&mut flow, protocol.as_deref(), ready);
        } else {
            self.strange += 1;
            let port = flow.server.port();
            if self.ports.len() < MAX_PORTS && !self.ports.contains(&port) {
                self.ports.push(port);
            }
            flow.known = Known::Passed;
            flow.lanes = Default::default();
        }
        self.flows.insert(key, flow);
    }

    fn tell(&mut self, flow: &mut Flow, protocol: Option<&str>, ready: &mut VecDeque<Piece>) {
        self.told += 1;
        flow.known = Known::Told(self.told);
        ready.push_back(Piece::Opened {
            connection: self.told,
            at: flow.at,
            protocol: protocol.map(str::to_owned),
            client: flow.client.to_string(),
            server: flow.server.to_string(),
            inside: false,
        });
        if flow.middle {
            let text = "the beginning of the connection is not in the capture".to_owned();
            ready.push_back(Piece::Lost { connection: self.told, at: flow.at, from: Peer::Client, bytes: None });
            ready.push_back(Piece::Remark { connection: Some(self.told), at: flow.at, text, damage: true });
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
        let Some(flow) = self.flows.get_mut(&key) else { return };
        self.waiting -= flow.waiting();
        if let Known::Told(connection) = flow.known {
            flow.finish(connection, at, ready);
            ready.push_back(Piece::Closed { connection, at, by, reset });
        }
        flow.known = Known::Passed;
        flow.lanes = Default::default();
    }
}

impl Flow {
    fn waiting(&self) -> usize {
        self.lanes.iter().map(Lane::waiting).sum()
    }

    fn take(&mut self, at: Time, from: Peer, segment: &Segment<'_>, ready: &mut VecDeque<Piece>) {
        let number = self.number();
        if let Some(acknowledged) = segment.acknowledges
            && !segment.resets
        {
            self.lanes[from.other().index()].acknowledge(acknowledged);
        }
        let first = segment.number.wrapping_add(u32::from(segment.begins));
        let lane = &mut self.lanes[from.index()];
        if segment.begins {
            lane.begin(first);
        }
        // What comes with a reset is a reason at best, and no octets of the connection.
        if !segment.resets && (segment.whole > 0 || segment.ends) {
            let mut tell = |told: Told<'_>| say(number, at, from, told, ready);
            lane.put(first, segment.octets, segment.whole, segment.ends, &mut tell);
            if segment.ends {
                self.ended.get_or_insert(from);
            }
        }
        for peer in [Peer::Client, Peer::Server] {
            self.lanes[peer.index()].wait(&mut |told| say(number, at, peer, told, ready));
        }
    }

    /// Ceases to wait for what is missing.
    fn give_up(&mut self, at: Time, from: Peer, ready: &mut VecDeque<Piece>) {
        let number = self.number();
        let lane = &mut self.lanes[from.index()];
        while lane.waiting() > 0 {
            lane.give_up(&mut |told| say(number, at, from, told, ready));
        }
    }

    fn number(&self) -> u64 {
        match self.known {
            Known::Told(number) => number,
            Known::Undecided | Known::Passed => 0,
        }
    }

    fn finish(&mut self, connection: u64, at: Time, ready: &mut VecDeque<Piece>) {
        for peer in [Peer::Client, Peer::Server] {
            let lane = &mut self.lanes[peer.index()];
            lane.finish(&mut |told| say(connection, at, peer, told, ready));
            let mut remark =
                |text| ready.push_back(Piece::Remark { connection: Some(connection), at, text, damage: true });
            let who = peer.word();
            if lane.repeated > 0 {
                remark(format!("{} of the {who} came again", amount(lane.repeated, "segment")));
            }
            if lane.differing > 0 {
                let count = amount(lane.differing, "segment");
                remark(format!("{count} of the {who} had other octets than one before, which counts"));
            }
            if lane.astray > 0 {
                let count = amount(lane.astray, "segment");
                remark(format!("{count} of the {who} had numbers that cannot be, and are left out"));
            }
        }
    }
}

/// Makes what a lane tells a piece.
fn say(connection: u64, at: Time, from: Peer, told: Told<'_>, ready: &mut VecDeque<Piece>) {
    match told {
        // Nothing is kept of a connection that was not told.
        _ if connection == 0 => {}
        Told::Octets(octets) => ready.extend(octets.chunks(MAX_OCTETS).map(|bytes| Piece::Octets {
            connection,
            at,
            from,
            bytes: bytes.to_vec(),
        })),
        Told::Lost(count) => {
            ready.push_back(Piece::Lost { connection, at, from, bytes: Some(count) });
            let text = format!("{} of the {} are not in the capture", amount(count, "octet"), from.word());
            ready.push_back(Piece::Remark { connection: Some(connection), at, text, damage: true });
        }
    }
}
