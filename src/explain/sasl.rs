//! SASL exchanges in words (RFC 4422): each message decoded, what proves the user's identity hidden. Fails closed: a
//! message that is not wholly of its mechanism's shape is hidden whole. Knows no protocol, only the bytes of the messages.
//!
//! A name can be the password in the wrong place, and where both are in one message nothing in it says which is which.
//! So a name is shown at once only if it is an address, or a plain word in a mechanism that does not send the password;
//! any other one is claimed, and shown once the server has accepted the login.

mod speech;

use super::phrase::excerpt;
use crate::event::{Decoded, Peer};
use crate::grammar::{Decode, mechanism};
use crate::wire::coded::decode;
use crate::wire::name::{Spelling, is_name, spelling};
use crate::wire::sasl::{self as shape, NtlmMessage, ScramEnd};

pub use speech::{Said, credible};
use speech::{Speech, clear};

/// Prompts that ask for a user name, in lower case and without colon.
const PROMPTS: [&[u8]; 6] = [b"username", b"user name", b"user", b"userid", b"login", b"login name"];

/// One exchange, from AUTHENTICATE to its answer.
#[derive(Debug)]
pub struct Exchange {
    /// The frame of the AUTHENTICATE command.
    pub frame: u64,
    /// The mechanism's name in upper case, at most 40 octets of it.
    pub mechanism: String,
    /// Who logs in, once that may be shown.
    pub user: Option<String>,
    /// Of SCRAM, the first octet of the client's header: `p` binds to TLS, `y` would have (RFC 5802 section 6).
    pub header: Option<u8>,
    pub(super) decode: Decode,
    /// Fields that the grammar wants hidden beside those that always are; `*` hides all.
    secret: &'static [String],
    show: bool,
    /// Messages of the client so far.
    pub(super) step: u32,
    /// What the last challenge asks for.
    prompt: Prompt,
    /// Of SCRAM, the nonce that the next message has to begin with or to repeat.
    nonce: Box<[u8]>,
    claim: Option<Box<Claim>>,
}

/// What a challenge asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    /// There was none.
    None,
    /// A user name, in words that are known.
    Name,
    /// Something else, perhaps the password.
    Other,
}

/// Names that may be shown once the server has accepted the login.
struct Claim {
    /// Who logs in.
    user: Vec<u8>,
    /// All names that are hidden until then.
    names: Vec<Vec<u8>>,
    /// The message in words, with the names.
    text: String,
    /// The password is still to come (LOGIN).
    waits: bool,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<hidden>")
    }
}

/// A login that the server has accepted.
#[derive(Default)]
pub struct Accepted {
    /// The client's message in words, with the names that were hidden; empty if none was.
    pub text: String,
    /// Names that are no secrets any more.
    pub names: Vec<Vec<u8>>,
}

impl Exchange {
    /// A new exchange; a mechanism that is not known is hidden whole.
    #[must_use]
    pub fn begin(name: &[u8], frame: u64, show: bool) -> Self {
        let known = mechanism(name);
        let decode = known.map_or(Decode::Opaque, |m| m.decode);
        let name = excerpt(&name[..name.len().min(40)]).to_ascii_uppercase();
        let secret = known.map_or(&[][..], |m| m.secret.as_slice());
        Exchange {
            frame,
            mechanism: name,
            user: None,
            header: None,
            decode,
            secret,
            show,
            step: 0,
            prompt: Prompt::None,
            nonce: Box::default(),
            claim: None,
        }
    }

    /// Lines were lost or belong to two exchanges, so that it is not known which this is: from here on all are hidden.
    pub fn confuse(&mut self) {
        self.decode = Decode::Opaque;
        self.step += 1;
        self.user = None;
        self.claim = None;
    }

    /// Takes over what was found in a message before its secrets were hidden; `spoken`: it was the client's.
    pub fn take_over(&mut self, decoded: &Decoded, spoken: bool) {
        self.step = self.step.max(u32::from(spoken));
        self.mechanism.clone_from(&decoded.mechanism);
        self.user.clone_from(&decoded.user);
        self.header = decoded.header;
    }

