//! Who logs in, for conditions of rules: the name stands in the command, or in what SASL sends; it counts once the server has
//! agreed. A name in a literal is not looked at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Session;
use super::dialogue::InFlight;
use super::secret::{first_word, unquoted};
use crate::event::{Kind, Peer, Reading, State, Status};
use crate::grammar::{Decode, Then, mechanism};
use crate::wire::name::is_name;
use crate::wire::sasl;

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
    /// How the responses of its mechanism look.
    decode: Option<Decode>,
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
                    self.login.decode = mechanism(first).map(|known| known.decode);
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
        let name = self.login.decode.and_then(|decode| named(decode, &plain));
        self.login.tried = name.as_deref().and_then(short).map(|name| (frame, name));
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

/// Returns the name in a first response that is wholly of its mechanism's shape.
fn named(decode: Decode, plain: &[u8]) -> Option<Vec<u8>> {
    match decode {
        Decode::Plain => sasl::plain(plain, true).map(|parts| parts.authcid.to_vec()),
        Decode::Login => is_name(plain).then(|| plain.to_vec()),
        Decode::CramMd5 => sasl::cram(plain).map(|(name, _)| name.to_vec()),
        Decode::Scram => sasl::scram_first(plain).map(|first| first.user),
        Decode::Oauthbearer => sasl::oauthbearer(plain).map(|parts| parts.user),
        Decode::Xoauth2 => sasl::xoauth2(plain).map(|parts| parts.user),
        Decode::Otp => sasl::otp(plain).map(|(_, name)| name.to_vec()),
        Decode::Digest | Decode::External | Decode::Anonymous | Decode::Ntlm | Decode::Opaque => None,
    }
}

fn short(name: &[u8]) -> Option<Box<str>> {
    (1..=NAME).contains(&name.len()).then(|| String::from_utf8_lossy(name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_shape() {
        for (decode, plain, name) in [
            (Decode::Plain, &b"\0bob\0secret"[..], Some(&b"bob"[..])),
            (Decode::Plain, b"admin\0bob\0secret", Some(b"bob")),
            (Decode::Plain, b"bob\0secret\0", None),
            (Decode::Login, b"bob", Some(b"bob")),
            (Decode::CramMd5, b"bob 0123456789abcdef0123456789abcdef", Some(b"bob")),
            (Decode::Xoauth2, b"user=bob\x01auth=Bearer x\x01\x01", Some(b"bob")),
            (Decode::Xoauth2, b"user=bob^Aauth=Bearer x^A^A", None),
            (Decode::Scram, b"n,,n=bob,r=abc", Some(b"bob")),
            (Decode::Oauthbearer, b"n,a=bob,\x01auth=Bearer x\x01\x01", Some(b"bob")),
            (Decode::Scram, b"c=biws,r=abc,p=xyz", None),
            (Decode::Opaque, b"bob", None),
        ] {
            assert_eq!(named(decode, plain).as_deref(), name, "{}", plain.escape_ascii());
        }
        assert_eq!((short(b""), short(&[b'x'; 257])), (None, None));
    }
}
