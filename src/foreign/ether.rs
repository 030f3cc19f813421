//! From a frame to the IP in it, and from IP to TCP: link types, tags, headers of extension. Knows lengths only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// So many tags or headers of extension are passed over.
const MAX_HEADERS: usize = 8;

/// The number of TCP among the protocols of IP.
const TCP: u8 = 6;

/// True for a link type that is read.
#[must_use]
pub const fn is_read(link: u16) -> bool {
    matches!(link, 0 | 1 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276)
}

/// The IP of a frame of this link type.
#[must_use]
pub fn ip(link: u16, frame: &[u8]) -> Option<&[u8]> {
    match link {
        // Ethernet, with tags of VLANs.
        1 => {
            let mut at = 12;
            for _ in 0..MAX_HEADERS {
                match (*frame.get(at)?, *frame.get(at + 1)?) {
                    (0x81, 0) | (0x88, 0xa8) | (0x91, 0) => at += 4,
                    kind => return if is_ip(kind) { frame.get(at + 2..) } else { None },
                }
            }
            None
        }
        // The loopback of BSD and macOS: a number of the system, in the order of its octets.
        0 | 108 => frame.get(4..),
        12 | 14 | 101 | 228 | 229 => Some(frame),
        // Linux's "any", of both versions.
        113 if is_ip((*frame.get(14)?, *frame.get(15)?)) => frame.get(16..),
        276 if is_ip((*frame.first()?, *frame.get(1)?)) => frame.get(20..),
        _ => None,
    }
}

const fn is_ip(kind: (u8, u8)) -> bool {
    matches!(kind, (0x08, 0) | (0x86, 0xdd))
}

/// What IP carries between two hosts.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    /// From this address.
    pub from: IpAddr,
    /// To this one.
    pub to: IpAddr,
    /// The octets that were captured; of a fragment its part.
    pub octets: &'a [u8],
    /// How many they are on the wire.
    pub whole: usize,
    /// It is a part of something larger.
    pub fragment: Option<Part>,
}

/// The place of a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// What it is a part of.
    pub number: u32,
    /// Where in it, in octets.
    pub offset: usize,
    /// More follow.
    pub more: bool,
}

/// What an IP packet carries, if that is TCP. `missing` is how many octets at the end were not captured.
#[must_use]
pub fn tcp(ip: &[u8], missing: usize) -> Option<Carried<'_>> {
    match ip.first()? >> 4 {
        4 => tcp_in_4(ip, missing),
        6 => tcp_in_6(ip, missing),
        _ => None,
    }
}

fn tcp_in_4(ip: &[u8], missing: usize) -> Option<Carried<'_>> {
    let head = usize::from(ip[0] & 15) * 4;
    if head < 20 || ip.len() < head || ip[9] != TCP {
        return None;
    }
    let total = usize::from(short(ip, 2)?);
    // Where the hardware cuts, no length is given: then it is what is there.
    let total = if total == 0 { ip.len() + missing } else { total };
    let octets = ip.get(head..total.min(ip.len()))?;
    let flags = short(ip, 6)?;
    let (offset, more) = (usize::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
    let number = u32::from(short(ip, 4)?);
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?)));
    let fragment = (offset > 0 || more).then_some(Part { number, offset, more });
    Some(Carried { from: address(12)?, to: address(16)?, octets, whole: total.checked_sub(head)?, fragment })
}

fn tcp_in_6(ip: &[u8], missing: usize) -> Option<Carried<'_>> {
    let len = usize::from(short(ip, 4)?);
    let end = if len == 0 { ip.len() + missing } else { 40 + len };
    let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?)));
    let (from, to) = (address(8)?, address(24)?);
    let (mut next, mut at, mut fragment) = (*ip.get(6)?, 40, None);
    for _ in 0..MAX_HEADERS {
        let size = match next {
            TCP => {
                let octets = ip.get(at..end.min(ip.len()))?;
                return Some(Carried { from, to, octets, whole: end.checked_sub(at)?, fragment });
            }
            0 | 43 | 60 | 135 => usize::from(*ip.get(at + 1)?) * 8 + 8,
            51 => usize::from(*ip.get(at + 1)?) * 4 + 8,
            44 => {
                let place = short(ip, at + 2)?;
                let number = u32::from_be_bytes(ip.get(at + 4..at + 8)?.try_into().ok()?);
                let part = Part { number, offset: usize::from(place & !7), more: place & 1 != 0 };
                fragment = (part.offset > 0 || part.more).then_some(part);
                8
            }
            _ => return None,
        };
        next = *ip.get(at)?;
        at += size;
    }
    None
}

fn short(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}