    /// The server has accepted the login: who logs in may be shown.
    pub fn accept(&mut self) -> Accepted {
        let Some(claim) = self.claim.take().filter(|claim| !claim.waits) else { return Accepted::default() };
        self.user = Some(excerpt(&claim.user));
        Accepted { text: claim.text, names: claim.names }
    }

    /// True if the client has sent nothing that could log in, by a mechanism that needs something.
    #[must_use]
    pub fn silent(&self) -> bool {
        self.step == 0 && !matches!(self.mechanism.as_str(), "EXTERNAL" | "ANONYMOUS")
    }

    /// A client's message as it stands on the wire, without line end.
    pub fn client(&mut self, line: &[u8]) -> Said {
        let line = line.trim_ascii();
        let step = self.step;
        self.step += 1;
        let mut out = self.speech();
        out.said.hide = true;
        if line.is_empty() || line == b"=" {
            out.word("(empty)");
            out.said.hide = false;
            return out.said;
        }
        let Some(message) = decode(line) else {
            self.claim = None;
            out.word("(not base64)");
            out.message(line);
            out.said.loose.extend(remains(line));
            return out.said;
        };
        let read = match self.decode {
            Decode::Plain => self.plain(&mut out, &message),
            Decode::Login => self.login(&mut out, step, &message),
            Decode::CramMd5 => cram(&mut out, &message),
            Decode::Digest => digest(&mut out, &message, Peer::Client),
            Decode::Scram => self.scram(&mut out, step, &message),
            Decode::Oauthbearer => bearer(&mut out, &message, true),
            Decode::Xoauth2 => bearer(&mut out, &message, false),
            Decode::External => external(&mut out, &message),
            Decode::Anonymous => anonymous(&mut out, &message),
            Decode::Ntlm => ntlm(&mut out, &message, Peer::Client),
            Decode::Otp => otp(&mut out, step, &message),
            Decode::Opaque => {
                out.message(&message);
                Some(())
            }
        };
        if read.is_none() {
            let mut said = self.misshapen(&message);
            said.loose.push(line.to_vec());
            return said;
        }
        if let Some(user) = &out.user {
            self.user = Some(excerpt(user));
        }
        if let Some(user) = out.claimed {
            let (names, text) = (std::mem::take(&mut out.names), std::mem::take(&mut out.later));
            self.claim = Some(Box::new(Claim { user, names, text, waits: self.decode == Decode::Login }));
        }
        out.said
    }

    /// A server's challenge as it stands after `+ `.
    pub fn server(&mut self, text: &[u8]) -> Said {
        let text = text.trim_ascii();
        let mut out = self.speech();
        out.word("challenge");
        self.prompt = Prompt::Other;
        if text.is_empty() || text == b"=" {
            out.word("(empty)");
            return out.said;
        }
        let Some(message) = decode(text) else {
            // Exchange answers AUTHENTICATE NTLM with a sentence instead of base64.
            self.prompt = asks(text);
            out.word("(not base64)");
            out.said.hide = self.decode == Decode::Opaque;
            if !out.said.hide {
                out.field("text", text);
            }
            return out.said;
        };
        self.prompt = asks(&message);
        out.said.hide = true;
        let read = match self.decode {
            Decode::Scram => self.scram_challenge(&mut out, &message),
            Decode::Digest => {
                out.said.hide = contains(&message, b"rspauth");
                digest(&mut out, &message, Peer::Server)
            }
            Decode::Ntlm => ntlm(&mut out, &message, Peer::Server),
            Decode::Opaque => {
                out.hidden("message", &message);
                Some(())
            }
            _ if clear(&message) => {
                out.said.hide = false;
                out.field(if message.first() == Some(&b'{') { "error" } else { "text" }, &message);
                Some(())
            }
            _ => {
                out.hidden("message", &message);
                Some(())
            }
        };
        if read.is_none() {
            let mut out = self.speech();
            out.said.hide = true;
            out.word("challenge");
            out.word("(not of this mechanism's shape)");
            out.hidden("message", &message);
            return out.said;
        }
        out.said
    }

    fn speech(&self) -> Speech {
        Speech::begin(&self.mechanism, self.secret, self.show)
    }

