//! Reads a pcapng file in the plainest way, and checks all of it: lengths, paddings, options, checksums, sequence numbers. It
//! shares nothing with what writes or reads such files in the program.

#![allow(dead_code)] // each test uses a part

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// A packet of TCP over IP.
#[derive(Debug, Clone)]
pub struct Packet {
    pub at: u64,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub number: u32,
    pub acknowledges: u32,
    pub flags: u8,
    pub payload: Vec<u8>,
    pub comments: Vec<String>,
}

/// What one connection of TCP carried.
#[derive(Debug, Clone)]
pub struct Stream {
    /// `[client, server]`.
    pub ends: [SocketAddr; 2],
    /// What they said.
    pub said: [Vec<u8>; 2],
    /// Octets that are missing.
    pub missing: u64,
    /// Who ended its side, in order.
    pub ended: Vec<usize>,
    /// Somebody broke it off.
    pub reset: bool,
    pub comments: Vec<String>,
}

/// A whole file.
#[derive(Debug, Default)]
pub struct Capture {
    pub packets: Vec<Packet>,
    pub names: Vec<(IpAddr, String)>,
    pub program: String,
}

fn long(octets: &[u8]) -> u32 {
    u32::from_le_bytes(octets[..4].try_into().expect("four octets"))
}

fn short(octets: &[u8]) -> u16 {
    u16::from_le_bytes(octets[..2].try_into().expect("two octets"))
}

fn big(octets: &[u8]) -> u32 {
    u32::from_be_bytes(octets[..4].try_into().expect("four octets"))
}

/// Options up to their end; nothing may follow it.
fn options(mut octets: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while !octets.is_empty() {
        let (code, len) = (short(octets), usize::from(short(&octets[2..])));
        let padded = len.next_multiple_of(4);
        assert!(octets[4 + len..4 + padded].iter().all(|&b| b == 0), "padding is zero");
        if code == 0 {
            assert!(len == 0 && octets.len() == 4, "the end is the end");
            return found;
        }
        found.push((code, octets[4..4 + len].to_vec()));
        octets = &octets[4 + padded..];
    }
    assert!(found.is_empty(), "options have an end");
    found
}

fn folded(octets: impl Iterator<Item = u8>) -> u16 {
    let mut sum = 0_u32;
    for (at, octet) in octets.enumerate() {
        sum += u32::from(octet) << if at % 2 == 0 { 8 } else { 0 };
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn address(octets: &[u8]) -> IpAddr {
    match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).expect("four octets")),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).expect("sixteen octets")),
    }
}

fn packet(at: u64, ip: &[u8], comments: Vec<String>) -> Packet {
    let (from, to, tcp) = if ip[0] >> 4 == 4 {
        assert_eq!(folded(ip[..20].iter().copied()), 0xffff, "the checksum of the header");
        assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
        assert_eq!((ip[0], ip[9]), (0x45, 6));
        (address(&ip[12..16]), address(&ip[16..20]), &ip[20..])
    } else {
        assert_eq!((ip[0], ip[6]), (0x60, 6));
        assert_eq!(usize::from(u16::from_be_bytes([ip[4], ip[5]])) + 40, ip.len());
        (address(&ip[8..24]), address(&ip[24..40]), &ip[40..])
    };
    let addresses = if ip[0] >> 4 == 4 { &ip[12..20] } else { &ip[8..40] };
    let len = (tcp.len() as u32).to_be_bytes();
    let all = addresses.iter().chain(&len).chain(&[0, 6]).chain(tcp).copied();
    assert_eq!(folded(all), 0xffff, "the checksum of TCP");
    let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    Packet {
        at,
        from: (from, port(0)).into(),
        to: (to, port(2)).into(),
        number: big(&tcp[4..]),
        acknowledges: big(&tcp[8..]),
        flags: tcp[13],
        payload: tcp[usize::from(tcp[12] >> 4) * 4..].to_vec(),
        comments,
    }
}

