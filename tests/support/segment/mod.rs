//! Makes captures: segments of TCP in IP in frames of any link type, in files of any spelling. The plainest way, and no
//! checksums: readers do not need them.

#![allow(dead_code)] // each test uses a part

use std::net::SocketAddr;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// The ends of most connections in these tests.
pub const CLIENT: &str = "10.0.0.1:50000";
pub const SERVER: &str = "10.0.0.2:143";

/// A segment of TCP.
pub fn tcp(from: &str, to: &str, number: u32, acknowledges: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let port = |end: &str| end.parse::<SocketAddr>().expect("an address").port().to_be_bytes();
    let mut segment = [port(from), port(to)].concat();
    segment.extend(number.to_be_bytes());
    segment.extend(acknowledges.to_be_bytes());
    segment.extend([6 << 4, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 1, 0]);
    segment.extend_from_slice(payload);
    segment
}

/// IP around it, of the family of the addresses.
pub fn ip(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let ends = [from, to].map(|end| end.parse::<SocketAddr>().expect("an address"));
    match ends {
        [SocketAddr::V4(_), SocketAddr::V4(_)] => ip4(from, to, 1, 0x4000, payload),
        _ => ip6(from, to, 6, payload),
    }
}

/// IPv4 with this number and this place of a fragment.
pub fn ip4(from: &str, to: &str, number: u16, place: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend(number.to_be_bytes());
    packet.extend(place.to_be_bytes());
    packet.extend([64, 6, 0, 0]);
    for end in [from, to] {
        let SocketAddr::V4(end) = end.parse().expect("an address") else { panic!("IPv4") };
        packet.extend(end.ip().octets());
    }
    packet.extend_from_slice(payload);
    packet
}

/// IPv6, with what comes next.
pub fn ip6(from: &str, to: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    for end in [from, to] {
        let SocketAddr::V6(end) = end.parse().expect("an address") else { panic!("IPv6") };
        packet.extend(end.ip().octets());
    }
    packet.extend_from_slice(payload);
    packet
}

/// A frame of this link type around IP.
pub fn frame(link: u16, ip: &[u8]) -> Vec<u8> {
    let kind = if ip[0] >> 4 == 4 { [0x08, 0] } else { [0x86, 0xdd] };
    let head = match link {
        1 => [&[0; 12][..], &kind].concat(),
        // With two tags of VLANs: no link type of its own, but another frame.
        1001 => [&[0; 12][..], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 7], &kind].concat(),
        0 => vec![2, 0, 0, 0],
        108 => vec![0, 0, 0, 2],
        101 => Vec::new(),
        113 => [&[0; 14][..], &kind].concat(),
        276 => [&kind[..], &[0; 18]].concat(),
        other => panic!("link type {other}"),
    };
    [&head, ip].concat()
}

/// A frame of Ethernet of this type.
pub fn ether(kind: u16, rest: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &kind.to_be_bytes(), rest].concat()
}

/// UDP in IPv4, to this port.
pub fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len() as u16;
    let head = [40_000_u16.to_be_bytes(), port.to_be_bytes(), len.to_be_bytes(), [0, 0]].concat();
    carrying(17, &[&head, payload].concat())
}

/// IPv4 between two routers, with what this protocol carries.
pub fn carrying(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = ip4("192.0.2.1:1", "192.0.2.2:1", 7, 0, payload);
    packet[9] = protocol;
    packet
}

/// How a file spells its numbers.
#[derive(Debug, Clone, Copy)]
pub struct Spelling {
    pub big: bool,
    pub nanoseconds: bool,
}

impl Spelling {
    pub const PLAIN: Spelling = Spelling { big: false, nanoseconds: true };

