//! The frames of a capture, out of pcap in its four spellings and of pcapng (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).
//! Knows where a frame begins and when it came, and nothing of what is in it. No length that a file announces is believed.

use std::io::{self, BufRead};

use crate::event::Time;

/// A frame that is said to be longer is damage. Linux's loopback with segmentation left to hardware has up to 64 KiB.
const MAX_FRAME: usize = 1 << 20;

/// A pcapng section may have so many interfaces.
const MAX_INTERFACES: usize = 10_000;

/// So much is read at once.
const CHUNK: usize = 256 * 1024;

/// One frame; its octets are in the reader.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// When it came.
    pub at: Time,
    /// The link type, by its registered number.
    pub link: u16,
    /// Its octets, in [`Frames::octets`].
    start: usize,
    len: usize,
    /// How many it had on the wire.
    pub whole: usize,
}

/// True if a file that begins so is a pcap.
#[must_use]
pub fn is_pcap(first: &[u8]) -> bool {
    spelling(first).is_some()
}

/// Whether numbers have their high octet first, and whether times are in nanoseconds.
fn spelling(first: &[u8]) -> Option<(bool, bool)> {
    match first.get(..4)? {
        [0xa1, 0xb2, 0xc3, 0xd4] => Some((true, false)),
        [0xd4, 0xc3, 0xb2, 0xa1] => Some((false, false)),
        [0xa1, 0xb2, 0x3c, 0x4d] => Some((true, true)),
        [0x4d, 0x3c, 0xb2, 0xa1] => Some((false, true)),
        _ => None,
    }
}

/// What a section of pcapng, or a pcap, says of an interface.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u16,
    snap: u32,
    /// Units of time in a second.
    units: u64,
    /// Seconds to be added to each time.
    offset: i64,
}

/// Reads frames.
#[derive(Debug)]
pub struct Frames<R> {
    input: R,
    /// What was read and is not taken yet: `buffer[start..]`; `taken` octets of the file came before `buffer[start]`.
    buffer: Vec<u8>,
    start: usize,
    taken: u64,
    /// High octet first.
    big: bool,
    pcapng: bool,
    interfaces: Vec<Interface>,
    /// The time of the frame before, for those that have none.
    last: Time,
}

/// Why no frame comes.
#[derive(Debug)]
pub enum End {
    /// The file is over.
    Over,
    /// At this octet is what cannot be read, and so nothing behind it.
    Damage(u64, String),
}

impl<R: BufRead> Frames<R> {
    /// Reads the file's head.
    ///
    /// # Errors
    /// It has none that can be read.
    pub fn begin(input: R) -> Result<Self, End> {
        let mut frames = Frames {
            input,
            buffer: Vec::new(),
            start: 0,
            taken: 0,
            big: false,
            pcapng: false,
            interfaces: Vec::new(),
            last: Time(0),
        };
        if !frames.fill(4)? {
            return Err(frames.damage("the file has no head"));
        }
        match spelling(&frames.buffer) {
            None => frames.pcapng = true,
            Some((big, nanoseconds)) => {
                if !frames.fill(24)? {
                    return Err(frames.damage("the file ends within its head"));
                }
                frames.big = big;
                // The higher bits of the link type say how long a checksum behind each frame is.
                let (link, snap) = (frames.number(20) as u16, frames.number(16));
                let units = if nanoseconds { 1_000_000_000 } else { 1_000_000 };
                frames.interfaces.push(Interface { link, snap, units, offset: 0 });
                frames.take(24);
            }
        }
        Ok(frames)
    }

    /// The octets of the frame that came last.
    pub fn octets(&self, frame: Frame) -> &[u8] {
        self.buffer.get(frame.start..frame.start + frame.len).unwrap_or_default()
    }

    /// The place in the file, in octets.
    pub fn place(&self) -> u64 {
        self.taken
    }

    /// The next frame.
    ///
    /// # Errors
    /// There is none.
    pub fn next(&mut self) -> Result<Frame, End> {
        if !self.pcapng {
            return self.record();
        }
        loop {
            if let Some(frame) = self.block()? {
                return Ok(frame);
            }
        }
    }

    /// A record of a pcap.
    fn record(&mut self) -> Result<Frame, End> {
        if !self.fill(16)? {
            return Err(if self.rest() == 0 {
                End::Over
            } else {
                self.damage("the file ends within the head of a frame")
            });
        }
        let (seconds, fraction) = (u64::from(self.number(0)), u64::from(self.number(4)));
        let (len, whole) = (self.number(8) as usize, self.number(12) as usize);
        if len > MAX_FRAME {
            return Err(self.damage(&format!("a frame is said to have {len} octets")));
        }
        if !self.fill(16 + len)? {
            return Err(self.damage("the file ends within a frame"));
        }
        let Some(&Interface { link, units, .. }) = self.interfaces.first() else { return Err(End::Over) };
        let at =
            Time(seconds.saturating_mul(1_000_000_000).saturating_add(fraction.saturating_mul(1_000_000_000 / units)));
        let start = self.start + 16;
        self.take(16 + len);
        Ok(Frame { at, link, start, len, whole: whole.max(len) })
    }