    /// A message that is not wholly of its mechanism's shape.
    fn misshapen(&mut self, message: &[u8]) -> Said {
        self.claim = None;
        let mut out = self.speech();
        out.said.hide = true;
        out.word("(not of this mechanism's shape)");
        out.message(message);
        out.said
    }

    fn plain(&mut self, out: &mut Speech, message: &[u8]) -> Option<()> {
        let parts = shape::plain(message, self.mechanism != "PLAIN")?;
        if !parts.authzid.is_empty() {
            out.beside("authzid", parts.authzid, Spelling::Address, parts.password);
        }
        out.name("authcid", parts.authcid, Spelling::Address, parts.password);
        if let Some(extra) = parts.extra {
            out.said.secrets.push(extra.to_vec());
        }
        if parts.password.iter().any(u8::is_ascii_whitespace) {
            out.message_as("pass", parts.password);
        } else {
            out.hidden("pass", parts.password);
        }
        Some(())
    }

    fn login(&mut self, out: &mut Speech, step: u32, message: &[u8]) -> Option<()> {
        if step == 0 && self.prompt != Prompt::Other && is_name(message) {
            out.name("user", message, Spelling::Address, b"");
            return Some(());
        }
        if let Some(claim) = &mut self.claim {
            claim.waits = step != 1 || !credible(&claim.user, message);
        }
        out.message_as("pass", message);
        Some(())
    }

    fn scram(&mut self, out: &mut Speech, step: u32, message: &[u8]) -> Option<()> {
        if step == 0 {
            self.header = message.first().copied();
            let first = shape::scram_first(message)?;
            match first.gs2.flag {
                b'n' => out.word("no channel binding"),
                b'y' => out.word("server lacks channel binding"),
                _ => out.field("binding", first.gs2.binding.unwrap_or_default()),
            }
            if !first.gs2.authzid.is_empty() {
                out.beside("authzid", &first.gs2.authzid, Spelling::Word, b"");
            }
            out.name("user", &first.user, Spelling::Word, b"");
            out.field("nonce", first.nonce);
            if first.more {
                out.hidden("other", b"");
            }
            self.nonce = first.nonce.into();
            return Some(());
        }
        let proof = shape::scram_proof(message, &self.nonce)?;
        out.field("nonce", &self.nonce);
        out.hidden("proof", proof);
        Some(())
    }

    fn scram_challenge(&mut self, out: &mut Speech, message: &[u8]) -> Option<()> {
        if self.step == 1 && message.starts_with(b"r=") && !self.nonce.is_empty() {
            let [nonce, salt, rounds] = shape::scram_challenge(message, &self.nonce)?;
            out.said.hide = false;
            out.field("nonce", nonce);
            out.field("salt", salt);
            out.field("iterations", rounds);
            self.nonce = nonce.into();
            return Some(());
        }
        match shape::scram_end(message)? {
            ScramEnd::Signature(signature) => out.hidden("signature", signature),
            ScramEnd::Error(error) => out.field("error", error),
        }
        Some(())
    }
}

fn cram(out: &mut Speech, message: &[u8]) -> Option<()> {
    let (user, digest) = shape::cram(message)?;
    out.name("user", user, Spelling::Word, b"");
    out.hidden("digest", digest);
    Some(())
}

