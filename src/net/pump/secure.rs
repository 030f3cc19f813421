//! TLS that begins in the middle: what was read too early is dealt with, the legs are taken out and come back secured.
//! Where it is our own work, the server has so long for each word.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep};

use super::super::lane::lend;
use super::super::leg::Leg;
use super::super::socket::Departure;
use super::super::tls::unanswered;
use super::{AHEAD, End, Pump, ended};
use crate::event::{Batch, Closer, Event, Peer, What};

/// The first octet of a TLS handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;

/// The time for a server's next word.
#[derive(Debug)]
pub(super) struct Patience {
    /// How many of our commands it had been sent when this began.
    said: usize,
    sleep: Pin<Box<Sleep>>,
}

impl Pump {
    /// Ready when a server has taken too long for its greeting, or for an answer to what we say before TLS.
    pub(super) fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let (Some(said), Some(upgrade)) = (self.session.opening(), &self.upgrade) else {
            self.patience = None;
            return Poll::Pending;
        };
        let limit = upgrade.limit;
        let fresh = || Box::new(Patience { said, sleep: Box::pin(sleep(limit)) });
        let patience = self.patience.get_or_insert_with(fresh);
        if patience.said != said {
            *patience = fresh();
        }
        if patience.sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(End { by: Closer::Tls(Peer::Server), why: Some(self.session.late_opening(limit)) })
    }

    /// The read arm of a peer that waits: what it sends is kept, a little of it, so that its end is seen all the same.
    pub(super) fn look_ahead(&mut self, from: Peer, cx: &mut Context<'_>) -> Result<bool, End> {
        let at = from.index();
        let room = AHEAD.saturating_sub(self.ahead[at].len());
        if room == 0 {
            return match self.departure(from, cx) {
                Some(Departure::Reset) => Err(End { by: Closer::Reset(from), why: None }),
                Some(Departure::End) => Ok(self.session.forgo_tls()),
                None => Ok(false),
            };
        }
        lend(|desk| match self.legs[at].poll_read(cx, &mut desk.buffer[..room]) {
            // An end after bytes is seen again when they are dealt with; nobody will if the other peer is gone.
            Poll::Ready(Ok(0)) if !self.ahead[at].is_empty() && !self.ended[from.other().index()] => {
                Ok(self.session.forgo_tls())
            }
            Poll::Ready(Ok(0)) => self.take_end(from, desk, cx),
            Poll::Ready(Ok(count)) => {
                self.received[at] += count as u64;
                let since = self.session.waits_for_tls(from).then(Instant::now);
                self.ahead[at].add(&desk.buffer[..count], since);
                Ok(true)
            }
            Poll::Ready(Err(e)) => ended(from, &e, &self.legs[at]).map_or(Ok(true), Err),
            Poll::Pending => Ok(false),
        })
    }

    /// Begins TLS where the session said, with the server first.
    pub(super) async fn secure(&mut self) -> Result<(), End> {
        let (Some(upgrade), Some(begins)) = (&self.upgrade, self.begins.take()) else { return Ok(()) };
        let upgrade = upgrade.clone();
        if self.ended[Peer::Client.index()] {
            return Err(End { by: Closer::Peer(Peer::Client), why: None });
        }
        for peer in [Peer::Client, Peer::Server] {
            // What the session has dealt with belongs to nothing that follows.
            let (mut one, done) = ([0], self.session.dealt_with(peer));
            self.ahead[peer.index()].take(&mut one[..done]);
        }
        let failed = |(peer, why)| End { by: Closer::Tls(peer), why: Some(why) };
        if begins.server {
            self.slipped_in(Peer::Server);
        }
        // A client may begin TLS without waiting; all else is plain text that would be slipped in.
        let hello = self.ahead[Peer::Client.index()].first() == Some(HANDSHAKE);
        if begins.consent.is_some() && !hello {
            self.slipped_in(Peer::Client);
        }
        if begins.server {
            let leg = self.leave(Peer::Server);
            let (leg, facts) =
                self.watched(Peer::Server, upgrade.server(leg)).await.map_err(|why| failed((Peer::Server, why)))?;
            self.legs[Peer::Server.index()] = leg;
            self.tell(Peer::Server, What::Tls(Box::new(facts)));
        }
        if let Some(consent) = begins.consent {
            let leg = self.leave(Peer::Client);
            let (ahead, _) = self.ahead[Peer::Client.index()].take_all();
            let secured = self.watched(Peer::Client, upgrade.client(leg, &consent, ahead)).await;
            let (leg, facts) = secured.map_err(|why| failed((Peer::Client, why)))?;
            self.legs[Peer::Client.index()] = leg;
            self.sent[Peer::Client.index()] += consent.len() as u64;
            self.tell(Peer::Client, What::Tls(Box::new(facts)));
        }
        self.session.secured();
        self.ahead[Peer::Server.index()].put_before(&begins.next, None);
        self.words_first = !self.ahead[Peer::Server.index()].is_empty();
        (self.moved, self.told, self.timer) = (Instant::now(), 0, None);
        Ok(())
    }

    /// What a server wants that requested a client certificate and left before it said a word.
    pub(super) fn unwelcome(&self, by: Closer) -> Option<String> {
        let server = Peer::Server.index();
        let how = match by {
            Closer::Peer(Peer::Server) => "ended",
            Closer::Reset(Peer::Server) => "reset",
            _ => return None,
        };
        (self.received[server] == 0 && self.legs[server].has_asked()).then(|| unanswered(how))
    }

    /// Takes a leg out, to begin TLS on it.
    fn leave(&mut self, peer: Peer) -> Leg {
        std::mem::replace(&mut self.legs[peer.index()], Leg::gone())
    }

    fn tell(&mut self, peer: Peer, what: What) {
        let events = vec![Event { from: peer, what }];
        self.report.put(&mut Batch { events, ..Batch::default() }, Instant::now());
    }

    /// Reports what waits of a peer, which is passed on to nobody.
    fn slipped_in(&mut self, from: Peer) {
        let (bytes, came) = self.ahead[from.index()].take_all();
        lend(|desk| {
            self.session.slipped_in(from, &bytes, &mut desk.out);
            self.report.put(&mut desk.out.batch, came.unwrap_or_else(Instant::now));
            desk.out.clear();
        });
    }
}