    /// A block of pcapng: a frame, if it is one.
    fn block(&mut self) -> Result<Option<Frame>, End> {
        if !self.fill(12)? {
            return Err(if self.rest() == 0 { End::Over } else { self.damage("the file ends within a block") });
        }
        let section = self.buffer[self.start..].starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]);
        if section {
            match self.buffer[self.start + 8..self.start + 12] {
                [0x1a, 0x2b, 0x3c, 0x4d] => self.big = true,
                [0x4d, 0x3c, 0x2b, 0x1a] => self.big = false,
                _ => return Err(self.damage("a section does not say in which order its octets stand")),
            }
            self.interfaces.clear();
        }
        let (kind, len) = (self.number(0), self.number(4) as usize);
        if len < 12 || !len.is_multiple_of(4) {
            return Err(self.damage(&format!("a block is said to have {len} octets")));
        }
        let read = !section && matches!(kind, 1 | 2 | 3 | 6);
        if !read {
            return self.skip(len as u64).map(|()| None);
        }
        if len > MAX_FRAME + 64 * 1024 {
            return Err(self.damage(&format!("a block is said to have {len} octets")));
        }
        if !self.fill(len)? {
            return Err(self.damage("the file ends within a block"));
        }
        if kind == 1 {
            self.interface(len)?;
            self.take(len);
            return Ok(None);
        }
        let frame = self.packet(kind, len);
        if frame.is_none() {
            return Err(self.damage("the lengths in a block contradict each other, or its interface is not described"));
        }
        self.take(len);
        Ok(frame)
    }

    /// An interface description.
    fn interface(&mut self, len: usize) -> Result<(), End> {
        if len < 20 || self.interfaces.len() >= MAX_INTERFACES {
            return Err(self.damage("the description of an interface cannot be read"));
        }
        let mut interface = Interface { link: self.short(8), snap: self.number(12), units: 1_000_000, offset: 0 };
        let mut at = 16;
        while at + 8 <= len {
            let (code, size) = (self.short(at), usize::from(self.short(at + 2)));
            if code == 0 || at + 4 + size > len - 4 {
                break;
            }
            let value = &self.buffer[self.start + at + 4..self.start + at + 4 + size];
            match (code, value) {
                (9, [power]) if power & 0x80 == 0 => {
                    interface.units = 10_u64.checked_pow(u32::from(*power)).unwrap_or(u64::MAX);
                }
                (9, [power]) => interface.units = 1_u64.checked_shl(u32::from(power & 0x7f)).unwrap_or(u64::MAX),
                (14, value) => {
                    if let Ok(value) = <[u8; 8]>::try_from(value) {
                        interface.offset = if self.big { i64::from_be_bytes(value) } else { i64::from_le_bytes(value) };
                    }
                }
                _ => {}
            }
            at += 4 + size.next_multiple_of(4);
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// The frame of a block that is here whole. The second and the third kind are older, and simpler.
    fn packet(&mut self, kind: u32, len: usize) -> Option<Frame> {
        let (which, head) = match kind {
            6 => (self.number(8) as usize, 28),
            2 => (usize::from(self.short(8)), 28),
            _ => (0, 12),
        };
        let interface = *self.interfaces.get(which)?;
        if len < head + 4 {
            return None;
        }
        let (octets, whole) = if kind == 3 {
            let whole = self.number(8) as usize;
            let snap = if interface.snap == 0 { usize::MAX } else { interface.snap as usize };
            (whole.min(snap).min(len - 16), whole)
        } else {
            self.last = moment(u64::from(self.number(12)) << 32 | u64::from(self.number(16)), interface);
            (self.number(20) as usize, self.number(24) as usize)
        };
        if octets > len - head - 4 {
            return None;
        }
        let start = self.start + head;
        Some(Frame { at: self.last, link: interface.link, start, len: octets, whole: whole.max(octets) })
    }

    /// Passes over a block, however long it is said to be.
    fn skip(&mut self, len: u64) -> Result<(), End> {
        let here = self.rest().min(usize::try_from(len).unwrap_or(usize::MAX));
        self.take(here);
        let mut left = len - here as u64;
        while left > 0 {
            let room = self.input.fill_buf().map_err(|error| failed(self.taken, &error))?;
            if room.is_empty() {
                return Err(self.damage("the file ends within a block"));
            }
            let taken = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.input.consume(taken);
            self.taken += taken as u64;
            left -= taken as u64;
        }
        Ok(())
    }

    /// Sees to it that so many octets are here. False if the file has fewer.
    fn fill(&mut self, len: usize) -> Result<bool, End> {
        if self.rest() >= len {
            return Ok(true);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < len {
            let room = self.input.fill_buf().map_err(|error| failed(self.taken, &error))?;
            if room.is_empty() {
                return Ok(false);
            }
            let taken = room.len().min(CHUNK);
            self.buffer.extend_from_slice(&room[..taken]);
            self.input.consume(taken);
        }
        Ok(true)
    }

    fn rest(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn take(&mut self, len: usize) {
        self.start += len;
        self.taken += len as u64;
    }

    fn damage(&self, what: &str) -> End {
        End::Damage(self.taken, what.to_owned())
    }

    /// The number of 32 bits at this place of what waits, which must be here.
    fn number(&self, at: usize) -> u32 {
        let octets = self.buffer.get(self.start + at..self.start + at + 4).and_then(|it| it.try_into().ok());
        let octets: [u8; 4] = octets.unwrap_or_default();
        if self.big { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) }
    }

    fn short(&self, at: usize) -> u16 {
        let octets = self.buffer.get(self.start + at..self.start + at + 2).and_then(|it| it.try_into().ok());
        let octets: [u8; 2] = octets.unwrap_or_default();
        if self.big { u16::from_be_bytes(octets) } else { u16::from_le_bytes(octets) }
    }
}

fn failed(at: u64, error: &io::Error) -> End {
    End::Damage(at, format!("reading failed: {error}"))
}

/// The moment of so many units since 1970.
fn moment(count: u64, interface: Interface) -> Time {
    let units = interface.units.max(1);
    let (seconds, rest) = (count / units, count % units);
    let fraction = (u128::from(rest) * 1_000_000_000 / u128::from(units)) as u64;
    let seconds = seconds.saturating_add_signed(interface.offset);
    Time(seconds.saturating_mul(1_000_000_000).saturating_add(fraction))
}
