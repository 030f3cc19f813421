//! A connection as TCP would have carried it: addresses, sequence numbers, headers with their checksums. The octets are
//! real, everything around them is made up. Knows nothing of events.

use std::net::{IpAddr, SocketAddr};

use super::block;
use crate::event::{Peer, Time};

/// A packet carries so many octets at most.
pub const MAX_PAYLOAD: usize = 16 * 1024;

/// What so many octets have not been acknowledged, they are: or they would not fit the window that the peers announce.
const UNACKNOWLEDGED: u32 = 256 * 1024;

/// The window in units of 16 KiB: a GiB.
const WINDOW: u16 = u16::MAX;
const WINDOW_SCALE: u8 = 14;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// One TCP stream.
#[derive(Debug)]
pub struct Stream {
    ends: [SocketAddr; 2],
    /// The next octet of each side, and how far the other one has acknowledged it.
    next: [u32; 2],
    acknowledged: [u32; 2],
    /// True once octets were carried.
    pub used: bool,
}

impl Stream {
    /// Opens a stream: three packets, of which the first has the comments. Both addresses must be of one family.
    pub fn open(out: &mut Vec<u8>, at: Time, ends: [SocketAddr; 2], number: u64, comments: &[String]) -> Self {
        // Any numbers do; other ones keep a port that is used again apart from the time before.
        let first = (number as u32).wrapping_mul(0x9e37_79b9);
        let next = [first, first.wrapping_add(0x4000_0000)];
        let mut stream = Stream { ends, next, acknowledged: next, used: false };
        stream.packet(out, at, Peer::Client, SYN, &[], comments);
        stream.packet(out, at, Peer::Server, SYN | ACK, &[], &[]);
        stream.packet(out, at, Peer::Client, ACK, &[], &[]);
        stream
    }

    /// Its ends, `[client, server]`.
    pub fn ends(&self) -> [SocketAddr; 2] {
        self.ends
    }

    /// Octets of a peer, in as many packets as they need; the comments are with the last one. Without octets there is none.
    pub fn send(&mut self, out: &mut Vec<u8>, at: Time, from: Peer, octets: &[u8], comments: &[String]) {
        self.used = true;
        let count = octets.len().div_ceil(MAX_PAYLOAD);
        for (index, piece) in octets.chunks(MAX_PAYLOAD).enumerate() {
            let (flags, comments) = if index + 1 == count { (PSH | ACK, comments) } else { (ACK, &[][..]) };
            self.packet(out, at, from, flags, piece, comments);
            if self.next[from.index()].wrapping_sub(self.acknowledged[from.index()]) >= UNACKNOWLEDGED {
                self.packet(out, at, from.other(), ACK, &[], &[]);
            }
        }
    }

    /// Octets of a peer that are not known: a hole, which readers of the file take for segments that were not captured.
    pub fn skip(&mut self, from: Peer, count: u64) {
        self.used = true;
        self.next[from.index()] = self.next[from.index()].wrapping_add(count as u32);
    }

    /// Both sides end, the first one with the comments.
    pub fn end(&mut self, out: &mut Vec<u8>, at: Time, first: Peer, comments: &[String]) {
        for (from, comments) in [(first, comments), (first.other(), &[])] {
            self.packet(out, at, from, FIN | ACK, &[], comments);
            self.packet(out, at, from.other(), ACK, &[], &[]);
        }
    }

    /// The peer breaks the connection off.
    pub fn reset(&mut self, out: &mut Vec<u8>, at: Time, from: Peer, comments: &[String]) {
        self.packet(out, at, from, RST | ACK, &[], comments);
    }

