//! Maps each protocol to the standard that defines it.

use crate::event::{Form, State};
use crate::grammar::Grammar;

/// The standards whose sections are known here. Protocols that only a grammar describes have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// RFC 9051.
    Imap,
    /// RFC 5321, and LMTP with it.
    Smtp,
    /// RFC 1939.
    Pop3,
    /// RFC 5804.
    Managesieve,
    /// None.
    Other,
}

impl Standard {
    /// The standard of a protocol.
    #[must_use]
    pub fn of(grammar: &Grammar) -> Self {
        match grammar.form {
            Form::Imap => Standard::Imap,
            Form::Codes if grammar.begins == State::Connected => Standard::Smtp,
            Form::Pop3 => Standard::Pop3,
            Form::Managesieve => Standard::Managesieve,
            Form::Codes | Form::Line => Standard::Other,
        }
    }

    /// The standard of the built-in protocol of this name.
    #[must_use]
    pub fn named(protocol: &str) -> Self {
        match protocol {
            "imap" => Standard::Imap,
            "smtp" | "lmtp" => Standard::Smtp,
            "pop3" => Standard::Pop3,
            "managesieve" => Standard::Managesieve,
            _ => Standard::Other,
        }
    }

    /// Where it is written how a refused literal is answered.
    #[must_use]
    pub const fn literal_refused(self) -> &'static str {
        self.pick(["RFC 9051 section 4.3", "", "", ""])
    }

    /// Where it is written what TLS does to a session.
    #[must_use]
    pub const fn tls(self) -> &'static str {
        self.pick(super::tls::STARTTLS_INJECTION.rfc)
    }

    /// The port on which TLS begins at once.
    #[must_use]
    pub const fn tls_port(self) -> Option<u16> {
        match self {
            Standard::Imap => Some(993),
            Standard::Smtp => Some(465),
            Standard::Pop3 => Some(995),
            Standard::Managesieve | Standard::Other => None,
        }
    }

    /// Of what IMAP, SMTP, POP3 and ManageSieve have, that of this one; empty for others.
    #[must_use]
    pub const fn pick(self, places: [&'static str; 4]) -> &'static str {
        match self {
            Standard::Imap => places[0],
            Standard::Smtp => places[1],
            Standard::Pop3 => places[2],
            Standard::Managesieve => places[3],
            Standard::Other => "",
        }
    }
}
