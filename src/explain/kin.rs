//! SMTP and LMTP, which differ in their first command only (RFC 2033 section 4.1): which of them a peer speaks, where the route
//! says the other. A server's greeting may name one and mean both, so that only a refusal is proof.

use super::foreign::other;
use super::{Explainer, Met, failed};
use crate::check::Standard;
use crate::check::session::WRONG_PROTOCOL;
use crate::event::{Note, NoteKind, Peer, State, Status};
use crate::exchange::Exchange;
use crate::wire::foreign::{names_lmtp, names_smtp};

/// Where LMTP's greeting is defined.
const PLACE: &str = "RFC 2033 section 4.1";

impl Explainer {
    /// True if the route says LMTP.
    fn is_lmtp(&self) -> bool {
        self.grammar.commands.exact(b"LHLO").is_some()
    }

    /// A server's first reply: it may name the other protocol.
    pub(super) fn kin_of_greeting(&mut self, state: State, shown: &[u8]) {
        if self.standard != Standard::Smtp || state != State::Greeting {
            return;
        }
        let lmtp = self.is_lmtp();
        self.other_kin = if lmtp { names_smtp(shown) } else { names_lmtp(shown) };
        if self.other_kin {
            let (name, scheme) = if lmtp { ("SMTP", "smtp") } else { ("LMTP", "lmtp") };
            let text = format!(
                "the greeting names {name}: if the server speaks only that, the route needs the scheme {scheme}://"
            );
            self.notes.push(Note::new(NoteKind::Session, text, PLACE));
        }
    }

    /// A client's command: it may be the greeting of the other protocol.
    pub(super) fn kin_of_command(&mut self, verb: &[u8]) {
        if self.standard != Standard::Smtp {
            return;
        }
        let lmtp = self.is_lmtp();
        let theirs: &[&[u8]] = if lmtp { &[b"EHLO", b"HELO"] } else { &[b"LHLO"] };
        if theirs.iter().any(|name| verb.eq_ignore_ascii_case(name)) && self.first_time(Met::Status, b"kin") {
            let (name, scheme) = if lmtp { ("SMTP", "smtp") } else { ("LMTP", "lmtp") };
            self.notes.push(WRONG_PROTOCOL.found_in(Peer::Client, other(name, scheme, Peer::Client), PLACE));
        }
    }

    /// A server's reply to the greeting of the route's protocol: with a refusal it shows that it speaks the other one.
    pub(super) fn kin_of_reply(&mut self, exchange: &Exchange, status: Status) {
        let greets = matches!(exchange.verb(), "EHLO" | "LHLO");
        if self.other_kin && greets && failed(status) {
            self.other_kin = false;
            let (name, scheme) = if self.is_lmtp() { ("SMTP", "smtp") } else { ("LMTP", "lmtp") };
            self.notes.push(WRONG_PROTOCOL.found_in(Peer::Server, other(name, scheme, Peer::Server), PLACE));
        }
    }
}
