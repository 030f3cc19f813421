//! Who logs in, for conditions of rules: the name stands in the command, or in what SASL sends; it counts once the server has
//! agreed. A name in a literal is not looked at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Session;
use super::dialogue::InFlight;
use super::secret::{first_word, unquoted};
use crate::event::{Kind, Peer, Reading, State, Status};
use crate::grammar::Then;

/// The longest name that is remembered, in octets.
const NAME: usize = 256;

/// The largest response of SASL that is looked at, in octets.
const RESPONSE: usize = 4096;

/// Who may be about to log in.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// The name that USER has given (RFC 1939 section 7).
    named: Option<Box<str>>,
    /// The login that waits for its reply, and its name.
    tried: Option<(u64, Box<str>)>,
    /// Its first response is the name itself.
    bare: bool,
}

impl Session {
    /// A text of the client's, of the command in this frame, may name who logs in.
    pub(super) fn name_user(&mut self, from: Peer, frame: u64, text: &[u8], reading: &Reading) {
        if from != Peer::Client || !self.rules.asks_for_user() {
            return;
        }
        match reading.kind {
            Kind::Command { verb, arguments, .. } => {
                let Some(known) = self.grammar.command(verb.of(text)) else { return };
                let arguments = arguments.of(text);
                let first = unquoted(first_word(arguments));
                if known.then == Some(Then::Sasl) {
                    self.login.bare = first.eq_ignore_ascii_case(b"LOGIN");
                    let response = arguments.split(|&b| b == b' ').filter(|word| !word.is_empty()).nth(1);
                    self.try_response(frame, response.unwrap_or_default());
                } else if known.name == "USER" {
                    self.login.named = short(first);
                } else if known.secret.is_some()
                    && matches!(known.on_ok, Some(State::Authenticated | State::Transaction))
                {
                    // PASS has the password alone.
                    let alone = known.secret == Some(crate::grammar::Secret::All);
                    let name = if alone { self.login.named.clone() } else { short(first) };
                    self.login.tried = name.map(|name| (frame, name));
                }
            }
            Kind::Sasl => {
                let sasl = self.lanes[Peer::Client.index()].sasl;
                self.try_response(sasl.unwrap_or(frame), crate::wire::body(text));
            }
            _ => {}
        }
    }

    /// A response of SASL may hold the name; what comes later in the same login does not.
    fn try_response(&mut self, frame: u64, response: &[u8]) {
        let response = unquoted(response);
        if self.login.tried.as_ref().is_some_and(|(tried, _)| *tried == frame) || response.len() > RESPONSE {
            return;
        }
        let Ok(plain) = STANDARD.decode(response) else { return };
        let name = if self.login.bare { Some(&*plain) } else { named(&plain) };
        self.login.tried = name.and_then(short).map(|name| (frame, name));
    }

    /// A command has its last reply.
    pub(super) fn settle_user(&mut self, command: &InFlight, status: Status) {
        if status == Status::Ok && command.then == Some(Then::Reset) {
            self.user = Box::default();
        }
        if let Some((_, name)) = self.login.tried.take_if(|(frame, _)| *frame == command.frame)
            && status == Status::Ok
        {
            self.user = name;
        }
    }
}

/// The name in a response: of PLAIN (RFC 4616 section 2), SCRAM (RFC 5802 section 7), OAUTHBEARER (RFC 7628 section 3.1) or
/// XOAUTH2.
fn named(plain: &[u8]) -> Option<&[u8]> {
    let mut parts = plain.split(|&b| b == 0);
    if let (Some(_), Some(name), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) {
        return Some(name);
    }
    if let Some(rest) = plain.strip_prefix(b"user=") {
        return rest.split(|&b| b == 1).next();
    }
    let words = plain.split(|&b| b == b',' || b == 1).skip(1).take(2);
    words.filter_map(|word| word.strip_prefix(b"n=").or_else(|| word.strip_prefix(b"a="))).next()
}

fn short(name: &[u8]) -> Option<Box<str>> {
    (1..=NAME).contains(&name.len()).then(|| String::from_utf8_lossy(name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_shape() {
        for (plain, name) in [
            (&b"\0bob\0secret"[..], Some(&b"bob"[..])),
            (b"admin\0bob\0secret", Some(b"bob")),
            (b"user=bob\x01auth=Bearer x\x01\x01", Some(b"bob")),
            (b"n,,n=bob,r=abc", Some(b"bob")),
            (b"n,a=bob,\x01auth=Bearer x\x01\x01", Some(b"bob")),
            (b"c=biws,r=abc,p=xyz", None),
            (b"", None),
        ] {
            assert_eq!(named(plain), name, "{}", plain.escape_ascii());
        }
        assert_eq!((short(b""), short(&[b'x'; 257])), (None, None));
    }
}
