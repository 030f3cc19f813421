//! What the refusal of a login means. It judges name and password only if these were sent: a server that refuses before it
//! asked for them, or for the password, says nothing about them, whatever its code says.

use super::Explainer;
use super::sasl::Exchange;
use crate::check::Standard;
use crate::check::session::SASL_EARLY_SUCCESS;
use crate::event::{Note, NoteKind, Peer};
use crate::exchange::{self, Sent};
use crate::grammar::{Command, Decode, Then, mechanism};

/// What the line of a command says of a login, without what may follow it.
pub(super) fn sent_with(standard: Standard, known: Option<&Command>, arguments: &[u8]) -> Sent {
    let Some(known) = known else { return Sent::All };
    let mut words = arguments.split(|&b| b == b' ').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    match (known.name.as_str(), first.as_slice()) {
        // With more after the name, that may be the password.
        ("USER", _) if standard == Standard::Pop3 && words.clone().next().is_none() => Sent::Name,
        ("AUTHINFO", b"USER") => Sent::Name,
        ("AUTHINFO", b"SIMPLE") => Sent::Nothing,
        ("AUTHINFO", b"SASL") if words.nth(1).is_none() => Sent::Nothing,
        _ => Sent::All,
    }
}

impl Exchange {
    /// How far it has got. One of which it is not known which message is which is opaque.
    #[must_use]
    pub fn sent(&self) -> Sent {
        match (self.step, self.decode) {
            (_, Decode::External | Decode::Anonymous) => Sent::Identity,
            // The first message of NTLM names nobody.
            (0, _) | (1, Decode::Ntlm) => Sent::Nothing,
            (1, Decode::Login | Decode::Scram | Decode::Otp) => Sent::Name,
            _ => Sent::All,
        }
    }
}

impl Explainer {
    /// How far the login of this frame has got. [`Sent::All`] for every other command.
    pub(super) fn sent(&self, frame: Option<u64>) -> Sent {
        let Some(pending) = frame.and_then(|frame| self.connection.find(frame)) else { return Sent::All };
        if pending.then == Some(Then::Sasl) {
            if pending.sent == Sent::Cancelled {
                return pending.sent;
            }
            let exchange = self.exchange.as_ref().filter(|exchange| exchange.frame == pending.frame);
            return exchange.map_or(Sent::All, |exchange| exchange.sent());
        }
        if pending.login && pending.unsent {
            // It waits to send a literal: the name, or the password after it.
            let named = pending.subject.is_some() || self.has_named(pending.frame);
            return if named { Sent::Name } else { Sent::Nothing };
        }
        pending.sent
    }

    /// Says what the refusal of a login does not mean. `claims`: its code speaks of credentials.
    pub(super) fn not_judged(
        &mut self,
        pending: &exchange::Exchange,
        exchange: Option<&Exchange>,
        sent: Sent,
        claims: bool,
    ) {
        let verb = self.verb(pending);
        let name = exchange.map_or("", |exchange| exchange.mechanism.as_str());
        let text = match sent {
            Sent::All => return,
            Sent::Nothing => {
                let blank = if name.is_empty() { "" } else { " " };
                let first = mechanism(name).is_some_and(|known| known.client_first);
                let at_once =
                    self.standard != Standard::Imap || self.connection.offers.offers(&self.grammar, "SASL-IR");
                let hint = if claims && first && at_once {
                    "; a client can send the initial response in the same line"
                } else {
                    ""
                };
                format!("no credentials were asked for or judged: {verb}{blank}{name} itself was refused{hint}")
            }
            Sent::Name => "only the user name was sent: no password was asked for or judged".to_owned(),
            Sent::Cancelled => "the client had cancelled the login: no credentials were judged".to_owned(),
            Sent::Identity if name == "EXTERNAL" => {
                let tls = self.hurdles.legs[Peer::Server.index()];
                let ours = if tls { ", and imapscope presents none" } else { "" };
                format!("EXTERNAL sends no password: the server goes by the client's TLS certificate{ours}")
            }
            Sent::Identity => format!("{name} sends no password that could be judged"),
        };
        self.notes.push(Note::new(NoteKind::Session, text, SASL_EARLY_SUCCESS.section(self.standard)));
    }

    /// True if a reply's number or code speaks of credentials.
    pub(super) fn claims(&self, word: &[u8], code: Option<&[u8]>) -> bool {
        let number = self.grammar.response(word).is_some_and(|known| known.credentials);
        let code = code.unwrap_or_default().split(|&b| b == b' ').next().unwrap_or_default();
        number || self.known_code(code).is_some_and(|known| known.credentials)
    }
}