    fn long(self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn short(self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }
}

/// The second at which frames come, one after the other, a millisecond apart.
pub const START: u64 = 1_795_521_600;

/// A pcap of these frames.
pub fn pcap(spelling: Spelling, link: u16, frames: &[Vec<u8>]) -> Vec<u8> {
    let magic = if spelling.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut file = spelling.long(magic).to_vec();
    file.extend(spelling.short(2));
    file.extend(spelling.short(4));
    for number in [0, 0, 65_535, u32::from(link % 1000)] {
        file.extend(spelling.long(number));
    }
    for (at, frame) in frames.iter().enumerate() {
        let fraction = at as u32 * if spelling.nanoseconds { 1_000_000 } else { 1_000 };
        for number in [START as u32, fraction, frame.len() as u32, frame.len() as u32] {
            file.extend(spelling.long(number));
        }
        file.extend_from_slice(frame);
    }
    file
}

/// A pcap of packets of IP that had so many bytes on the wire.
pub fn pcap_of(frames: &[Vec<u8>], whole: &[usize]) -> Vec<u8> {
    let mut file = pcap(Spelling::PLAIN, 101, &[]);
    for (at, (frame, whole)) in frames.iter().zip(whole).enumerate() {
        for number in [START as u32, at as u32 * 1_000_000, frame.len() as u32, *whole as u32] {
            file.extend(Spelling::PLAIN.long(number));
        }
        file.extend_from_slice(frame);
    }
    file
}

/// A block of pcapng.
pub fn block(spelling: Spelling, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = spelling.long(body.len() as u32 + 12);
    [&spelling.long(kind)[..], &len, &body, &len].concat()
}

/// The head of a section, with one interface.
pub fn section(spelling: Spelling, link: u16) -> Vec<u8> {
    let mut head = spelling.long(0x1a2b_3c4d).to_vec();
    head.extend([spelling.short(1), spelling.short(0)].concat());
    head.extend([0xff; 8]);
    let mut interface = [spelling.short(link % 1000), spelling.short(0)].concat();
    interface.extend(spelling.long(0));
    if spelling.nanoseconds {
        interface.extend([spelling.short(9), spelling.short(1)].concat());
        interface.extend([9, 0, 0, 0]);
        interface.extend([0; 4]);
    }
    [block(spelling, 0x0a0d_0d0a, &head), block(spelling, 1, &interface)].concat()
}

/// A pcapng of these frames, with blocks between them that nobody knows.
pub fn pcapng(spelling: Spelling, link: u16, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = section(spelling, link);
    for (at, frame) in frames.iter().enumerate() {
        let units = if spelling.nanoseconds { 1_000_000_000 } else { 1_000_000 };
        let count = START * units + at as u64 * units / 1000;
        let mut body = Vec::new();
        for number in [0, (count >> 32) as u32, count as u32, frame.len() as u32, frame.len() as u32] {
            body.extend(spelling.long(number));
        }
        body.extend_from_slice(frame);
        file.extend(block(spelling, 6, &body));
        file.extend(block(spelling, 0x0000_0bad, &[1, 2, 3, 4, 5]));
    }
    file
}

/// The frames of a connection in which peers speak in turns: `true` for the client.
pub fn conversation(link: u16, client: &str, server: &str, turns: &[(bool, &[u8])]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut next = [1000_u32, 0xffff_fff0];
    let mut say = |by: bool, next: &[u32; 2], flags: u8, payload: &[u8]| {
        let (from, to) = if by { (client, server) } else { (server, client) };
        let (here, there) = if by { (next[0], next[1]) } else { (next[1], next[0]) };
        let acknowledges = if flags & ACK == 0 { 0 } else { there };
        let segment = tcp(from, to, here, acknowledges, flags, payload);
        frames.push(frame(link, &ip(from, to, &segment)));
    };
    say(true, &next, SYN, b"");
    next[0] = next[0].wrapping_add(1);
    say(false, &next, SYN | ACK, b"");
    next[1] = next[1].wrapping_add(1);
    say(true, &next, ACK, b"");
    for (by, payload) in turns {
        for piece in payload.chunks(1400) {
            say(*by, &next, ACK, piece);
            let at = usize::from(!*by);
            next[at] = next[at].wrapping_add(piece.len() as u32);
        }
        say(!*by, &next, ACK, b"");
    }
    for by in [true, false] {
        say(by, &next, FIN | ACK, b"");
        let at = usize::from(!by);
        next[at] = next[at].wrapping_add(1);
    }
    say(true, &next, ACK, b"");
    frames
}
