//! A call of our own to a server: one leg without another, for whoever asks the questions by itself. Knows octets and time.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::Endpoint;
use super::dial::{dial, plain};
use super::leg::Leg;
use super::socket::Socket;
use super::tls::handshake::with_server;
use super::tls::{Terms, Trust};
use crate::event::TlsFacts;

/// A connection that we made, to be read and written by turns.
#[derive(Debug)]
pub struct Call {
    leg: Leg,
    server: Endpoint,
    scheme: String,
    limit: Duration,
    local: Option<IpAddr>,
}

impl Call {
    /// Connects. `scheme` is the one without TLS, and `limit` is for DNS, for each address, and for a handshake.
    ///
    /// # Errors
    /// A sentence about what stands in the way, with a remedy.
    pub async fn dial(server: Endpoint, scheme: &str, limit: Duration) -> Result<Self, String> {
        let tcp = dial(&server, limit, &[]).await?;
        let local = tcp.local_addr().ok().map(|address| address.ip());
        let leg = Leg::plain(Socket::new(tcp, Vec::new()));
        Ok(Call { leg, server, scheme: scheme.to_owned(), limit, local })
    }

    /// Our own address.
    #[must_use]
    pub const fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// Begins TLS: at once, or behind the consent to STARTTLS.
    ///
    /// # Errors
    /// A sentence about what went wrong. Nothing can be sent or read then.
    pub async fn secure(&mut self, trust: &Trust, starttls: bool) -> Result<TlsFacts, String> {
        let leg = std::mem::replace(&mut self.leg, Leg::gone());
        let socket = leg.into_plain().map_err(|_| "TLS has begun already".to_owned())?;
        let server = self.server.to_string();
        let terms =
            Terms { host: &self.server.host, server: &server, plain: &self.scheme, given: false, starttls, own: true };
        let (leg, facts) = with_server(trust, socket, terms, self.limit).await?;
        self.leg = leg;
        Ok(facts)
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The connection is broken, in words.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), String> {
        self.leg.write_all(octets).await.map_err(|error| lost(&error))
    }

    /// What comes next; nothing if the server will send no more.
    ///
    /// # Errors
    /// The connection is broken, in words.
    pub async fn read(&mut self, into: &mut [u8]) -> Result<usize, String> {
        poll_fn(|cx| self.leg.poll_read(cx, into)).await.map_err(|error| lost(&error))
    }
}

fn lost(error: &io::Error) -> String {
    format!("the connection was lost: {}", plain(error))
}
