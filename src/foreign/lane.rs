//! Both directions of a TCP connection put back into order: a byte that came out of order waits for those before it, and for
//! what its sender had acknowledged by then; what came twice counts once, and what never came is reported where it is missing.
//! Bounded. Knows numbers, bytes and times only.

use std::collections::BTreeMap;

use crate::event::{Peer, Time};

/// Maximum number of bytes of one connection that wait for others, including what it costs to keep them.
const MAX_WAITING: usize = 1 << 20;

/// What each part that waits costs beside its bytes, roughly.
const PART: usize = 96;

/// Segments for which acknowledged bytes may come late: they are given up after this many, and before twice as many.
const PATIENCE: u8 = 16;

/// Numbers that are further off are of no use: TCP has no window of that size.
const FAR: i64 = 1 << 30;

const PEERS: [Peer; 2] = [Peer::Client, Peer::Server];

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// This many bytes are missing before the next ones.
    Lost(u64),
}

/// Hears what a peer said or what is missing of it, and when.
pub type Tell<'a> = dyn FnMut(Peer, Time, Told<'_>) + 'a;

/// A segment, as far as it concerns the order of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The number of its first byte.
    pub number: u32,
    /// The number of the byte that its sender expects next.
    pub acknowledges: Option<u32>,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// How many they were on the wire.
    pub whole: usize,
    /// Its sender sends no more.
    pub ends: bool,
}

/// Both directions.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: [Lane; 2],
    /// Nothing comes out yet.
    pub held: bool,
    /// Segments since the last time that [`Lane::settled`] was moved on.
    segments: u8,
    /// The time of what came out last, and of the last segment.
    told: Time,
    last: Time,
}

impl Lanes {
    /// One direction.
    pub const fn lane(&self, peer: Peer) -> &Lane {
        &self.lanes[peer.index()]
    }

    /// The next byte of a peer has this number, unless one is known already.
    pub fn begin(&mut self, from: Peer, number: u32) {
        self.lanes[from.index()].begin(number);
    }

