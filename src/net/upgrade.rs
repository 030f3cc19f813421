//! TLS in the middle of a conversation, on one leg or on both. Where the client has asked for it and the server has consented,
//! the server's leg is secured first; then the client hears of the consent, and begins. Knows legs and handshakes, and not
//! what was said before.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::Route;
use super::leg::Leg;
use super::tls::handshake::{Outcome, with_client, with_server};
use super::tls::{Identity, Terms, Trust};
use crate::event::Peer;

/// What it takes.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// The route of the connection, which knows who we are and whom we believe.
    pub route: Arc<Route>,
    /// How long each handshake may take.
    pub limit: Duration,
}

impl Upgrade {
    /// Begins TLS with the server.
    pub async fn server(&self, leg: Leg) -> Outcome {
        let trust = self.trust()?;
        let socket = leg.into_plain().map_err(|_| "TLS has begun already".to_owned())?;
        let server = self.route.server.to_string();
        with_server(trust, socket, self.terms(&server, Peer::Server), self.limit).await
    }

    /// Tells the client of the consent, and answers the TLS that it begins. `ahead` came of it before.
    pub async fn client(&self, mut leg: Leg, consent: &[u8], ahead: Vec<u8>) -> Outcome {
        let identity = self.identity()?;
        let told = timeout(self.limit, leg.write_all(consent)).await;
        let gone = |why: String| format!("the client did not hear of the consent to TLS: {why}");
        told.map_err(|_| gone(format!("it read nothing for {} s", self.limit.as_secs_f64())))?
            .map_err(|error| gone(error.to_string()))?;
        let mut socket = leg.into_plain().map_err(|_| "TLS has begun already".to_owned())?;
        socket.put_before(ahead);
        let server = self.route.server.to_string();
        with_client(identity, socket, self.terms(&server, Peer::Client), self.limit).await
    }

    fn identity(&self) -> Result<&Arc<Identity>, &str> {
        match (&self.route.identity, &self.route.means) {
            (Some(identity), _) => Ok(identity),
            (None, Some(means)) => means.both().map(|(identity, _)| identity),
            (None, None) => Err("the route does not say who we are to clients"),
        }
    }

    fn trust(&self) -> Result<&Trust, &str> {
        match (&self.route.trust, &self.route.means) {
            (Some(trust), _) => Ok(trust),
            (None, Some(means)) => means.both().map(|(_, trust)| &**trust),
            (None, None) => Err("the route does not say which servers to believe"),
        }
    }

    fn terms<'a>(&'a self, server: &'a str, peer: Peer) -> Terms<'a> {
        // While none of ours was made, none was given.
        let given = self.identity().is_ok_and(|identity| identity.is_given());
        let own = self.route.own[peer.index()];
        Terms { host: &self.route.server.host, server, plain: &self.route.plain, given, starttls: true, own }
    }
}
