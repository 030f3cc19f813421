//! From an IP packet to what it carries: lengths, headers of extension, and the places of fragments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ether::Unread;

/// Maximum number of headers of extension that are skipped.
const MAX_HEADERS: usize = 8;

/// The number of TCP among the protocols of IP.
pub const TCP: u8 = 6;

/// What IP carries between two hosts.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    /// From this address.
    pub from: IpAddr,
    /// To this one.
    pub to: IpAddr,
    /// What it is, by its number among the protocols of IP.
    pub protocol: u8,
    /// The bytes that were captured; of a fragment its part.
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
    /// Where in it, in bytes.
    pub offset: usize,
    /// More follow.
    pub more: bool,
}

/// What an IP packet carries. `missing` is how many bytes at the end were not captured.
///
/// # Errors
/// It is no IP packet, or not enough of one.
pub fn carried(ip: &[u8], missing: usize) -> Result<Carried<'_>, Unread> {
    match ip.first().ok_or(Unread::Short)? >> 4 {
        4 => in_4(ip, missing).ok_or(Unread::Short),
        6 => in_6(ip, missing).ok_or(Unread::Short),
        _ => Err(Unread::Other("something that is no IP")),
    }
}

fn in_4(ip: &[u8], missing: usize) -> Option<Carried<'_>> {
    let head = usize::from(ip.first()? & 15) * 4;
    if head < 20 || ip.len() < head {
        return None;
    }
    let total = usize::from(short(ip, 2)?);
    // Where the hardware cuts, no length is given: then it is what is there.
    let total = if total == 0 { ip.len() + missing } else { total };
    let mut octets = ip.get(head..total.min(ip.len()))?;
    let mut whole = total.checked_sub(head)?;
    let flags = short(ip, 6)?;
    let (offset, more) = (usize::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
    let number = u32::from(short(ip, 4)?);
    let fragment = (offset > 0 || more).then_some(Part { number, offset, more });
    let mut protocol = *ip.get(9)?;
    // The header of authentication comes before what it authenticates (RFC 4302 section 2).
    if protocol == 51 && fragment.is_none() {
        let size = usize::from(*octets.get(1)?) * 4 + 8;
        protocol = *octets.first()?;
        (octets, whole) = (octets.get(size..)?, whole.checked_sub(size)?);
    }
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?)));
    Some(Carried { from: address(12)?, to: address(16)?, protocol, octets, whole, fragment })
}

fn in_6(ip: &[u8], missing: usize) -> Option<Carried<'_>> {
    let len = usize::from(short(ip, 4)?);
    let end = if len == 0 { ip.len() + missing } else { 40 + len };
    let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?)));
    let (from, to) = (address(8)?, address(24)?);
    let (mut next, mut at, mut fragment) = (*ip.get(6)?, 40, None);
    for _ in 0..MAX_HEADERS {
        let size = match next {
            0 | 43 | 60 | 135 => usize::from(*ip.get(at + 1)?) * 8 + 8,
            51 => usize::from(*ip.get(at + 1)?) * 4 + 8,
            44 => {
                let place = short(ip, at + 2)?;
                let number = u32::from_be_bytes(ip.get(at + 4..at + 8)?.try_into().ok()?);
                let part = Part { number, offset: usize::from(place & !7), more: place & 1 != 0 };
                fragment = (part.offset > 0 || part.more).then_some(part);
                8
            }
            protocol => {
                let octets = ip.get(at..end.min(ip.len()))?;
                return Some(Carried { from, to, protocol, octets, whole: end.checked_sub(at)?, fragment });
            }
        };
        next = *ip.get(at)?;
        at += size;
        // What is inside a fragment but the first begins somewhere.
        if fragment.is_some_and(|part| part.offset > 0) {
            let octets = ip.get(at..end.min(ip.len()))?;
            return Some(Carried { from, to, protocol: next, octets, whole: end.checked_sub(at)?, fragment });
        }
    }
    None
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
