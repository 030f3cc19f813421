//! What a protocol consists of, as data: commands, capabilities, responses, codes, SASL mechanisms, each with its
//! meaning and RFC. Loaded from TOML, looked up by name in any case. Knows no connection and no clock.

use crate::event::State;

/// The description of one protocol.
#[derive(Debug, Clone, Default)]
pub struct Grammar {
    /// `imap`.
    pub name: String,
}

/// A command of a client.
#[derive(Debug, Clone)]
pub struct Command {
    /// In upper case; `UID FETCH` for the UID form where that is an entry of its own.
    pub name: String,
    /// What it does, in one line.
    pub does: String,
    /// Where it is defined: `RFC 9051 section 6.3.1`.
    pub rfc: String,
    /// The states in which it is allowed; empty for any.
    pub states: Vec<State>,
    /// What may follow it on the wire other than a plain answer.
    pub then: Option<Then>,
    /// Which of its arguments must not be shown.
    pub secret: Option<Secret>,
    /// The capability without which a client must not use it.
    pub needs: Option<String>,
    /// The state after it was answered with OK.
    pub on_ok: Option<State>,
    /// The state after it was answered with NO (a failed SELECT deselects).
    pub on_no: Option<State>,
    /// True if its arguments are extension names (ENABLE).
    pub lists: Option<Lists>,
}

/// What may follow a command on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// A SASL exchange: challenges and responses, a line each.
    Sasl,
    /// Untagged data until the client's DONE.
    Idle,
    /// TLS, after OK.
    Tls,
    /// DEFLATE, after OK.
    Deflate,
    /// The end of authentication and compression, after OK (UNAUTHENTICATE).
    Reset,
}

/// Which arguments of a command are secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// All but the first (LOGIN: the password; AUTHENTICATE: the initial response).
    AfterFirst,
    /// All of them.
    All,
}

/// What kind of names a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// Capabilities that the server offers (CAPABILITY).
    Capabilities,
    /// Extensions that the client asks for or the server confirms (ENABLE, ENABLED).
    Enabled,
}

impl Grammar {
    /// The command with this verb, in any case.
    #[must_use]
    pub fn command(&self, _verb: &[u8]) -> Option<&Command> {
        None
    }
}

/// A SASL mechanism.
#[derive(Debug, Clone)]
pub struct Mechanism {
    /// It may put a security layer under the session.
    pub layer: bool,
}

impl Grammar {
    /// The mechanism with this name, in any case.
    #[must_use]
    pub fn mechanism(&self, _name: &[u8]) -> Option<&Mechanism> {
        None
    }
}
