//! Runs of empty lines. The first few are texts like all others; those that follow are one block that is counted, for a few
//! bytes of DEFLATE become millions of them, and none says more than the one before.

use super::lane::{Block, Manner};
use super::relay::Relay;
use super::{Outbox, Session};
use crate::event::{DataKind, Kind, Peer, Reading};
use crate::wire::{Expect, Framer};

/// Number of empty lines in a row that are texts.
const TEXTS: u8 = 3;

impl Session {
    /// A text is complete. True if it belongs to a run of empty lines; any other ends the run. `plain`: nothing is to be
    /// said of it but what it is.
    pub(super) fn is_in_run(
        &mut self,
        from: Peer,
        (whole, reading): (&[u8], &Reading),
        plain: bool,
        out: &mut Outbox,
    ) -> bool {
        let empty = reading.kind == Kind::Blank && matches!(whole, b"\n" | b"\r\n");
        if !empty || !plain {
            self.end_run(from, out);
            return false;
        }
        let lane = self.lane(from);
        lane.blanks = lane.blanks.saturating_add(1).min(TEXTS + 1);
        lane.blanks > TEXTS
    }

    /// The run of empty lines goes on with these bytes, which have passed.
    pub(super) fn run_on(&mut self, from: Peer, bytes: &[u8], lines: u64, manner: Manner, out: &mut Outbox) {
        if self.lane(from).run.is_none() {
            self.frames += 1;
            self.lane(from).run = Some(Box::new(Block::new(DataKind::Blank, self.frames, None, false)));
        }
        if from == Peer::Client {
            self.dialogue.blank(lines, self.frames);
        }
        let octets = self.octets;
        let lane = self.lane(from);
        let Some(run) = &mut lane.run else { return };
        run.feed(bytes, manner);
        run.lines += lines;
        let again = super::block::take_off(&mut lane.again, bytes.len());
        run.again += again as u64;
        if octets {
            out.report_bytes(from, (run.frame, run.kind, false), &bytes[again..]);
        }
    }

    /// Something else comes: a run is reported.
    pub(super) fn end_run(&mut self, from: Peer, out: &mut Outbox) {
        let lane = self.lane(from);
        lane.blanks = 0;
        if let Some(run) = lane.run.take() {
            self.report_whole(from, *run, Vec::new(), out);
        }
    }

    /// Takes all further empty lines of a run at once, where no rule could change one. Returns how many bytes they are.
    pub(super) fn skip_run(&mut self, from: Peer, framer: &Framer, relay: &Relay<'_>, out: &mut Outbox) -> usize {
        let lane = &self.lanes[from.index()];
        let known = matches!(relay.manner, Manner::Fresh | Manner::Inside | Manner::Known);
        // What the server says next may be an answer to what was smuggled.
        let suspect = from == Peer::Server && self.suspect.is_some();
        let between = framer.expected() == Expect::Line && framer.held().is_empty();
        if lane.run.is_none() || lane.edit || self.holds(from) || !known || suspect || !between {
            return 0;
        }
        let (bytes, lines) = framer.empty_lines(&relay.chunk[relay.range.clone()]);
        if bytes > 0 {
            let range = relay.range.start..relay.range.start + bytes;
            Relay { range: range.clone(), ..*relay }.pass(from, out);
            self.run_on(from, &relay.chunk[range], lines, relay.manner, out);
        }
        bytes
    }
}
