//! One direction of a TCP connection put back into order: what came out of order waits, in bounded room, what came twice counts
//! once, and what never came is said. Knows numbers and octets only.

use std::collections::BTreeMap;

/// So many octets may wait for those before them, with what it costs to keep them.
const MAX_WAITING: usize = 1 << 20;

/// What each part that waits costs beside its octets, roughly.
const PART: usize = 64;

/// Octets that the other side has acknowledged may come so many segments late, and are given up then.
const PATIENCE: u8 = 16;

/// Numbers that are further off are of no use: TCP has no window of that size.
const FAR: i64 = 1 << 30;

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// The next octets.
    Octets(&'a [u8]),
    /// So many octets are missing before the next ones.
    Lost(u64),
}

/// One direction.
#[derive(Debug, Default)]
pub struct Lane {
    /// The number of the next octet, counted on beyond 32 bits; once a number was seen.
    next: Option<u64>,
    /// What waits: its first number, and the octets. Apart from each other.
    parts: BTreeMap<u64, Vec<u8>>,
    waiting: usize,
    /// The number behind the last octet, if the peer ended.
    end: Option<u64>,
    /// What the other side has acknowledged, and how many segments ago it was found to be missing.
    acknowledged: u64,
    doubt: u8,
    /// Octets that are missing and were not told yet.
    lost: u64,
    /// Segments that held what had come already.
    pub repeated: u64,
    /// Of these, those that had other octets in the same place. Known only of what has waited.
    pub differing: u64,
    /// Segments with numbers that cannot be.
    pub astray: u64,
}

impl Lane {
    /// The next octet has this number, unless one is known already.
    pub fn begin(&mut self, number: u32) {
        if self.next.is_none() {
            self.next = Some((1 << 32) + u64::from(number));
        }
    }

    /// What it costs to keep what waits.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// True once all octets up to the peer's end have come.
    pub fn has_ended(&self) -> bool {
        self.end.is_some() && self.end <= self.next
    }

    /// The place of a number that is near the next one.
    fn place(&self, number: u32) -> Option<u64> {
        let next = self.next?;
        let off = i64::from(number.wrapping_sub(next as u32) as i32);
        if off.abs() > FAR { None } else { next.checked_add_signed(off) }
    }

