//! The SASL mechanisms, apart from the protocols because all of them share these: who says what, how to read it, what in
//! it is secret. Knows no protocol and no exchange in progress.

use std::sync::OnceLock;

use serde::Deserialize;

use super::{Standing, Table, load};
use crate::event::Peer;

/// The table that comes with the program.
const SASL: &str = include_str!("../../grammars/sasl.toml");

/// A SASL mechanism.
#[derive(Debug, Clone)]
pub struct Mechanism {
    /// `SCRAM-SHA-256`; a pattern ends in `*` (`SCRAM-*`).
    pub name: String,
    /// How it proves who the user is, in one line.
    pub does: String,
    /// Where it is defined.
    pub rfc: String,
    /// How good it is to rely on it.
    pub status: Standing,
    /// More, for who asks; may be empty.
    pub note: String,
    /// True if the client speaks first, so that an initial response may be given.
    pub client_first: bool,
    /// The messages in order, as far as their number is fixed.
    pub messages: Vec<Message>,
    /// How to take a decoded message apart.
    pub decode: Decode,
    /// The fields (named by [`Decode`]) that must not be shown; `*` for all of every message.
    pub secret: Vec<String>,
    /// True if the exchange may end in a security layer, after which nothing can be read (RFC 4422 section 3.7).
    pub layer: bool,
}

/// One message of a mechanism.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who sends it.
    pub from: Peer,
    /// What it holds.
    pub means: String,
}

/// The shapes of a mechanism's messages, after base64. Each names the fields that [`Mechanism::secret`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decode {
    /// Fields between NULs: `authzid`, `authcid`, then `password` with all that follows (RFC 4616).
    Plain,
    /// A value a message: `user`, then `password`.
    Login,
    /// `user`, the last space, `digest` (RFC 2195); the server's message is the challenge.
    CramMd5,
    /// `key=value` pairs between commas, values maybe quoted (RFC 2831); fields are the keys.
    Digest,
    /// `letter=value` pairs between commas, after a GS2 header (RFC 5802 section 7); fields are the letters.
    Scram,
    /// A GS2 header, then `key=value` pairs between 0x01 (RFC 7628 section 3.1); fields are the keys, and `user`.
    Oauthbearer,
    /// `key=value` pairs between 0x01: `user`, `auth`.
    Xoauth2,
    /// The `authzid` alone, often empty (RFC 4422 appendix A).
    External,
    /// A `trace` that says who the guest is (RFC 4505).
    Anonymous,
    /// NTLMSSP messages: `domain`, `user`, `workstation`, `challenge`, `lm-response`, `nt-response`, `session-key`.
    Ntlm,
    /// `authzid` NUL `authcid`, then the server's `challenge`, then the `response` (RFC 2444).
    Otp,
    /// Nothing that could be taken apart.
    Opaque,
}

/// All mechanisms, in the order of their names.
#[must_use]
pub fn mechanisms() -> &'static Table<Mechanism> {
    static READ: OnceLock<Table<Mechanism>> = OnceLock::new();
    // A table of ours that does not load is caught by the tests; here every mechanism is merely unknown, so hidden whole.
    READ.get_or_init(|| load::mechanisms("sasl", SASL).unwrap_or_default())
}

/// The mechanism of this name, else the longest pattern that fits, in any case.
#[must_use]
pub fn mechanism(name: impl AsRef<[u8]>) -> Option<&'static Mechanism> {
    mechanisms().get(name.as_ref())
}
