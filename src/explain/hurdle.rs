//! What stands in the way of a login because imapscope stands between: TLS that ends here, to which a client cannot bind
//! (RFC 5802 section 6, RFC 9266), and STARTTLS that a rule hides from a client that would need it.

use super::Explainer;
use super::phrase;
use super::sasl::Exchange;
use crate::check::Standard;
use crate::check::tls::CHANNEL_BINDING;
use crate::event::{Note, NoteKind, Peer, Status};
use crate::exchange::capability::{Names, word};
use crate::grammar::Then;

/// What is known of it on one connection, and what was told already.
#[derive(Debug, Default)]
pub(super) struct Hurdles {
    /// The legs to `[client, server]` are under TLS of ours.
    pub legs: [bool; 2],
    /// A rule keeps STARTTLS from the client.
    hidden: bool,
    /// Told of a list, of a login that needs TLS, of a refusal.
    told: [bool; 3],
    /// The frame of the exchange that was told of last.
    exchange: Option<u64>,
}

/// Where channel bindings are written down.
const BINDING: &str = "RFC 5802 section 6";

/// What a refusal may say in words if it wants TLS. In codes: RFC 3207 section 4, RFC 5248 section 2.4, RFC 4643 section 2.1.
const WORDS: [&[u8]; 4] = [b"TLS", b"SSL", b"STLS", b"encrypt"];

impl Explainer {
    /// After a capability list: what in it cannot work.
    pub(super) fn hurdles_of_list(&mut self) {
        let (server, client) = self.connection.offers.sides();
        let tls = |names: &Names| names.has("STARTTLS") || names.has("STLS");
        self.hurdles.hidden = tls(server) && !tls(client);
        let bound: Vec<&str> = client.iter().filter(|name| binds(name)).take(8).collect();
        if self.hurdles.legs.contains(&true) && !bound.is_empty() && !self.hurdles.told[0] {
            let text = format!(
                "{}: not possible through a proxy that ends TLS, as the login is bound to the TLS of one leg and checked on the \
                 other; hide it (--drop-cap 'AUTH=*-PLUS'), or let TLS pass (--starttls relay)",
                phrase::names(&bound)
            );
            self.hurdles.told[0] = true;
            self.notes.push(Note::new(NoteKind::Session, text, BINDING));
        }
        let (_, client) = self.connection.offers.sides();
        let login = |name: &str| {
            let word = word(name);
            word.eq_ignore_ascii_case("AUTH") || word.eq_ignore_ascii_case("USER") || has_head(word, "AUTH=")
        };
        let text = if !self.hurdles.hidden || self.hurdles.told[1] {
            return;
        } else if self.standard == Standard::Imap && client.has("LOGINDISABLED") {
            "LOGINDISABLED while STARTTLS is hidden: a client gives up here; hide it too (--drop-cap LOGINDISABLED), and reach the \
             server with TLS (imaps:// or imap+starttls://), so that it takes logins"
        } else if matches!(self.standard, Standard::Smtp | Standard::Pop3 | Standard::Managesieve)
            && !client.iter().any(login)
        {
            "no way to log in while STARTTLS is hidden: many servers tell of logins under TLS only; reach the server with TLS \
             (a scheme with s or +starttls), so that it does"
        } else {
            return;
        };
        let place = self.standard.tls();
        let place = if self.standard == Standard::Imap { "RFC 9051 section 6.2.3" } else { place };
        self.hurdles.told[1] = true;
        self.notes.push(Note::new(NoteKind::Session, text, place));
    }

    /// After a message of the client's in an exchange: whether it can succeed.
    pub(super) fn hurdles_of_login(&mut self) {
        let Some(exchange) = &self.exchange else { return };
        let Some(text) = self.doomed(exchange) else { return };
        if self.hurdles.exchange.replace(exchange.frame) != Some(exchange.frame) {
            let text = format!("{text}; neither peer is at fault");
            self.notes.push(CHANNEL_BINDING.found_in(Peer::Client, text, BINDING));
        }
    }

    /// Why an exchange fails because of imapscope.
    fn doomed(&self, exchange: &Exchange) -> Option<&'static str> {
        let (server, client) = self.connection.offers.sides();
        let offered = |names: &Names| names.iter().any(binds);
        if binds(&exchange.mechanism) && self.hurdles.legs.contains(&true) {
            Some(
                "imapscope ends TLS, and this login is bound to the TLS of one leg: the server, which sees the other, has to \
                 refuse it; hide -PLUS (--drop-cap 'AUTH=*-PLUS')",
            )
        } else if exchange.header == Some(b'y') && offered(server) && !offered(client) {
            Some(
                "the client would have bound to TLS and was not offered it, as a rule hides -PLUS: the server takes this for a \
                 downgrade and has to refuse it; switch channel binding off in the client, or hide SCRAM (--drop-cap 'AUTH=SCRAM-*')",
            )
        } else {
            None
        }
    }

    /// A command was refused: because of imapscope?
    pub(super) fn hurdles_of_refusal(
        &mut self,
        then: Option<Then>,
        exchange: Option<&Exchange>,
        status: Status,
        code: Option<&[u8]>,
        shown: &[u8],
    ) {
        if !matches!(status, Status::No | Status::Bad) {
            return;
        }
        if exchange.is_some_and(|exchange| self.doomed(exchange).is_some()) {
            let text = "as was to be expected of a login that is bound to the TLS of the other leg, or would have been";
            self.notes.push(Note::new(NoteKind::Session, text, BINDING));
        }
        let code = code.unwrap_or_default();
        let named = ["PRIVACYREQUIRED", "ENCRYPT-NEEDED"].iter().any(|name| code.eq_ignore_ascii_case(name.as_bytes()));
        let numbered = matches!(self.standard, Standard::Smtp | Standard::Other)
            && [&b"538"[..], b"523", b"483"].iter().any(|number| shown.starts_with(number));
        let says = |word: &&[u8]| shown.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
        let wants = named || numbered || WORDS.iter().any(says);
        if self.hurdles.hidden && wants && then != Some(Then::Tls) && !self.hurdles.told[2] {
            let text = "the server wants TLS first, and STARTTLS is hidden from the client: reach the server with TLS (a scheme \
                        with s or +starttls), or do not hide it";
            self.hurdles.told[2] = true;
            self.notes.push(Note::new(NoteKind::Session, text, self.standard.tls()));
        }
    }
}

/// True for a mechanism that binds to TLS, by itself or as a capability (RFC 5802 section 4).
fn binds(name: &str) -> bool {
    let name = word(name);
    name.len().checked_sub(5).and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case("-PLUS"))
}

fn has_head(name: &str, head: &str) -> bool {
    name.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head))
}