    /// What it costs to keep what waits.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting).sum()
    }

    /// Returns true if bytes of a peer are known to have been sent and have not come out.
    pub fn are_behind(&self) -> bool {
        self.lanes.iter().any(Lane::is_behind)
    }

    /// Returns true once all bytes of both peers up to their ends have come out.
    pub fn have_ended(&self) -> bool {
        self.lanes.iter().all(Lane::has_ended)
    }

    /// Takes a segment.
    pub fn put(&mut self, at: Time, from: Peer, piece: &Piece<'_>, tell: &mut Tell<'_>) {
        let other = &mut self.lanes[from.other().index()];
        let needs = piece.acknowledges.and_then(|number| other.acknowledge(number)).unwrap_or(0);
        let met = other.is_beyond(needs);
        let lane = &mut self.lanes[from.index()];
        let carries = piece.whole > 0 || piece.ends;
        if let Some((place, fresh)) = if carries { lane.place_of(piece) } else { None } {
            if Some(place) == lane.next && lane.parts.is_empty() && met && !self.held {
                lane.pass(fresh.len());
                self.told = self.told.max(at);
                tell(from, self.told, Told::Bytes(fresh));
            } else {
                lane.keep(place, fresh, at, needs);
            }
        }
        self.last = self.last.max(at);
        self.segments += 1;
        if self.segments >= PATIENCE {
            self.segments = 0;
            for lane in &mut self.lanes {
                (lane.settled, lane.recent) = (lane.recent, lane.acknowledged);
            }
        }
        self.settle(MAX_WAITING, tell);
    }

    /// Lets out what need not wait any more, and as much more that no more than `most` waits.
    pub fn settle(&mut self, most: usize, tell: &mut Tell<'_>) {
        while !self.held && self.lanes.iter().any(|lane| !lane.parts.is_empty()) {
            let forced = self.waiting() > most;
            let delivered = PEERS.map(|peer| self.deliver(peer, tell)).contains(&true);
            if !delivered && !PEERS.iter().any(|&peer| self.give_up(peer, forced, tell)) && !self.untie() {
                return;
            }
        }
    }

    /// Lets out all that waits, and says what else is missing. Nothing more will come.
    pub fn finish(&mut self, tell: &mut Tell<'_>) {
        self.held = false;
        self.settle(0, tell);
        for peer in PEERS {
            let lane = &mut self.lanes[peer.index()];
            let Some(next) = lane.next else { continue };
            // The end of a lane has a number, too: one more than was seen may be that.
            let last = if lane.acknowledged > next + 1 { lane.acknowledged.max(lane.seen) } else { lane.seen };
            let missing = lane.end.unwrap_or(last).saturating_sub(next);
            if missing > 0 {
                lane.next = Some(next + missing);
                self.told = self.told.max(self.last);
                tell(peer, self.told, Told::Lost(missing));
            }
        }
    }

    /// Lets out the parts of a lane that wait for nothing. Returns false if there are none.
    fn deliver(&mut self, from: Peer, tell: &mut Tell<'_>) -> bool {
        let mut any = false;
        while let Some(part) = self.first(from).filter(|part| self.lanes[from.other().index()].is_beyond(part.needs)) {
            self.told = self.told.max(part.at);
            any = true;
            if let Some(bytes) = self.lanes[from.index()].take_first() {
                tell(from, self.told, Told::Bytes(&bytes));
            }
        }
        any
    }

    /// The first part of a lane, if it comes next in it.
    fn first(&self, from: Peer) -> Option<&Part> {
        let lane = &self.lanes[from.index()];
        lane.parts.first_key_value().filter(|(start, _)| Some(**start) == lane.next).map(|(_, part)| part)
    }

    /// Gives up the next bytes of a lane, if something waits for them and they will not come any more, or `forced`.
    fn give_up(&mut self, from: Peer, forced: bool, tell: &mut Tell<'_>) -> bool {
        let lane = &self.lanes[from.index()];
        let Some(next) = lane.next.filter(|_| self.first(from).is_none()) else { return false };
        let behind = lane.parts.first_key_value().map(|(start, part)| (*start, part.at));
        let held = self.first(from.other()).map(|part| (part.needs, part.at));
        let wanted = [behind, held].into_iter().flatten().filter(|(place, _)| *place > next).min();
        let Some((place, at)) = wanted.filter(|(place, _)| forced || *place <= lane.settled) else { return false };
        self.told = self.told.max(at);
        self.lanes[from.index()].next = Some(place);
        tell(from, self.told, Told::Lost(place - next));
        true
    }

    /// Lets a part go that waits for one which waits for it: these acknowledgements contradict each other.
    fn untie(&mut self) -> bool {
        let [Some(client), Some(server)] = PEERS.map(|peer| self.first(peer)) else { return false };
        let peer = if client.at <= server.at { Peer::Client } else { Peer::Server };
        if let Some(mut part) = self.lanes[peer.index()].parts.first_entry() {
            part.get_mut().needs = 0;
        }
        true
    }
}

/// Bytes that wait.
#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    /// When they came.
    at: Time,
    /// The number of the other lane's byte before which they were not said.
    needs: u64,
}

/// One direction.
#[derive(Debug, Default)]
pub struct Lane {
    /// The number of the next byte to come out, counted on beyond 32 bits; once a number was seen.
    next: Option<u64>,
    /// What waits, by its first number. Apart from each other.
    parts: BTreeMap<u64, Part>,
    waiting: usize,
    /// The number after the last byte, if the peer ended.
    end: Option<u64>,
    /// The number after the last byte that was seen on the wire.
    seen: u64,
    /// The number of the byte that the other side expects next; what that was some segments ago; and before these, after which
    /// what is missing will not come any more.
    acknowledged: u64,
    recent: u64,
    settled: u64,
    /// Segments that held what had come already.
    pub repeated: u64,
    /// Of these, those that had other bytes in the same place. Known only of what has waited.
    pub differing: u64,
    /// Segments with numbers that cannot be.
    pub astray: u64,
}

impl Lane {
    fn begin(&mut self, number: u32) {
        if self.next.is_none() {
            self.next = Some((1 << 32) + u64::from(number));
        }
    }

    /// Returns true if a number of it was seen.
    pub const fn is_known(&self) -> bool {
        self.next.is_some()
    }

