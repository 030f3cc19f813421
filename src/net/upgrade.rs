//! TLS in the middle of a conversation: the client has asked for it, and the server has consented. The server's leg is secured
//! first; then the client hears of the consent, and begins. Knows legs and handshakes, and not what was said before.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::Route;
use super::leg::Leg;
use super::tls::handshake::{Outcome, with_client, with_server};
use super::tls::{Means, Terms};

/// What it takes.
#[derive(Debug)]
pub struct Upgrade {
    /// Who we are, and whom we believe.
    pub means: Arc<Means>,
    /// The route of the connection.
    pub route: Arc<Route>,
    /// How long each handshake may take.
    pub limit: Duration,
}

impl Upgrade {
    /// Begins TLS with the server.
    pub async fn server(&self, leg: Leg) -> Outcome {
        let (_, trust) = self.means.both()?;
        let socket = leg.into_plain().map_err(|_| "TLS has begun already".to_owned())?;
        let server = self.route.server.to_string();
        with_server(trust, socket, self.terms(&server), self.limit).await
    }

    /// Tells the client of the consent, and answers the TLS that it begins. `ahead` came of it before.
    pub async fn client(&self, mut leg: Leg, consent: &[u8], ahead: Vec<u8>) -> Outcome {
        let (identity, _) = self.means.both()?;
        let told = timeout(self.limit, tell(&mut leg, consent)).await;
        let gone = |why: String| format!("the client did not hear of the consent to TLS: {why}");
        told.map_err(|_| gone(format!("it read nothing for {} s", self.limit.as_secs_f64())))?
            .map_err(|error| gone(error.to_string()))?;
        let mut socket = leg.into_plain().map_err(|_| "TLS has begun already".to_owned())?;
        socket.put_before(ahead);
        let server = self.route.server.to_string();
        with_client(identity, socket, self.terms(&server), self.limit).await
    }

    fn terms<'a>(&'a self, server: &'a str) -> Terms<'a> {
        let given = self.means.both().is_ok_and(|(identity, _)| identity.is_given());
        Terms { host: &self.route.server.host, server, plain: &self.route.plain, given, starttls: true }
    }
}

/// Writes octets to a leg.
async fn tell(leg: &mut Leg, octets: &[u8]) -> io::Result<()> {
    let mut rest = octets;
    while !rest.is_empty() {
        let count = poll_fn(|cx| leg.poll_write(cx, &[IoSlice::new(rest)])).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        rest = &rest[count..];
    }
    Ok(())
}