    /// Octets with the number of the first one. `whole` is how many they were on the wire.
    pub fn put(&mut self, number: u32, octets: &[u8], whole: usize, end: bool, tell: &mut dyn FnMut(Told<'_>)) {
        self.begin(number);
        let Some(place) = self.place(number) else {
            self.astray += 1;
            return;
        };
        if end && self.end.is_none() {
            self.end = Some(place + whole as u64);
        }
        let next = self.next.unwrap_or_default();
        let old = next.saturating_sub(place);
        // One octet before the next one asks whether the other side is still there.
        if old > 0 && whole > 1 {
            self.repeated += 1;
        }
        let fresh = octets.get(usize::try_from(old).unwrap_or(usize::MAX)..).unwrap_or_default();
        if fresh.is_empty() {
            return;
        }
        let place = place.max(next);
        if place == next && self.parts.is_empty() {
            return self.deliver(fresh, tell);
        }
        self.keep(place, fresh);
        self.drain(tell);
        while self.waiting > MAX_WAITING {
            self.give_up(tell);
        }
    }

    /// The other side has got everything before this number.
    pub fn acknowledge(&mut self, number: u32) {
        self.begin(number);
        if let Some(place) = self.place(number) {
            self.acknowledged = self.acknowledged.max(place);
        }
    }

    /// Another segment of the connection was seen. What the other side has, and is not here for long, will not come.
    pub fn wait(&mut self, tell: &mut dyn FnMut(Told<'_>)) {
        // What ends a lane counts like an octet.
        let got = self.end.map_or(self.acknowledged, |end| self.acknowledged.min(end));
        let Some(next) = self.next.filter(|next| *next < got) else {
            self.doubt = 0;
            return;
        };
        self.doubt += 1;
        if self.doubt > PATIENCE {
            self.doubt = 0;
            let first = self.parts.keys().next().copied().unwrap_or(u64::MAX);
            self.lose(first.min(got).saturating_sub(next));
            self.drain(tell);
        }
    }

    /// Tells all that waits, and what is missing between. Nothing more will come.
    pub fn finish(&mut self, tell: &mut dyn FnMut(Told<'_>)) {
        while !self.parts.is_empty() {
            self.give_up(tell);
        }
        if let Some(next) = self.next {
            self.lose(self.end.unwrap_or(self.acknowledged).saturating_sub(next));
        }
        if self.lost > 0 {
            tell(Told::Lost(std::mem::take(&mut self.lost)));
        }
    }

    /// Ceases to wait for the octets before the first that wait.
    pub fn give_up(&mut self, tell: &mut dyn FnMut(Told<'_>)) {
        if let (Some((first, _)), Some(next)) = (self.parts.first_key_value(), self.next) {
            self.lose(first.saturating_sub(next));
            self.drain(tell);
        }
    }

    fn lose(&mut self, count: u64) {
        self.lost += count;
        self.next = self.next.map(|next| next + count);
    }

    fn deliver(&mut self, octets: &[u8], tell: &mut dyn FnMut(Told<'_>)) {
        if self.lost > 0 {
            tell(Told::Lost(std::mem::take(&mut self.lost)));
        }
        self.next = self.next.map(|next| next + octets.len() as u64);
        tell(Told::Octets(octets));
    }

    /// Lets octets wait. Of two in the same place the first that came stay.
    fn keep(&mut self, place: u64, octets: &[u8]) {
        let end = place + octets.len() as u64;
        let from = self.parts.range(..=place).next_back().map_or(place, |(start, _)| *start);
        let slice = |start: u64, stop: u64| &octets[(start - place) as usize..(stop - place) as usize];
        let (mut at, mut fresh, mut same) = (place, Vec::new(), true);
        let mut overlaps = false;
        for (&start, part) in self.parts.range(from..end) {
            let stop = start + part.len() as u64;
            if stop <= at {
                continue;
            }
            if at < start {
                fresh.push((at, slice(at, start).to_vec()));
            }
            let (first, last) = (start.max(place), stop.min(end));
            same &= *slice(first, last) == part[(first - start) as usize..(last - start) as usize];
            overlaps = true;
            at = stop;
        }
        if at < end {
            fresh.push((at, slice(at, end).to_vec()));
        }
        self.repeated += u64::from(overlaps);
        self.differing += u64::from(!same);
        for (start, part) in fresh {
            self.waiting += part.len() + PART;
            self.parts.insert(start, part);
        }
    }

    /// Tells what does not have to wait any more.
    fn drain(&mut self, tell: &mut dyn FnMut(Told<'_>)) {
        while let Some(entry) = self.parts.first_entry() {
            let next = self.next.unwrap_or_default();
            if *entry.key() > next {
                return;
            }
            let (start, part) = entry.remove_entry();
            self.waiting -= part.len() + PART;
            let fresh = part.get((next - start) as usize..).unwrap_or_default();
            if !fresh.is_empty() {
                self.deliver(fresh, tell);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes out, a hole of any size as `#`.
    #[derive(Default)]
    struct Heard(Vec<u8>, u64);

    impl Heard {
        fn tell(&mut self) -> impl FnMut(Told<'_>) + '_ {
            |told| match told {
                Told::Octets(octets) => self.0.extend_from_slice(octets),
                Told::Lost(count) => {
                    self.1 += count;
                    self.0.push(b'#');
                }
            }
        }
    }

    #[test]
    fn the_first_of_two_wins_and_a_hole_is_told() {
        let (mut lane, mut heard) = (Lane::default(), Heard::default());
        lane.begin(u32::MAX - 1);
        lane.put(1, b"defg", 4, false, &mut heard.tell());
        lane.put(0, b"cXe", 3, false, &mut heard.tell());
        lane.put(u32::MAX - 1, b"ab", 2, false, &mut heard.tell());
        lane.put(u32::MAX, b"b", 1, false, &mut heard.tell());
        lane.put(3, b"fghi", 4, false, &mut heard.tell());
        assert_eq!(heard.0, b"abcdefghi");
        assert_eq!((lane.repeated, lane.differing), (2, 1));
        lane.put(17, b"xyz", 3, true, &mut heard.tell());
        assert!(!lane.has_ended());
        for _ in 0..40 {
            lane.acknowledge(21);
            lane.wait(&mut heard.tell());
        }
        assert_eq!((heard.0.as_slice(), heard.1), (&b"abcdefghi#xyz"[..], 10));
        assert!(lane.has_ended());
        lane.put(0x7000_0000, b"far", 3, false, &mut heard.tell());
        assert_eq!(lane.astray, 1);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut lane, mut heard) = (Lane::default(), Heard::default());
        lane.begin(0);
        for at in 0..400_000_u32 {
            lane.put(2 * at + 1, b"x", 1, false, &mut heard.tell());
            assert!(lane.waiting() <= MAX_WAITING);
        }
        lane.finish(&mut heard.tell());
        assert_eq!(heard.1, 400_000);
        assert_eq!(heard.0.iter().filter(|&&b| b == b'x').count(), 400_000);
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same(
            octets in proptest::collection::vec(any::<u8>(), 1..300),
            first in any::<u32>(),
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), 1_usize..40), 0..60),
            order in any::<u64>(),
        ) {
            // Everything once, in pieces, and some pieces more that overlap; in a random order.
            let mut pieces: Vec<(usize, usize)> =
                (0..octets.len()).step_by(7).map(|at| (at, (at + 7).min(octets.len()))).collect();
            pieces.extend(cuts.iter().map(|(at, len)| {
                let at = at.index(octets.len());
                (at, (at + len).min(octets.len()))
            }));
            let mut random = order | 1;
            for at in (1..pieces.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                pieces.swap(at, (random >> 33) as usize % (at + 1));
            }
            let (mut lane, mut heard) = (Lane::default(), Heard::default());
            lane.begin(first);
            for (start, stop) in pieces {
                let last = stop == octets.len();
                lane.put(first.wrapping_add(start as u32), &octets[start..stop], stop - start, last, &mut heard.tell());
            }
            prop_assert!(lane.has_ended());
            prop_assert_eq!(lane.waiting(), 0);
            prop_assert_eq!(lane.differing, 0);
            prop_assert_eq!(heard.0, octets);
        }
    }
}
