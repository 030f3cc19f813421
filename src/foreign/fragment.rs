//! Puts together what IP cut in pieces. What is never completed costs a bounded room, and is counted.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::ether::{Carried, Part};

/// So many packets may be in pieces at the same time; then the oldest is given up.
const MAX_OPEN: usize = 64;

/// A packet has so many octets and pieces at most.
const MAX_LEN: usize = 65_535;
const MAX_PARTS: usize = 1024;

type Key = (IpAddr, IpAddr, u32);

/// Packets in pieces.
#[derive(Debug, Default)]
pub struct Fragments {
    open: HashMap<Key, Whole>,
    /// In the order of their beginning.
    order: VecDeque<Key>,
    /// How many were given up.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Whole {
    octets: Vec<u8>,
    /// What has come, as places.
    parts: Vec<(usize, usize)>,
    len: Option<usize>,
}

impl Fragments {
    /// Takes one piece; gives back the whole if that completes it.
    pub fn put(&mut self, carried: &Carried<'_>, part: Part) -> Option<Vec<u8>> {
        let key = (carried.from, carried.to, part.number);
        let end = part.offset + carried.octets.len();
        if carried.octets.len() < carried.whole || end > MAX_LEN {
            self.lost += 1;
            return None;
        }
        if !self.open.contains_key(&key) {
            if self.open.len() >= MAX_OPEN
                && let Some(oldest) = self.order.pop_front()
            {
                self.open.remove(&oldest);
                self.lost += 1;
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
                self.lost += 1;
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
        self.open.len() as u64
    }
}