/// Reads a file of one section and one interface.
pub fn read(mut file: &[u8]) -> Capture {
    let mut capture = Capture::default();
    let mut kinds = Vec::new();
    while !file.is_empty() {
        let (kind, len) = (long(file), long(&file[4..]) as usize);
        assert!(len >= 12 && len.is_multiple_of(4) && len <= file.len(), "block {kind:#x} of {len}");
        assert_eq!(long(&file[len - 4..]) as usize, len, "both lengths are the same");
        let body = &file[8..len - 4];
        match kind {
            0x0a0d_0d0a => {
                assert_eq!((long(body), short(&body[4..]), short(&body[6..])), (0x1a2b_3c4d, 1, 0));
                let options = options(&body[16..]);
                let program = options.iter().find(|(code, _)| *code == 4).expect("the program is named");
                capture.program = String::from_utf8(program.1.clone()).expect("UTF-8");
            }
            1 => {
                assert_eq!(short(body), 101, "raw IP");
                assert!(options(&body[8..]).contains(&(9, vec![9])), "nanoseconds");
            }
            4 => {
                let (kind, len) = (short(body), usize::from(short(&body[2..])));
                let split = if kind == 1 { 4 } else { 16 };
                let name = body[4 + split..4 + len].strip_suffix(b"\0").expect("it ends in NUL");
                let name = String::from_utf8(name.to_vec()).expect("UTF-8");
                capture.names.push((address(&body[4..4 + split]), name));
                assert_eq!(body[4 + len.next_multiple_of(4)..], [0; 4]);
            }
            6 => {
                assert_eq!(long(body), 0, "the one interface");
                let at = u64::from(long(&body[4..])) << 32 | u64::from(long(&body[8..]));
                let (captured, whole) = (long(&body[12..]) as usize, long(&body[16..]) as usize);
                assert_eq!(captured, whole);
                let rest = &body[20 + captured.next_multiple_of(4)..];
                let comments = options(rest)
                    .into_iter()
                    .map(|(code, value)| {
                        assert_eq!(code, 1);
                        let comment = String::from_utf8(value).expect("a comment is UTF-8");
                        assert!(!comment.chars().any(char::is_control), "a comment is escaped: {comment:?}");
                        comment
                    })
                    .collect();
                capture.packets.push(packet(at, &body[20..20 + captured], comments));
            }
            other => panic!("a block of kind {other}"),
        }
        kinds.push(kind);
        file = &file[len..];
    }
    assert!(kinds.is_empty() || kinds.starts_with(&[0x0a0d_0d0a, 1]), "{kinds:?}");
    capture
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

impl Capture {
    /// Puts the streams together, in the order of their beginning.
    pub fn streams(&self) -> Vec<Stream> {
        let mut streams: Vec<Stream> = Vec::new();
        // Of each pair of ends: the stream, what comes next and what was acknowledged, by side.
        let mut open: HashMap<[SocketAddr; 2], (usize, [Option<u32>; 2])> = HashMap::new();
        for packet in &self.packets {
            if packet.flags == SYN {
                let ends = [packet.from, packet.to];
                streams.push(Stream {
                    ends,
                    said: Default::default(),
                    missing: 0,
                    ended: Vec::new(),
                    reset: false,
                    comments: Vec::new(),
                });
                if let Some((before, _)) = open.insert(ends, (streams.len() - 1, [None; 2])) {
                    assert!(streams[before].ended.len() == 2 || streams[before].reset, "one at a time: {ends:?}");
                }
            }
            let (from, ends) = if open.contains_key(&[packet.from, packet.to]) {
                (0, [packet.from, packet.to])
            } else {
                (1, [packet.to, packet.from])
            };
            let (index, next) = open.get_mut(&ends).expect("a stream begins with SYN");
            let stream = &mut streams[*index];
            stream.comments.extend(packet.comments.iter().cloned());
            match next[from] {
                None => assert_ne!(packet.flags & SYN, 0, "a side begins with SYN"),
                Some(next) => {
                    let gap = packet.number.wrapping_sub(next);
                    assert!(gap < 1 << 31, "nothing comes twice");
                    stream.missing += u64::from(gap);
                }
            }
            if packet.flags & ACK == 0 {
                assert_eq!(packet.acknowledges, 0);
            } else {
                assert_eq!(Some(packet.acknowledges), next[1 - from], "what was sent is acknowledged");
            }
            assert!(!stream.ended.contains(&from) || packet.payload.is_empty(), "nothing behind the end");
            let counted = packet.payload.len() as u32 + u32::from(packet.flags & (SYN | FIN) != 0);
            next[from] = Some(packet.number.wrapping_add(counted));
            stream.said[from].extend_from_slice(&packet.payload);
            if packet.flags & FIN != 0 {
                stream.ended.push(from);
            }
            stream.reset |= packet.flags & RST != 0;
        }
        streams
    }
}
