//! A capture of the network from its frames to what mail clients and servers said.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;

use super::Piece;
use super::ether::{self, Unread};
use super::fragment::Fragments;
use super::frame::{End, Frame, Frames};
use super::tcp::{Flows, Segment};
use crate::event::Time;
use crate::problem::Problem;
use crate::wording::amount;

/// Maximum number of link types, and of other kinds of frames, that are named as not read.
const MAX_LINKS: usize = 8;

/// Maximum number of IP packets inside each other.
const MAX_NESTED: usize = 4;

/// Reads a capture.
#[derive(Debug)]
pub struct Capture<R> {
    frames: Frames<R>,
    fragments: Fragments,
    flows: Flows,
    /// Link types that are not read.
    links: Vec<u16>,
    /// Frames of which the end was not captured.
    cut: u64,
    /// Frames in all, segments of TCP, and what was read of neither.
    frames_read: u64,
    segments: u64,
    unread: BTreeMap<Unread, u64>,
    now: Time,
    ready: VecDeque<Piece>,
    over: bool,
}

impl<R: BufRead> Capture<R> {
    /// Reads the head of a capture.
    ///
    /// # Errors
    /// It is none that can be read.
    pub fn begin(input: R, origin: &str, protocol: Option<&str>) -> Result<Self, Problem> {
        let frames = Frames::begin(input).map_err(|end| match end {
            End::Damage(at, what) => Problem::new(format!("{origin}: octet {at}"), what, "a whole capture"),
            End::Over => Problem::new(origin, "the file is empty", "a capture"),
        })?;
        Ok(Capture {
            frames,
            fragments: Fragments::default(),
            flows: Flows::new(protocol),
            links: Vec::new(),
            cut: 0,
            frames_read: 0,
            segments: 0,
            unread: BTreeMap::new(),
            now: Time(0),
            ready: VecDeque::new(),
            over: false,
        })
    }

    fn step(&mut self) {
        match self.frames.next() {
            Ok(frame) => self.frame(frame),
            Err(End::Over) => self.end(None),
            Err(End::Damage(at, what)) => self.end(Some(format!("octet {at}: {what}; nothing behind it is read"))),
        }
    }

    fn frame(&mut self, frame: Frame) {
        self.now = frame.at;
        if !ether::is_read(frame.link) {
            if self.links.len() < MAX_LINKS && !self.links.contains(&frame.link) {
                self.links.push(frame.link);
                let text = format!(
                    "octet {}: frames of link type {} are not read; capture on another interface, or on `any`",
                    self.frames.place(),
                    frame.link
                );
                self.ready.push_back(Piece::Remark { connection: None, at: frame.at, text, damage: true });
            }
            return;
        }
        self.frames_read += 1;
        let octets = self.frames.octets(frame);
        let missing = frame.whole - octets.len();
        self.cut += u64::from(missing > 0);
        let found = ether::ip(frame.link, octets).and_then(|packet| self.fragments.open(packet, missing, MAX_NESTED));
        let segment = match &found {
            Ok(Some(found)) => Segment::read(&found.carried()).ok_or(Unread::Short),
            Ok(None) => return,
            Err(why) => Err(*why),
        };
        match segment {
            Ok(segment) => {
                self.segments += 1;
                self.flows.put(frame.at, &segment, &mut self.ready);
            }
            Err(why) => *self.unread.entry(why).or_default() += 1,
        }
    }

    fn end(&mut self, damage: Option<String>) {
        self.over = true;
        let at = self.now;
        let mut remarks = Vec::from_iter(damage);
        if self.cut > 0 {
            remarks
                .push(format!("the end of {} was not captured; to have all: tcpdump -s 0", amount(self.cut, "frame")));
        }
        let lost = self.fragments.lost + self.fragments.unfinished();
        if lost > 0 {
            remarks.push(format!("{} in fragments could not be put together", amount(lost, "IP packet")));
        }
        // Frames without TCP are in every capture, and damage only where nothing else is.
        let closed = |why: &Unread| matches!(why, Unread::Closed(_));
        let alone = self.segments == 0;
        let unread: Vec<String> =
            self.unread.iter().filter(|(why, _)| alone || closed(why)).map(|(why, count)| told(*why, *count)).collect();
        if !unread.is_empty() {
            let more = if unread.len() > MAX_LINKS { ", …" } else { "" };
            let which = unread[..unread.len().min(MAX_LINKS)].join(", ");
            let none = if alone { "no TCP in it: " } else { "" };
            remarks.push(format!("{none}{which}{more} not read"));
        }
        let said = !remarks.is_empty() || !self.links.is_empty();
        self.ready.extend(remarks.into_iter().map(|text| Piece::Remark { connection: None, at, text, damage: true }));
        self.flows.finish(at, &mut self.ready);
        if !said && !self.flows.is_reported() {
            let text = format!("no connection in it that says anything, in {}", amount(self.frames_read, "frame"));
            self.ready.push_back(Piece::Remark { connection: None, at, text, damage: true });
        }
    }
}

/// `3 frames of ARP`.
fn told(why: Unread, count: u64) -> String {
    let frames = amount(count, "frame");
    match why {
        Unread::Short => format!("{frames} too short to be TCP"),
        Unread::Other(what) | Unread::Closed(what) => format!("{frames} of {what}"),
        Unread::Type(number) => format!("{frames} of Ethernet type 0x{number:04x}"),
        Unread::Protocol(number) => format!("{frames} of IP protocol {number}"),
    }
}

impl<R: BufRead> Iterator for Capture<R> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while self.ready.is_empty() && !self.over {
            self.step();
        }
        self.ready.pop_front()
    }
}
