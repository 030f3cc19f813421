//! Puts together what IP cut in pieces. What is never completed costs a bounded room, and is counted.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::ether::{self, Unread};
use super::ip::{self, Carried, Part, TCP};

/// So many packets may be in pieces at the same time; then the oldest is given up.
const MAX_OPEN: usize = 64;

/// A packet has so many octets and pieces at most.
const MAX_LEN: usize = 65_535;
const MAX_PARTS: usize = 1024;

/// The number of UDP among the protocols of IP.
const UDP: u8 = 17;

/// From, to, protocol and number.
type Key = (IpAddr, IpAddr, u8, u32);

/// Packets in pieces.
#[derive(Debug, Default)]
pub struct Fragments {
    open: HashMap<Key, Whole>,
    /// In the order of their beginning.
    order: VecDeque<Key>,
    /// How many were given up, but for UDP, which hardly ever is a tunnel.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Whole {
    octets: Vec<u8>,
    /// What has come, as places.
    parts: Vec<(usize, usize)>,
    len: Option<usize>,
}

/// TCP that was found: in the frame, or in what was put together.
#[derive(Debug)]
pub enum Found<'a> {
    Here(Carried<'a>),
    /// All of it; the octets of the first are a part of it.
    Whole(Carried<'a>, Vec<u8>),
}

impl Found<'_> {
    /// What IP carries.
    pub fn carried(&self) -> Carried<'_> {
        match self {
            Found::Here(carried) => *carried,
            Found::Whole(carried, whole) => Carried { octets: whole, whole: whole.len(), fragment: None, ..*carried },
        }
    }
}

impl Fragments {
    /// Opens an IP packet, and those inside it, down to TCP; `missing` is how many bytes at its end were not captured. `None` if
    /// it is a fragment of something that is not complete.
    ///
    /// # Errors
    /// There is no TCP in it that can be read, within `nested` packets.
    pub fn open<'a>(&mut self, packet: &'a [u8], missing: usize, nested: usize) -> Result<Option<Found<'a>>, Unread> {
        let carried = ip::carried(packet, missing)?;
        if !matches!(carried.protocol, TCP | 4 | 41 | UDP | 47 | 97 | 137) {
            return Err(ether::inside(carried.protocol, &[]).err().unwrap_or(Unread::Short));
        }
        let deeper = nested.checked_sub(1).ok_or(Unread::Closed("more than 4 IP packets inside each other"));
        if let Some(part) = carried.fragment {
            let Some(whole) = self.put(&carried, part) else { return Ok(None) };
            let all = Carried { octets: &[], fragment: None, ..carried };
            if carried.protocol == TCP {
                return Ok(Some(Found::Whole(all, whole)));
            }
            let inner = ether::inside(carried.protocol, &whole)?;
            let found = self.open(inner, 0, deeper?)?;
            return Ok(found.map(|found| {
                let carried = found.carried();
                Found::Whole(Carried { octets: &[], ..carried }, carried.octets.to_vec())
            }));
        }
        if carried.protocol == TCP {
            return Ok(Some(Found::Here(carried)));
        }
        let inner = ether::inside(carried.protocol, carried.octets)?;
        self.open(inner, carried.whole - carried.octets.len(), deeper?)
    }

    /// Takes one piece; gives back the whole if that completes it.
    fn put(&mut self, carried: &Carried<'_>, part: Part) -> Option<Vec<u8>> {
        let key = (carried.from, carried.to, carried.protocol, part.number);
        let counts = u64::from(carried.protocol != UDP);
        let end = part.offset + carried.octets.len();
        if carried.octets.len() < carried.whole || end > MAX_LEN {
            self.lost += counts;
            return None;
        }
        if !self.open.contains_key(&key) {
            if self.open.len() >= MAX_OPEN
                && let Some(oldest) = self.order.pop_front()
            {
                self.open.remove(&oldest);
                self.lost += u64::from(oldest.2 != UDP);
            }
            self.order.push_back(key);
        }
        let whole = self.open.entry(key).or_default();
        if whole.octets.len() < end {
            whole.octets.resize(end, 0);
        }
        // Of two that overlap, the first one wins, as in TCP here: only holes are filled.
        let mut at = part.offset;
        for &(start, stop) in whole.parts.iter().chain([&(end, end)]) {
            if at < start.min(end) {
                let range = at..start.min(end);
                whole.octets[range.clone()]
                    .copy_from_slice(&carried.octets[range.start - part.offset..range.end - part.offset]);
            }
            at = at.max(stop);
        }
        whole.parts.push((part.offset, end));
        whole.parts.sort_unstable();
        whole.parts.dedup();
        if !part.more && whole.len.is_none() {
            whole.len = Some(end);
        }
        let reached = whole
            .parts
            .iter()
            .fold(0, |reached, &(start, stop)| if start <= reached { reached.max(stop) } else { reached });
        let complete = whole.len.is_some_and(|len| reached >= len);
        if complete || whole.parts.len() > MAX_PARTS {
            self.order.retain(|other| *other != key);
            let whole = self.open.remove(&key)?;
            if !complete {
                self.lost += counts;
                return None;
            }
            let mut octets = whole.octets;
            octets.truncate(whole.len?);
            return Some(octets);
        }
        None
    }

    /// How many are still in pieces.
    pub fn unfinished(&self) -> u64 {
        self.open.keys().filter(|key| key.2 != UDP).count() as u64
    }
}