    fn packet(&mut self, out: &mut Vec<u8>, at: Time, from: Peer, flags: u8, payload: &[u8], comments: &[String]) {
        let (here, there) = (from.index(), from.other().index());
        let acknowledges = if flags & ACK == 0 { 0 } else { self.next[there] };
        let mut headers = Headers::default();
        headers.ip(self.ends[here].ip(), self.ends[there].ip(), if flags & SYN == 0 { 20 } else { 28 } + payload.len());
        let tcp = headers.len;
        headers.put(&self.ends[here].port().to_be_bytes());
        headers.put(&self.ends[there].port().to_be_bytes());
        headers.put(&self.next[here].to_be_bytes());
        headers.put(&acknowledges.to_be_bytes());
        headers.put(&[if flags & SYN == 0 { 5 << 4 } else { 7 << 4 }, flags]);
        headers.put(&WINDOW.to_be_bytes());
        headers.put(&[0; 4]);
        if flags & SYN != 0 {
            headers.put(&[2, 4, 0xff, 0xd7, 3, 3, WINDOW_SCALE, 0]); // segments of 65,495 octets; the scale; no more
        }
        let sum =
            checksum(headers.pseudo_sum(tcp, payload.len()) + sum(&headers.octets[tcp..headers.len]) + sum(payload));
        headers.octets[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
        block::packet(out, at, &headers.octets[..headers.len], payload, comments);
        if flags & ACK != 0 {
            self.acknowledged[there] = self.next[there];
        }
        let counted = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next[here] = self.next[here].wrapping_add(counted);
    }
}

/// The headers of a packet as they grow.
struct Headers {
    octets: [u8; 68],
    len: usize,
}

impl Default for Headers {
    fn default() -> Self {
        Headers { octets: [0; 68], len: 0 }
    }
}

impl Headers {
    fn put(&mut self, octets: &[u8]) {
        self.octets[self.len..self.len + octets.len()].copy_from_slice(octets);
        self.len += octets.len();
    }

    /// An IP header for so many octets of TCP.
    fn ip(&mut self, from: IpAddr, to: IpAddr, len: usize) {
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                self.put(&[0x45, 0]);
                self.put(&((20 + len) as u16).to_be_bytes());
                self.put(&[0, 0, 0x40, 0, 64, 6, 0, 0]); // not to be cut in pieces; 64 hops; TCP
                self.put(&from.octets());
                self.put(&to.octets());
                let sum = checksum(sum(&self.octets[..20]));
                self.octets[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            (from, to) => {
                let wide = |address: IpAddr| match address {
                    IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                    IpAddr::V6(address) => address.octets(),
                };
                self.put(&[0x60, 0, 0, 0]);
                self.put(&(len as u16).to_be_bytes());
                self.put(&[6, 64]);
                self.put(&wide(from));
                self.put(&wide(to));
            }
        }
    }

    /// The sum over what TCP's checksum covers of the IP header that ends at `tcp`.
    fn pseudo_sum(&self, tcp: usize, payload: usize) -> u64 {
        let addresses = if tcp == 20 { 12 } else { 8 };
        let options = if self.octets[tcp + 12] == 5 << 4 { 20 } else { 28 };
        sum(&self.octets[addresses..tcp]) + 6 + (options + payload) as u64
    }
}

/// The sum of all pairs of octets (RFC 1071), not folded yet.
fn sum(octets: &[u8]) -> u64 {
    let mut words = octets.chunks_exact(4);
    let whole: u64 =
        words.by_ref().map(|word| u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))).sum();
    let rest = match *words.remainder() {
        [] => 0,
        [a] => u64::from(a) << 8,
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c, ..] => u64::from(u16::from_be_bytes([a, b])) + (u64::from(c) << 8),
    };
    // Words of 32 bits sum to the same as words of 16 once the carries are folded in.
    (whole >> 32) + (whole & 0xffff_ffff) + rest
}

/// The checksum of a sum.
fn checksum(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_a_plain_loop() {
        let octets: Vec<u8> = (0..997_u32).map(|n| (n * 7 + n / 13) as u8).collect();
        for len in [0, 1, 2, 3, 4, 5, 20, 21, 996, 997] {
            let plain: u64 = octets[..len]
                .chunks(2)
                .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u64::from(b)))
                .sum();
            assert_eq!(checksum(sum(&octets[..len])), checksum(plain), "{len}");
        }
    }
}
