//! In which standard a protocol's rules are written, and where in it.

use crate::event::{Form, Oddity, State};
use crate::grammar::Grammar;

/// The standards whose sections are known here. Protocols that only a grammar describes have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Book {
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

impl Book {
    /// The standard of a protocol.
    #[must_use]
    pub fn of(grammar: &Grammar) -> Self {
        match grammar.form {
            Form::Imap => Book::Imap,
            Form::Codes if grammar.begins == State::Connected => Book::Smtp,
            Form::Pop3 => Book::Pop3,
            Form::Managesieve => Book::Managesieve,
            Form::Codes | Form::Line => Book::Other,
        }
    }

    /// Where the rule is written that an oddity breaks; empty if that is not known.
    #[must_use]
    pub const fn place(self, odd: Oddity) -> &'static str {
        match odd {
            Oddity::BareLf => self.pick(["RFC 9051 section 2.2", "RFC 5321 section 2.3.8", POP3, SIEVE]),
            Oddity::BareCr(_) => {
                self.pick(["RFC 9051 section 9", "RFC 5321 section 2.3.8", POP3, "RFC 5804 section 4"])
            }
            Oddity::Nul(_) => self.pick(["RFC 9051 section 9", "RFC 5321 section 4.1.2", POP3, "RFC 5804 section 4"]),
            Oddity::OpenQuote(_) | Oddity::NotALiteral(_) => self.pick(["RFC 9051 section 4.3", "", "", SIEVE]),
            Oddity::UnknownTag => "RFC 9051 section 2.2.2",
            Oddity::UnexpectedGoAhead => self.pick([
                "RFC 9051 section 7.6",
                "RFC 5321 section 4.2.1",
                "RFC 5034 section 4",
                "RFC 5804 section 2.1",
            ]),
            Oddity::UnexpectedReply => self.pick(["", "RFC 2920 section 3.1", POP3, "RFC 5804 section 1.3"]),
            Oddity::Early => self.pick([
                "RFC 9051 sections 4.3 and 5.5",
                "RFC 2920 section 3.1",
                "RFC 5034 section 4",
                "RFC 5804 section 2.1",
            ]),
            Oddity::Injected | Oddity::InsteadOfTls => self.pick([
                "RFC 9051 section 6.2.1",
                "RFC 3207 section 4.2",
                "RFC 2595 section 4",
                "RFC 5804 section 2.2",
            ]),
            Oddity::InsideIdle | Oddity::StrayDone => "RFC 9051 section 6.3.13",
            Oddity::LiteralRefused => "RFC 9051 section 4.3",
            Oddity::ServerNonSync => "RFC 7888 section 4",
            Oddity::Malformed => "RFC 9051 section 7.1",
            Oddity::CodeChanges => self.pick(["", "RFC 5321 section 4.2.1", "", ""]),
            Oddity::FalseEnd(..) | Oddity::InsideMessage | Oddity::ClosedEarly | Oddity::Smuggled(_) => {
                self.pick(["", "RFC 5321 section 4.1.1.4", "", ""])
            }
            Oddity::NotDeflate | Oddity::InsteadOfDeflate => "RFC 4978 section 3",
            Oddity::Truncated
            | Oddity::CutShort
            | Oddity::Torn
            | Oddity::Unfinished
            | Oddity::Waited(_)
            | Oddity::TooManyInFlight
            | Oddity::Kept
            | Oddity::Unruled
            | Oddity::Ours
            | Oddity::Inferred
            | Oddity::Misread
            | Oddity::LeftOut
            | Oddity::Dropped => "",
        }
    }

    /// Where it is written what a line must look like.
    #[must_use]
    pub const fn lines(self) -> &'static str {
        self.pick(["RFC 9051 section 2.2", "RFC 5321 section 4.2", POP3, SIEVE])
    }

    /// Where it is written that a client may use only what the server offers.
    #[must_use]
    pub const fn offers(self) -> &'static str {
        self.pick(["RFC 9051 section 6.1.1", "RFC 5321 section 2.2.1", "RFC 2449 section 5", "RFC 5804 section 1.7"])
    }

    /// Where it is written how a login goes on in challenges and responses.
    #[must_use]
    pub const fn exchange(self) -> &'static str {
        self.pick(["RFC 9051 section 6.2.2", "RFC 4954 section 4", "RFC 5034 section 4", "RFC 5804 section 2.1"])
    }

    /// Where it is written what TLS does to a session.
    #[must_use]
    pub const fn tls(self) -> &'static str {
        self.place(Oddity::Injected)
    }

    /// The port on which TLS begins at once.
    #[must_use]
    pub const fn tls_port(self) -> Option<u16> {
        match self {
            Book::Imap => Some(993),
            Book::Smtp => Some(465),
            Book::Pop3 => Some(995),
            Book::Managesieve | Book::Other => None,
        }
    }

    const fn pick(self, places: [&'static str; 4]) -> &'static str {
        match self {
            Book::Imap => places[0],
            Book::Smtp => places[1],
            Book::Pop3 => places[2],
            Book::Managesieve => places[3],
            Book::Other => "",
        }
    }
}

/// The rules of lines of POP3.
const POP3: &str = "RFC 1939 section 3";

/// The rules of lines of ManageSieve.
const SIEVE: &str = "RFC 5804 section 1.2";
