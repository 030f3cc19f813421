//! TLS that begins in the middle: what was read too early is dealt with, the legs are taken out and come back secured.

use tokio::time::Instant;

use super::super::lane::lend;
use super::super::leg::Leg;
use super::super::tls::unanswered;
use super::{End, Pump};
use crate::event::{Batch, Closer, Event, Peer, What};

/// The first octet of a TLS handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;

impl Pump {
    /// Begins TLS where the session said, with the server first.
    pub(super) async fn secure(&mut self) -> Result<(), End> {
        let (Some(upgrade), Some(begins)) = (&self.upgrade, self.begins.take()) else { return Ok(()) };
        let upgrade = upgrade.clone();
        if self.ended[Peer::Client.index()] {
            return Err(End { by: Closer::Peer(Peer::Client), why: None });
        }
        let failed = |(peer, why)| End { by: Closer::Tls(peer), why: Some(why) };
        if begins.server {
            let ahead = std::mem::take(&mut self.ahead[Peer::Server.index()]);
            self.slipped_in(Peer::Server, &ahead);
        }
        // A client may begin TLS without waiting; all else is plain text that would be slipped in.
        let hello = self.ahead[Peer::Client.index()].first() == Some(&HANDSHAKE);
        if begins.consent.is_some() && !hello {
            let ahead = std::mem::take(&mut self.ahead[Peer::Client.index()]);
            self.slipped_in(Peer::Client, &ahead);
        }
        if begins.server {
            let leg = self.leave(Peer::Server);
            let (leg, facts) = upgrade.server(leg).await.map_err(|why| failed((Peer::Server, why)))?;
            self.legs[Peer::Server.index()] = leg;
            self.tell(Peer::Server, What::Tls(Box::new(facts)));
        }
        if let Some(consent) = begins.consent {
            let leg = self.leave(Peer::Client);
            let ahead = std::mem::take(&mut self.ahead[Peer::Client.index()]);
            let (leg, facts) = upgrade.client(leg, &consent, ahead).await.map_err(|why| failed((Peer::Client, why)))?;
            self.legs[Peer::Client.index()] = leg;
            self.sent[Peer::Client.index()] += consent.len() as u64;
            self.tell(Peer::Client, What::Tls(Box::new(facts)));
        }
        self.session.secured();
        self.ahead[Peer::Server.index()].splice(0..0, begins.next);
        self.words_first = !self.ahead[Peer::Server.index()].is_empty();
        self.moved = Instant::now();
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

    /// Reports octets that are passed on to nobody.
    fn slipped_in(&mut self, from: Peer, octets: &[u8]) {
        lend(|desk| {
            self.session.slipped_in(from, octets, &mut desk.out);
            self.report.put(&mut desk.out.batch, Instant::now());
            desk.out.clear();
        });
    }
}
