//! A capture of the network from its frames to what mail clients and servers said.

use std::collections::VecDeque;
use std::io::BufRead;

use super::Piece;
use super::ether::{self, Carried};
use super::fragment::Fragments;
use super::frame::{End, Frame, Frames};
use super::tcp::{Flows, Segment};
use crate::event::Time;
use crate::problem::Problem;
use crate::wording::amount;

/// So many link types that are not read are named.
const MAX_LINKS: usize = 8;

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
        let octets = self.frames.octets(frame);
        let missing = frame.whole - octets.len();
        self.cut += u64::from(missing > 0);
        let Some(carried) = ether::ip(frame.link, octets).and_then(|ip| ether::tcp(ip, missing)) else { return };
        let Some(part) = carried.fragment else {
            return take(&mut self.flows, frame.at, &carried, &mut self.ready);
        };
        if let Some(whole) = self.fragments.put(&carried, part) {
            let carried = Carried { octets: &whole, whole: whole.len(), fragment: None, ..carried };
            take(&mut self.flows, frame.at, &carried, &mut self.ready);
        }
    }

    fn end(&mut self, damage: Option<String>) {
        self.over = true;
        let at = self.now;
        let mut remark = |text| self.ready.push_back(Piece::Remark { connection: None, at, text, damage: true });
        if let Some(damage) = damage {
            remark(damage);
        }
        if self.cut > 0 {
            remark(format!("the end of {} was not captured; to have all: tcpdump -s 0", amount(self.cut, "frame")));
        }
        let lost = self.fragments.lost + self.fragments.unfinished();
        if lost > 0 {
            remark(format!("{} in fragments could not be put together", amount(lost, "IP packet")));
        }
        self.flows.finish(at, &mut self.ready);
    }
}

fn take(flows: &mut Flows, at: Time, carried: &Carried<'_>, ready: &mut VecDeque<Piece>) {
    if let Some(segment) = Segment::read(carried) {
        flows.put(at, &segment, ready);
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
