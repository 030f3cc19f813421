//! The arms of a lane to which something happens: writes up to the next place where octets wait or end, and a look at a
//! peer of which nothing is taken any more.

use std::future::poll_fn;
use std::io::IoSlice;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::super::lane::lend;
use super::super::leg::Leg;
use super::super::socket::Departure;
use super::super::stopped;
use super::super::trouble::Next;
use super::{AHEAD, End, Pump, ended};
use crate::event::{Closer, Peer};
use crate::session::{Fault, Trouble};

/// How long peers may take to end theirs, once a rule has closed a connection.
const PART: Duration = Duration::from_secs(1);

/// How often a peer that is not read any more is looked at.
const WATCH: Duration = Duration::from_secs(1);

/// So much of what they still say is read at once, in octets.
const REST: usize = 4 * 1024;

impl Pump {
    /// The write arm of a lane with faults: writes up to the next place where something happens. Returns whether it did
    /// something.
    pub(super) fn write_troubled(&mut self, to: Peer, cx: &mut Context<'_>) -> Result<bool, End> {
        let at = to.index();
        let lane = &mut self.lanes[at];
        let most = match lane.next(cx) {
            Next::Write(most) => most,
            // A mark that was taken on the way is no progress, but it may have opened another arm: the gates show it.
            Next::Wait | Next::Nothing => return Ok(false),
            Next::End(Fault { what, rule }) => {
                self.fate = what;
                let does = if what == Some(Trouble::Reset) { "reset" } else { "closed" };
                return Err(End { by: Closer::Ours, why: Some(format!("rule `{rule}` {does} the connection")) });
            }
        };
        let waiting = lane.waiting();
        match self.legs[at].poll_write(cx, &[IoSlice::new(&waiting[..most.min(waiting.len())])]) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(count)) => {
                self.left(to, count);
                Ok(true)
            }
            Poll::Ready(Err(e)) => self.failed(to, &e).map(|()| true),
        }
    }

    /// The read arm of a peer whose bytes go nowhere any more. [`AHEAD`] of them are read, so that its end is seen; a peer
    /// that says more is looked at from time to time.
    pub(super) fn look_out(&mut self, from: Peer, cx: &mut Context<'_>) -> Result<bool, End> {
        let room = AHEAD.saturating_sub(self.ahead[from.index()].len());
        if room == 0 {
            return match self.departure(from, cx) {
                Some(Departure::Reset) => Err(End { by: Closer::Reset(from), why: None }),
                Some(Departure::End) => Err(End { by: Closer::Peer(from), why: None }),
                None => Ok(false),
            };
        }
        lend(|desk| match self.legs[from.index()].poll_read(cx, &mut desk.buffer[..room]) {
            Poll::Ready(Ok(0)) => Err(End { by: Closer::Peer(from), why: None }),
            Poll::Ready(Ok(count)) => {
                self.received[from.index()] += count as u64;
                self.ahead[from.index()].add(&desk.buffer[..count], None);
                Ok(true)
            }
            Poll::Ready(Err(e)) => ended(from, &e, &self.legs[from.index()]).map_or(Ok(true), Err),
            Poll::Pending => Ok(false),
        })
    }

    /// How a peer has left that is not read any more. Looks every [`WATCH`].
    pub(super) fn departure(&mut self, peer: Peer, cx: &mut Context<'_>) -> Option<Departure> {
        let timer = self.watch[peer.index()].get_or_insert_with(|| Box::pin(sleep(WATCH)));
        while timer.as_mut().poll(cx).is_ready() {
            let departure = self.legs[peer.index()].departure();
            if departure.is_some() {
                return departure;
            }
            timer.as_mut().reset(Instant::now() + WATCH);
        }
        None
    }

    /// The peer that has ended while nothing reaches it any more.
    pub(super) fn left_behind(&self) -> Option<Peer> {
        let gone = |peer: &Peer| {
            let at = peer.index();
            self.lanes[at].is_stalled() && self.ended[at] && self.lanes[peer.other().index()].is_empty()
        };
        [Peer::Client, Peer::Server].into_iter().find(gone)
    }
}

/// Both peers are told that no more will come, and what they still say is read for a while: unread octets would make a reset
/// of the end.
pub(super) async fn part(legs: [Leg; 2], stop: &mut watch::Receiver<bool>) {
    let [client, server] = legs;
    let both = async { tokio::join!(drain(client), drain(server)) };
    tokio::select! {
        _ = timeout(PART, both) => {}
        () = stopped(stop) => {}
    }
}

async fn drain(mut leg: Leg) {
    if poll_fn(|cx| leg.poll_shutdown(cx)).await.is_err() {
        return;
    }
    while let Ok(1..) = poll_fn(|cx| lend(|desk| leg.poll_read(cx, &mut desk.buffer[..REST]))).await {}
}
