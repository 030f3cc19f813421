//! The arms of a lane to which something happens: writes up to the next place where octets wait or end, and a look at a
//! peer of which nothing is taken any more.

use std::future::poll_fn;
use std::io::IoSlice;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::super::lane::lend;
use super::super::leg::Leg;
use super::super::stopped;
use super::super::trouble::Next;
use super::{AHEAD, End, Pump, ended};
use crate::event::{Closer, Peer};
use crate::session::{Fault, Trouble};

/// How long peers may take to end theirs, once a rule has closed a connection.
const PART: Duration = Duration::from_secs(1);

/// So much of what they still say is read at once, in octets.
const REST: usize = 4 * 1024;

impl Pump {
    /// The write arm of a lane that is not calm; `None` if nothing is left that is special.
    pub(super) fn write_troubled(&mut self, to: Peer, cx: &mut Context<'_>) -> Result<Option<bool>, End> {
        let at = to.index();
        if self.legs[at].owes() {
            // Each slice is a record of its own, and what is before an end leaves before it.
            match self.legs[at].poll_flush(cx) {
                Poll::Pending => return Ok(Some(false)),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return self.failed(to, &e).map(|()| Some(true)),
            }
        }
        let lane = &mut self.lanes[at];
        let stalled = lane.is_stalled();
        let most = match lane.next(cx) {
            Next::Write(most) => most,
            // Once more around where a stall begins: the sender is looked at from now on, and nothing else would wake us.
            Next::Wait => return Ok(Some(lane.is_stalled() && !stalled)),
            Next::Nothing => return Ok(None),
            Next::End(Fault { what, rule }) => {
                self.fate = what;
                let does = if what == Some(Trouble::Reset) { "reset" } else { "closed" };
                return Err(End { by: Closer::Ours, why: Some(format!("rule `{rule}` {does} the connection")) });
            }
        };
        let waiting = lane.waiting();
        let count = match self.legs[at].poll_write(cx, &[IoSlice::new(&waiting[..most.min(waiting.len())])]) {
            Poll::Pending => return Ok(Some(false)),
            Poll::Ready(Ok(count)) => count,
            Poll::Ready(Err(e)) => return self.failed(to, &e).map(|()| Some(true)),
        };
        lane.sent(count);
        self.sent[at] += count as u64;
        self.moved = Instant::now();
        if lane.is_empty() {
            self.answers[at] = 0;
        }
        Ok(Some(true))
    }

    /// The read arm of a peer whose octets go nowhere any more. A few are read, so that its end is seen.
    pub(super) fn look_out(&mut self, from: Peer, cx: &mut Context<'_>) -> Result<bool, End> {
        let ahead = &mut self.ahead[from.index()];
        if ahead.len() > AHEAD {
            *ahead = Vec::new();
        }
        let room = AHEAD - ahead.len();
        if room == 0 {
            return Ok(false);
        }
        lend(|desk| match self.legs[from.index()].poll_read(cx, &mut desk.buffer[..room]) {
            Poll::Ready(Ok(0)) => Err(End { by: Closer::Peer(from), why: None }),
            Poll::Ready(Ok(count)) => {
                self.received[from.index()] += count as u64;
                self.ahead[from.index()].extend_from_slice(&desk.buffer[..count]);
                Ok(true)
            }
            Poll::Ready(Err(e)) => ended(from, &e, &self.legs[from.index()]).map_or(Ok(true), Err),
            Poll::Pending => Ok(false),
        })
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
