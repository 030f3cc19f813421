//! How a connection begins and ends: what is known of it, and who ended it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Form, Peer, State};

/// The facts of a new connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Opened {
    /// The grammar's name: `imap`.
    pub protocol: String,
    /// The form of its lines.
    pub form: Form,
    /// The client's address and port.
    pub client: String,
    /// The server as the route names it, with port.
    pub server: String,
    /// Its route.
    pub route: Arc<RouteName>,
    /// The lanes in which rules may edit: `[client, server]`. The others are only looked at.
    pub edit: [bool; 2],
    /// The rules, as the user wrote them, in their order.
    pub rules: Vec<Arc<str>>,
    /// Set if the file lacks the beginning of the connection: the state at the first line that it has, [`State::Opaque`]
    /// where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle: Option<State>,
}

/// What a route is called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteName {
    /// Its place on the command line, from 1.
    pub number: u32,
    /// As the user wrote it; empty if nobody has.
    pub written: String,
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Closed {
    /// Who ended it.
    pub by: Closer,
    /// How, as a sentence for people where it was not a plain close.
    pub why: Option<String>,
    /// Octets received from `[client, server]`.
    pub received: [u64; 2],
    /// Octets sent on to `[client, server]`.
    pub sent: [u64; 2],
    /// Of `[client, server]`: octets that came compressed, and how many they were.
    pub inflated: [(u64, u64); 2],
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closer {
    /// This peer closed first.
    Peer(Peer),
    /// This peer reset the connection.
    Reset(Peer),
    /// The server could not be reached.
    Unreachable,
    /// There was to be TLS with this peer, and it came to nothing.
    Tls(Peer),
    /// imapscope itself: interrupt, time limit, connection limit.
    Ours,
    /// Nobody knows: what another program has recorded ends without it.
    Unseen,
}
