//! What was read goes to the session, one call at a time: what that does not take waits, until its events have room and
//! other connections had their turn.

use std::task::Context;

use tokio::time::Instant;

use super::super::lane::Desk;
use super::{End, Pump, next_width};
use crate::event::Peer;

impl Pump {
    /// Gives the session what was read, and its pieces to the legs.
    pub(super) fn take(
        &mut self,
        from: Peer,
        count: usize,
        desk: &mut Desk,
        cx: &mut Context<'_>,
    ) -> Result<bool, End> {
        self.received[from.index()] += count as u64;
        self.give(from, count, None, desk, cx)
    }

    /// Like [`Pump::take`], for bytes that are already counted in `received`. `came`: when, if a STARTTLS held them back.
    pub(super) fn give(
        &mut self,
        from: Peer,
        count: usize,
        came: Option<Instant>,
        desk: &mut Desk,
        cx: &mut Context<'_>,
    ) -> Result<bool, End> {
        let now = Instant::now();
        let (at, waited) = (came.unwrap_or(now), came.map(|came| now.saturating_duration_since(came)));
        self.moves(now);
        let Desk { buffer, out, .. } = desk;
        let bytes = &buffer[..count];
        let taken = match waited {
            Some(waited) => self.session.receive_late(from, bytes, waited, out),
            None => self.session.receive(from, bytes, out),
        };
        let events = out.batch.events.len();
        self.begins = self.begins.take().or_else(|| out.upgrade.take());
        let (rest, done) = self.deliver(from, bytes, at, out, cx);
        if taken < count {
            // Other connections come before what is left.
            self.full = true;
            let came = if self.session.waits_for_tls(from) { Some(at) } else { came };
            self.ahead[from.index()].put_before(&bytes[taken..], came);
        }
        self.lanes[from.other().index()].keep(buffer, rest);
        done?;
        self.go_on(desk)?;
        let width = &mut self.width[from.index()];
        *width = next_width(*width, taken, count, events);
        Ok(true)
    }
}