    /// Returns true once all bytes up to the peer's end have come out.
    fn has_ended(&self) -> bool {
        self.end.is_some() && self.end <= self.next
    }

    /// Returns true if all bytes before this number have come out; the number after a lane's end counts as that of its end.
    fn is_beyond(&self, place: u64) -> bool {
        self.next.is_none_or(|next| place <= next) || self.has_ended()
    }

    /// Returns true if bytes of it are known to have been sent and have not come out; a number more than was seen may be that of
    /// its end.
    fn is_behind(&self) -> bool {
        self.next.is_some_and(|next| !self.parts.is_empty() || self.seen > next || self.acknowledged > next + 1)
    }

    /// The place of a number that is near the next one.
    fn place(&self, number: u32) -> Option<u64> {
        let next = self.next?;
        let off = i64::from(number.wrapping_sub(next as u32) as i32);
        if off.abs() > FAR { None } else { next.checked_add_signed(off) }
    }

    /// The other side has all bytes before this number. Returns the place.
    fn acknowledge(&mut self, number: u32) -> Option<u64> {
        self.begin(number);
        let place = self.place(number)?;
        self.acknowledged = self.acknowledged.max(place);
        Some(place)
    }

    /// Returns the bytes of a segment that have not come out, if there are any, and their place.
    fn place_of<'a>(&mut self, piece: &Piece<'a>) -> Option<(u64, &'a [u8])> {
        self.begin(piece.number);
        let next = self.next?;
        let Some(place) = self.place(piece.number) else {
            self.astray += 1;
            return None;
        };
        let end = place + piece.whole as u64;
        self.seen = self.seen.max(end);
        if piece.ends && self.end.is_none() {
            self.end = Some(end);
        }
        let old = next.saturating_sub(place);
        // A byte before the next one asks whether the other side is still there.
        if old > 0 && piece.whole > 1 {
            self.repeated += 1;
        }
        let fresh = piece.bytes.get(usize::try_from(old).unwrap_or(usize::MAX)..).unwrap_or_default();
        (!fresh.is_empty()).then(|| (place.max(next), fresh))
    }

    fn pass(&mut self, count: usize) {
        self.next = self.next.map(|next| next + count as u64);
    }

    /// Takes out the first part, which comes next.
    fn take_first(&mut self) -> Option<Vec<u8>> {
        let (_, part) = self.parts.pop_first()?;
        self.waiting -= part.bytes.len() + PART;
        self.pass(part.bytes.len());
        Some(part.bytes)
    }

    /// Lets bytes wait. Of two in the same place the first that came stay.
    fn keep(&mut self, place: u64, bytes: &[u8], at: Time, needs: u64) {
        let end = place + bytes.len() as u64;
        let from = self.parts.range(..=place).next_back().map_or(place, |(start, _)| *start);
        let slice = |start: u64, stop: u64| &bytes[(start - place) as usize..(stop - place) as usize];
        let (mut behind, mut fresh, mut same) = (place, Vec::new(), true);
        let mut overlaps = false;
        for (&start, part) in self.parts.range(from..end) {
            let stop = start + part.bytes.len() as u64;
            if stop <= behind {
                continue;
            }
            if behind < start {
                fresh.push((behind, slice(behind, start).to_vec()));
            }
            let (first, last) = (start.max(place), stop.min(end));
            same &= *slice(first, last) == part.bytes[(first - start) as usize..(last - start) as usize];
            overlaps = true;
            behind = stop;
        }
        if behind < end {
            fresh.push((behind, slice(behind, end).to_vec()));
        }
        self.repeated += u64::from(overlaps);
        self.differing += u64::from(!same);
        for (start, bytes) in fresh {
            self.waiting += bytes.len() + PART;
            self.parts.insert(start, Part { bytes, at, needs });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes out, one letter a byte, a hole of any size as `#`; the server's in brackets.
    #[derive(Default)]
    struct Heard(Vec<u8>, u64, Vec<u64>);

    impl Heard {
        fn tell(&mut self) -> impl FnMut(Peer, Time, Told<'_>) + '_ {
            |from, at, told| {
                let server = from == Peer::Server;
                self.0.extend_from_slice(if server { b"[" } else { b"" });
                match told {
                    Told::Bytes(bytes) => self.0.extend_from_slice(bytes),
                    Told::Lost(count) => {
                        self.1 += count;
                        self.0.push(b'#');
                    }
                }
                self.0.extend_from_slice(if server { b"]" } else { b"" });
                self.2.push(at.0);
            }
        }

        fn text(&self) -> &str {
            std::str::from_utf8(&self.0).expect("letters")
        }
    }

    /// A client's segment that acknowledges nothing.
    fn piece(number: u32, bytes: &[u8]) -> Piece<'_> {
        Piece { number, acknowledges: None, bytes, whole: bytes.len(), ends: false }
    }

    #[test]
    fn the_first_of_two_wins_and_a_hole_is_told() {
        let (mut lanes, mut heard) = (Lanes::default(), Heard::default());
        lanes.begin(Peer::Client, u32::MAX - 1);
        for (number, bytes) in [(1, &b"defg"[..]), (0, b"cXe"), (u32::MAX - 1, b"ab"), (u32::MAX, b"b"), (3, b"fghi")] {
            lanes.put(Time(1), Peer::Client, &piece(number, bytes), &mut heard.tell());
        }
        assert_eq!(heard.text(), "abcdefghi");
        assert_eq!((lanes.lane(Peer::Client).repeated, lanes.lane(Peer::Client).differing), (2, 1));
        lanes.put(Time(1), Peer::Client, &Piece { ends: true, ..piece(17, b"xyz") }, &mut heard.tell());
        let ack = Piece { acknowledges: Some(21), ..piece(1, b"") };
        for _ in 0..PATIENCE {
            assert_eq!(heard.text(), "abcdefghi");
            lanes.put(Time(1), Peer::Server, &ack, &mut heard.tell());
        }
        for _ in 0..PATIENCE {
            lanes.put(Time(1), Peer::Server, &ack, &mut heard.tell());
        }
        assert_eq!((heard.text(), heard.1), ("abcdefghi#xyz", 10));
        assert!(lanes.lane(Peer::Client).has_ended());
        lanes.put(Time(1), Peer::Client, &piece(0x7000_0000, b"far"), &mut heard.tell());
        assert_eq!(lanes.lane(Peer::Client).astray, 1);
    }

    /// A conversation of single letters: capitals are the server's. Each acknowledges all before it.
    fn converse(text: &str, drop: &[usize], order: impl Fn(&mut Vec<usize>)) -> Heard {
        let (mut lanes, mut heard) = (Lanes::default(), Heard::default());
        lanes.begin(Peer::Client, 0);
        lanes.begin(Peer::Server, 0);
        let mut kept: Vec<usize> = (0..text.len()).filter(|at| !drop.contains(at)).collect();
        order(&mut kept);
        for at in kept {
            let letter = &text.as_bytes()[at..=at];
            let before = &text.as_bytes()[..at];
            let servers = before.iter().filter(|letter| letter.is_ascii_uppercase()).count() as u32;
            let (from, mine, theirs) = match letter[0].is_ascii_uppercase() {
                true => (Peer::Server, servers, at as u32 - servers),
                false => (Peer::Client, at as u32 - servers, servers),
            };
            let piece = Piece { acknowledges: Some(theirs), ..piece(mine, letter) };
            lanes.put(Time(at as u64), from, &piece, &mut heard.tell());
        }
        lanes.finish(&mut heard.tell());
        assert_eq!(lanes.waiting(), 0);
        heard
    }

    #[test]
    fn what_is_missing_is_told_at_its_place() {
        let talk = "aBcDeFgH".repeat(12);
        let shown = |text: &str| -> String {
            text.chars().map(|c| if c.is_ascii_uppercase() { format!("[{c}]") } else { c.to_string() }).collect()
        };
        for at in 0..talk.len() - 1 {
            let heard = converse(&talk, &[at], |_| ());
            let hole = if talk.as_bytes()[at].is_ascii_uppercase() { "[#]" } else { "#" };
            assert_eq!(heard.text(), format!("{}{hole}{}", shown(&talk[..at]), shown(&talk[at + 1..])), "{at}");
            assert!(heard.2.is_sorted(), "times go on");
        }
        // One side alone.
        let servers: Vec<usize> = (0..talk.len()).filter(|at| at % 2 == 1).collect();
        let heard = converse(&talk, &servers[..servers.len() - 1], |_| ());
        assert!(heard.2.is_sorted());
        assert_eq!(heard.text(), format!("{}g[H]", "a[#]c[#]e[#]g[#]".repeat(11) + "a[#]c[#]e[#]"));
        // Nothing is missing; what was captured out of order is not what was said out of order.
        let heard = converse(&talk, &[], |order| order.chunks_mut(5).for_each(<[usize]>::reverse));
        assert_eq!(heard.text(), shown(&talk));
    }

    #[test]
    fn acknowledgements_that_contradict_each_other_hold_nothing_up() {
        let (mut lanes, mut heard) = (Lanes::default(), Heard::default());
        lanes.begin(Peer::Client, 0);
        lanes.begin(Peer::Server, 0);
        lanes.put(Time(1), Peer::Client, &Piece { acknowledges: Some(1), ..piece(0, b"a") }, &mut heard.tell());
        lanes.put(Time(2), Peer::Server, &Piece { acknowledges: Some(1), ..piece(0, b"B") }, &mut heard.tell());
        assert_eq!(heard.text(), "a[B]");
        // The end of a lane has a number that is acknowledged, and is no byte.
        lanes.put(Time(3), Peer::Client, &Piece { ends: true, ..piece(1, b"") }, &mut heard.tell());
        lanes.put(Time(3), Peer::Server, &Piece { acknowledges: Some(2), ..piece(1, b"C") }, &mut heard.tell());
        assert_eq!(heard.text(), "a[B][C]");
        lanes.finish(&mut heard.tell());
        assert_eq!(heard.1, 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut lanes, mut heard) = (Lanes::default(), Heard::default());
        lanes.begin(Peer::Client, 0);
        for at in 0..400_000_u32 {
            lanes.put(Time(1), Peer::Client, &piece(2 * at + 1, b"x"), &mut heard.tell());
            assert!(lanes.waiting() <= MAX_WAITING);
        }
        lanes.finish(&mut heard.tell());
        assert_eq!(heard.1, 400_000);
        assert_eq!(heard.0.iter().filter(|&&b| b == b'x').count(), 400_000);
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 1..300),
            first in any::<u32>(),
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), 1_usize..40), 0..60),
            order in any::<u64>(),
        ) {
            // Everything once, in pieces, and some pieces more that overlap; in a random order.
            let mut pieces: Vec<(usize, usize)> =
                (0..bytes.len()).step_by(7).map(|at| (at, (at + 7).min(bytes.len()))).collect();
            pieces.extend(cuts.iter().map(|(at, len)| {
                let at = at.index(bytes.len());
                (at, (at + len).min(bytes.len()))
            }));
            let mut random = order | 1;
            for at in (1..pieces.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                pieces.swap(at, (random >> 33) as usize % (at + 1));
            }
            let (mut lanes, mut heard) = (Lanes::default(), Heard::default());
            lanes.begin(Peer::Client, first);
            for (start, stop) in pieces {
                let piece = Piece { ends: stop == bytes.len(), ..piece(first.wrapping_add(start as u32), &bytes[start..stop]) };
                lanes.put(Time(1), Peer::Client, &piece, &mut heard.tell());
            }
            let lane = lanes.lane(Peer::Client);
            prop_assert!(lane.has_ended());
            prop_assert_eq!((lane.waiting, lane.differing), (0, 0));
            prop_assert_eq!(heard.0, bytes);
        }

        #[test]
        fn any_numbers_are_survived(
            pieces in proptest::collection::vec((any::<bool>(), 0_u32..40, 0_u32..40, 0_usize..9, any::<bool>()), 0..200),
        ) {
            let (mut lanes, mut heard) = (Lanes::default(), Heard::default());
            for (client, number, acknowledged, len, ends) in pieces {
                let from = if client { Peer::Client } else { Peer::Server };
                let piece = Piece { acknowledges: Some(acknowledged), ends, ..piece(number, &b"abcdefghi"[..len]) };
                lanes.put(Time(1), from, &piece, &mut heard.tell());
            }
            lanes.finish(&mut heard.tell());
            prop_assert_eq!(lanes.waiting(), 0);
        }
    }
}