fn digest(out: &mut Speech, message: &[u8], from: Peer) -> Option<()> {
    const SHOWN: [&str; 11] =
        ["realm", "nonce", "cnonce", "nc", "qop", "digest-uri", "charset", "algorithm", "maxbuf", "cipher", "stale"];
    let pairs = shape::digest(message)?;
    // A client says who it is and proves it; a server draws a nonce or proves itself.
    let has = |name: &str| pairs.iter().any(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
    let whole = match from {
        Peer::Client => has("username") && has("nonce") && has("response"),
        Peer::Server if has("rspauth") => pairs.len() == 1,
        Peer::Server => has("nonce") && !has("username") && !has("response"),
    };
    if !whole {
        return None;
    }
    for (key, value) in &pairs {
        match SHOWN.iter().find(|shown| key.eq_ignore_ascii_case(shown.as_bytes())) {
            Some(key) => out.field(key, value),
            None if key.eq_ignore_ascii_case(b"username") => out.name("username", value, Spelling::Word, b""),
            None if key.eq_ignore_ascii_case(b"authzid") => out.beside("authzid", value, Spelling::Word, b""),
            None if key.eq_ignore_ascii_case(b"response") => out.hidden("response", value),
            None if key.eq_ignore_ascii_case(b"rspauth") => out.hidden("rspauth", value),
            None => out.hidden("other", value),
        }
    }
    Some(())
}

/// OAUTHBEARER and its kin with a GS2 header, XOAUTH2 without.
fn bearer(out: &mut Speech, message: &[u8], gs2: bool) -> Option<()> {
    if message == b"\x01" {
        out.word("(takes note of the error)");
        return Some(());
    }
    let parts = if gs2 { shape::oauthbearer(message) } else { shape::xoauth2(message) }?;
    if !parts.user.is_empty() {
        out.name("user", &parts.user, Spelling::Address, parts.token);
    }
    for (key, value) in parts.pairs {
        match key {
            b"host" => out.field("host", value),
            b"port" => out.field("port", value),
            b"auth" => {
                out.hidden("auth", value);
                out.said.secrets.push(parts.token.to_vec());
            }
            _ => out.hidden("other", value),
        }
    }
    Some(())
}

/// A message that is a name and nothing else, if it is that.
fn external(out: &mut Speech, message: &[u8]) -> Option<()> {
    alone(message).then(|| out.name("authzid", message, Spelling::Address, b""))
}

/// A message that says who the guest is, in words that nobody checks.
fn anonymous(out: &mut Speech, message: &[u8]) -> Option<()> {
    if spelling(message) < Spelling::Address {
        return None;
    }
    out.name("trace", message, Spelling::Address, b"");
    Some(())
}

/// True for a name that nothing beside it bears out, and that is hardly a password all the same.
fn alone(name: &[u8]) -> bool {
    spelling(name) > Spelling::Any
}

/// Text messages of one-time passwords (RFC 2444): the first names the user.
fn otp(out: &mut Speech, step: u32, message: &[u8]) -> Option<()> {
    if step > 0 {
        out.message_as("response", message);
        return Some(());
    }
    let (authzid, user) = shape::otp(message).filter(|(_, user)| alone(user))?;
    if !authzid.is_empty() {
        out.beside("authzid", authzid, Spelling::Address, b"");
    }
    out.name("authcid", user, Spelling::Address, b"");
    Some(())
}

/// NTLMSSP messages: names are shown, challenges and responses are not.
fn ntlm(out: &mut Speech, message: &[u8], from: Peer) -> Option<()> {
    match shape::ntlm(message)? {
        NtlmMessage::Challenge(..) if from == Peer::Client => return None,
        NtlmMessage::Negotiate | NtlmMessage::Authenticate(_) if from == Peer::Server => return None,
        NtlmMessage::Negotiate => out.word("negotiate"),
        NtlmMessage::Challenge(target, challenge) => {
            out.field("target", &target);
            out.hidden("challenge", challenge);
        }
        NtlmMessage::Authenticate(names) => {
            out.field("domain", &names.domain);
            if !names.user.is_empty() {
                out.name("user", &names.user, Spelling::Word, b"");
            }
            out.field("workstation", &names.workstation);
            out.hidden("responses", message);
        }
    }
    Some(())
}

/// What base64 there is in a message that is not all base64, decoded.
fn remains(line: &[u8]) -> Option<Vec<u8>> {
    let letters = line.iter().filter_map(|&byte| match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        byte => (byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).then_some(byte),
    });
    let letters: Vec<u8> = letters.collect();
    decode(&letters[..letters.len() - usize::from(letters.len() % 4 == 1)])
}

/// What a prompt asks for; one that is not known may ask for the password, in any language.
fn asks(prompt: &[u8]) -> Prompt {
    let prompt = prompt.trim_ascii();
    let prompt = prompt.strip_suffix(b":").unwrap_or(prompt).trim_ascii_end();
    let known = PROMPTS.iter().any(|known| prompt.eq_ignore_ascii_case(known));
    if known { Prompt::Name } else { Prompt::Other }
}

fn contains(message: &[u8], word: &[u8]) -> bool {
    message.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
