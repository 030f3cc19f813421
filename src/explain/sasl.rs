//! SASL exchanges in words (RFC 4422): each message decoded, what proves the user's identity hidden. Fails closed: a
//! message that does not have its mechanism's shape is hidden whole. Knows no protocol, only the octets of the messages.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::phrase::{excerpt, quote};
use crate::event::Decoded;
use crate::grammar::{Decode, mechanism};

/// Base64 as peers write it: padded or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The most key-value pairs of one message that are shown.
const MAX_PAIRS: usize = 24;

/// Octets from base64, if it is base64.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    LENIENT.decode(text.trim_ascii()).ok()
}

/// One exchange, from AUTHENTICATE to its answer.
#[derive(Debug)]
pub struct Exchange {
    /// The frame of the AUTHENTICATE command.
    pub frame: u64,
    /// The mechanism's name in upper case, at most 40 octets of it.
    pub mechanism: String,
    /// Who logs in, once a message has said so.
    pub user: Option<String>,
    /// Of SCRAM, the first octet of the client's header: `p` binds to TLS, `y` would have (RFC 5802 section 6).
    pub header: Option<u8>,
    pub(super) decode: Decode,
    /// Fields that the grammar wants hidden beside those that always are; `*` hides all.
    secret: &'static [String],
    show: bool,
    /// Messages of the client so far.
    pub(super) step: u32,
    /// The last challenge asks for something that is no user name, as far as can be told.
    asked: bool,
}

/// What a message says.
#[derive(Debug, Default)]
pub struct Said {
    /// In words, secrets masked.
    pub text: String,
    /// The secrets in it, decoded.
    pub secrets: Vec<Vec<u8>>,
    /// True if its base64 must not be shown.
    pub hide: bool,
}

impl Exchange {
    /// A new exchange; a mechanism that is not known is hidden whole.
    #[must_use]
    pub fn begin(name: &[u8], frame: u64, show: bool) -> Self {
        let known = mechanism(name);
        let decode = known.map_or(Decode::Opaque, |m| m.decode);
        let name = excerpt(&name[..name.len().min(40)]).to_ascii_uppercase();
        let secret = known.map_or(&[][..], |m| m.secret.as_slice());
        Exchange { frame, mechanism: name, user: None, header: None, decode, secret, show, step: 0, asked: false }
    }

    /// Lines were lost or belong to two exchanges, so that it is not known which this is: from here on all are hidden.
    pub fn confuse(&mut self) {
        self.decode = Decode::Opaque;
        self.step += 1;
        self.user = None;
    }

    /// Takes over what was found in a message before its secrets were hidden; `spoken`: it was the client's.
    pub fn take_over(&mut self, decoded: &Decoded, spoken: bool) {
        self.step = self.step.max(u32::from(spoken));
        self.mechanism.clone_from(&decoded.mechanism);
        self.user.clone_from(&decoded.user);
        self.header = decoded.header;
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
            out.word("(not base64)");
            out.hidden("message", line);
            return out.said;
        };
        match self.decode {
            Decode::Plain => self.plain(&mut out, &message),
            Decode::Login => self.login(&mut out, step, &message),
            Decode::CramMd5 => self.cram(&mut out, &message),
            Decode::Digest => self.digest(&mut out, &message),
            Decode::Scram => self.scram(&mut out, step == 0, &message),
            Decode::Oauthbearer => self.bearer(&mut out, &message, true),
            Decode::Xoauth2 => self.bearer(&mut out, &message, false),
            Decode::External => self.named(&mut out, "authzid", &message),
            Decode::Anonymous => self.named(&mut out, "trace", &message),
            Decode::Ntlm => self.ntlm(&mut out, &message),
            Decode::Otp => self.otp(&mut out, step, &message),
            Decode::Opaque => out.hidden("message", &message),
        }
        out.said
    }

    /// A server's challenge as it stands after `+ `.
    pub fn server(&mut self, text: &[u8]) -> Said {
        let text = text.trim_ascii();
        let mut out = self.speech();
        out.word("challenge");
        if text.is_empty() || text == b"=" {
            out.word("(empty)");
            return out.said;
        }
        let Some(message) = decode(text) else {
            // Exchange answers AUTHENTICATE NTLM with a sentence instead of base64.
            self.asked = asks(text);
            out.word("(not base64)");
            out.said.hide = self.decode == Decode::Opaque;
            if !out.said.hide {
                out.field("text", text);
            }
            return out.said;
        };
        self.asked = asks(&message);
        match self.decode {
            Decode::Scram => {
                out.said.hide = message.first().is_none_or(|&letter| letter != b'r');
                self.scram(&mut out, false, &message);
            }
            Decode::Digest => {
                out.said.hide = contains(&message, b"rspauth");
                self.digest(&mut out, &message);
            }
            Decode::Ntlm => {
                out.said.hide = true;
                self.ntlm(&mut out, &message);
            }
            Decode::Opaque => {
                out.said.hide = true;
                out.hidden("message", &message);
            }
            _ if clear(&message) => out.field(if message.first() == Some(&b'{') { "error" } else { "text" }, &message),
            _ => {
                out.said.hide = true;
                out.hidden("message", &message);
            }
        }
        out.said
    }

    fn speech(&self) -> Speech {
        let all = self.secret.iter().any(|field| field == "*");
        let said = Said { text: self.mechanism.clone(), ..Said::default() };
        Speech { said, show: self.show, all, secret: self.secret }
    }

    /// Says who the user is, if that can be shown.
    fn name(&mut self, out: &mut Speech, key: &'static str, user: &[u8]) {
        out.field(key, user);
        if clear(user) && !out.hides(key) && !user.is_empty() {
            self.user = Some(excerpt(user));
        }
    }

    fn plain(&mut self, out: &mut Speech, message: &[u8]) {
        let mut fields = message.splitn(3, |&b| b == 0);
        let (Some(authzid), Some(authcid), Some(password)) = (fields.next(), fields.next(), fields.next()) else {
            return out.misshapen(message);
        };
        if !authzid.is_empty() {
            out.field("authzid", authzid);
        }
        self.name(out, "authcid", authcid);
        // Some mechanisms of this shape add a token or a PIN behind another NUL.
        if password.contains(&0) {
            out.said.secrets.extend(password.split(|&b| b == 0).map(<[u8]>::to_vec));
        }
        out.hidden("pass", password);
    }

    fn login(&mut self, out: &mut Speech, step: u32, message: &[u8]) {
        if step == 0 && !self.asked && clear(message) {
            return self.name(out, "user", message);
        }
        out.hidden("pass", message);
    }

    fn cram(&mut self, out: &mut Speech, message: &[u8]) {
        let Some(space) = message.iter().rposition(|&b| b == b' ') else { return out.misshapen(message) };
        let (user, digest) = (&message[..space], &message[space + 1..]);
        if digest.len() != 32 || !digest.iter().all(u8::is_ascii_hexdigit) {
            return out.misshapen(message);
        }
        self.name(out, "user", user);
        out.hidden("digest", digest);
    }

    fn digest(&mut self, out: &mut Speech, message: &[u8]) {
        const SHOWN: [&str; 13] = [
            "username",
            "realm",
            "nonce",
            "cnonce",
            "nc",
            "qop",
            "digest-uri",
            "charset",
            "algorithm",
            "maxbuf",
            "cipher",
            "authzid",
            "stale",
        ];
        for pair in pairs(message).into_iter().take(MAX_PAIRS) {
            let Some(at) = pair.iter().position(|&b| b == b'=') else { return out.misshapen(message) };
            let (key, value) = (pair[..at].trim_ascii(), &pair[at + 1..]);
            let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
            match SHOWN.iter().find(|shown| key.eq_ignore_ascii_case(shown.as_bytes())) {
                Some(&"username") => self.name(out, "username", value),
                Some(key) => out.field(key, value),
                None if key.eq_ignore_ascii_case(b"response") => out.hidden("response", value),
                None if key.eq_ignore_ascii_case(b"rspauth") => out.hidden("rspauth", value),
                None => out.hidden("other", value),
            }
        }
    }

    /// The messages of SCRAM (RFC 5802 section 7): `p` is a proof except at the head of the very first message, where it
    /// names the channel binding.
    fn scram(&mut self, out: &mut Speech, first: bool, message: &[u8]) {
        if !message.is_ascii() && !clear(message) {
            return out.misshapen(message);
        }
        let attributes: Vec<&[u8]> = message.split(|&b| b == b',').take(MAX_PAIRS).collect();
        if first {
            self.header = message.first().copied();
        }
        let header = if first { 2 } else { 0 };
        if first && (attributes.len() < 4 || !attributes[2..].iter().any(|a| a.starts_with(b"n="))) {
            return out.misshapen(message);
        }
        for (at, attribute) in attributes.into_iter().enumerate() {
            match (attribute, at < header) {
                (b"", _) => {}
                (b"n" | b"y", true) => {
                    out.word(if attribute == b"n" { "no channel binding" } else { "server lacks channel binding" })
                }
                ([b'p', b'=', name @ ..], true) => out.field("binding", name),
                ([b'a', b'=', name @ ..], true) => out.field("authzid", &unescaped(name)),
                ([b'n', b'=', name @ ..], false) => self.name(out, "user", &unescaped(name)),
                ([b'r', b'=', value @ ..], false) => out.field("nonce", value),
                ([b's', b'=', value @ ..], false) => out.field("salt", value),
                ([b'i', b'=', value @ ..], false) => out.field("iterations", value),
                ([b'e', b'=', value @ ..], false) => out.field("error", value),
                ([b'c', b'=', ..], false) => {}
                ([b'p', b'=', value @ ..], false) => out.hidden("proof", value),
                ([b'v', b'=', value @ ..], false) => out.hidden("signature", value),
                (other, _) => out.hidden("other", other),
            }
        }
    }

    /// OAUTHBEARER with its GS2 header (RFC 7628 section 3.1), XOAUTH2 without.
    fn bearer(&mut self, out: &mut Speech, message: &[u8], gs2: bool) {
        if message.iter().all(|&b| b == 1) {
            return out.word("(takes note of the error)");
        }
        let mut fields = message.split(|&b| b == 1);
        if gs2 {
            let header = fields.next().unwrap_or_default();
            if !matches!(header.first(), Some(b'n' | b'y' | b'p')) || !message.contains(&1) {
                return out.misshapen(message);
            }
            if let Some(user) = header.split(|&b| b == b',').find_map(|part| part.strip_prefix(b"a=")) {
                self.name(out, "user", &unescaped(user));
            }
        }
        for field in fields.filter(|field| !field.is_empty()).take(MAX_PAIRS) {
            match field.iter().position(|&b| b == b'=').map(|at| (&field[..at], &field[at + 1..])) {
                Some((b"user", value)) => self.name(out, "user", value),
                Some((b"host", value)) => out.field("host", value),
                Some((b"port", value)) => out.field("port", value),
                Some((b"auth", value)) => {
                    out.hidden("auth", value);
                    if let Some(space) = value.iter().position(|&b| b == b' ') {
                        out.said.secrets.push(value[space + 1..].to_vec());
                    }
                }
                Some((_, value)) => out.hidden("other", value),
                None => out.hidden("other", field),
            }
        }
    }

    fn named(&mut self, out: &mut Speech, key: &'static str, message: &[u8]) {
        if !clear(message) {
            return out.misshapen(message);
        }
        self.name(out, key, message);
    }

    /// Text messages of one-time passwords (RFC 2444): the first names the user.
    fn otp(&mut self, out: &mut Speech, step: u32, message: &[u8]) {
        if step > 0 {
            if let Some(colon) = message.iter().position(|&b| b == b':') {
                out.said.secrets.push(message[colon + 1..].to_vec());
            }
            return out.hidden("response", message);
        }
        let mut fields = message.split(|&b| b == 0);
        match (fields.next(), fields.next(), fields.next()) {
            (Some(user), None, _) | (Some(b""), Some(user), None) => self.name(out, "authcid", user),
            (Some(authzid), Some(user), None) => {
                out.field("authzid", authzid);
                self.name(out, "authcid", user);
            }
            _ => out.misshapen(message),
        }
    }

    /// NTLMSSP messages: names are shown, challenges and responses are not.
    fn ntlm(&mut self, out: &mut Speech, message: &[u8]) {
        let kind = message.strip_prefix(b"NTLMSSP\0").and_then(|rest| rest.first());
        let flags_at = match kind {
            Some(1) => return out.word("negotiate"),
            Some(2) => 20,
            Some(3) => 60,
            _ => return out.misshapen(message),
        };
        let wide = message.get(flags_at).is_none_or(|flags| flags & 1 == 1);
        if kind == Some(&2) {
            out.field("target", &ntlm_name(message, 12, wide));
            return out.hidden("challenge", message.get(24..32).unwrap_or_default());
        }
        out.field("domain", &ntlm_name(message, 28, wide));
        let user = ntlm_name(message, 36, wide);
        self.name(out, "user", &user);
        out.field("workstation", &ntlm_name(message, 44, wide));
        out.hidden("responses", message);
    }
}

/// A message in the making.
struct Speech {
    said: Said,
    show: bool,
    all: bool,
    secret: &'static [String],
}

impl Speech {
    fn hides(&self, key: &str) -> bool {
        !self.show && (self.all || self.secret.iter().any(|field| field.eq_ignore_ascii_case(key)))
    }

    fn word(&mut self, word: &str) {
        self.said.text.push(' ');
        self.said.text.push_str(word);
    }

    /// A field that may be shown, unless the grammar says otherwise or it is no clear text.
    fn field(&mut self, key: &str, value: &[u8]) {
        if self.hides(key) || !(self.show || clear(value)) {
            return self.hidden(key, value);
        }
        self.word(key);
        self.said.text.push('=');
        self.said.text.push_str(&quote(value));
    }

    fn hidden(&mut self, key: &str, value: &[u8]) {
        self.word(key);
        if self.show {
            self.said.text.push('=');
            self.said.text.push_str(&quote(value));
        } else {
            self.said.text.push_str("=<hidden>");
            self.said.secrets.push(value.to_vec());
        }
    }

    fn misshapen(&mut self, message: &[u8]) {
        self.word("(not of this mechanism's shape)");
        self.hidden("message", message);
    }
}

/// True for UTF-8 text without control characters: what may be shown as a name.
fn clear(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// True for a prompt that does not clearly want a user name: one for a password may be in any language.
fn asks(prompt: &[u8]) -> bool {
    let names = [&b"user"[..], b"name", b"login"];
    contains(prompt, b"pass") || !names.iter().any(|name| contains(prompt, name))
}

fn contains(message: &[u8], word: &[u8]) -> bool {
    message.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// A SCRAM or GS2 name with its two escapes resolved (RFC 5802 section 5.1).
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut at = 0;
    while let Some(&byte) = name.get(at) {
        let escape = name.get(at..at + 3).unwrap_or_default();
        let (byte, step) = match escape {
            b"=2C" => (b',', 3),
            b"=3D" => (b'=', 3),
            _ => (byte, 1),
        };
        out.push(byte);
        at += step;
    }
    out
}

/// The pairs between commas, where a comma inside quotes does not count.
fn pairs(message: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let (mut start, mut open) = (0, false);
    for (at, &byte) in message.iter().enumerate() {
        match byte {
            b'"' => open = !open,
            b',' if !open => {
                out.push(message[start..at].trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(message[start..].trim_ascii());
    out.retain(|pair| !pair.is_empty());
    out
}

/// A name in an NTLMSSP message: length and offset stand at `at`, little-endian; the name is UTF-16 or plain octets.
fn ntlm_name(message: &[u8], at: usize, wide: bool) -> Vec<u8> {
    let Some(head) = message.get(at..at + 8) else { return Vec::new() };
    let len = u16::from_le_bytes([head[0], head[1]]) as usize;
    let from = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let octets = from.checked_add(len).and_then(|end| message.get(from..end)).unwrap_or_default();
    if !wide {
        return octets.to_vec();
    }
    let units = octets.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &[u8]) -> Vec<u8> {
        LENIENT.encode(message).into_bytes()
    }

    fn said(name: &str, messages: &[&[u8]]) -> Vec<String> {
        let mut exchange = Exchange::begin(name.as_bytes(), 1, false);
        messages.iter().map(|message| exchange.client(&line(message)).text).collect()
    }

    #[test]
    fn plain_names_the_user() {
        assert_eq!(said("plain", &[b"\0alice\0pw"]), ["PLAIN authcid=\"alice\" pass=<hidden>"]);
        assert_eq!(said("PLAIN", &[b"bob\0alice\0pw"]), ["PLAIN authzid=\"bob\" authcid=\"alice\" pass=<hidden>"]);
        assert_eq!(said("PLAIN", &[b"alice\0pw"]), ["PLAIN (not of this mechanism's shape) message=<hidden>"]);
    }

    #[test]
    fn login_hides_the_first_message_if_a_password_was_asked_for() {
        let mut exchange = Exchange::begin(b"LOGIN", 1, false);
        exchange.server(&line(b"Password:"));
        assert_eq!(exchange.client(&line(b"secret")).text, "LOGIN pass=<hidden>");
        for prompt in [&b"Password:"[..], b"Kennwort:", b"UGFzcw", &line(b"Kennwort:"), &line(b"user password")] {
            let mut exchange = Exchange::begin(b"LOGIN", 1, false);
            exchange.server(prompt);
            assert_eq!(exchange.client(&line(b"secret")).text, "LOGIN pass=<hidden>");
        }
        for prompt in [&b"User Name:"[..], b"", b"=", &line(b"User Name\0"), &line(b"Username:")] {
            let mut exchange = Exchange::begin(b"LOGIN", 1, false);
            exchange.server(prompt);
            assert_eq!(exchange.client(&line(b"alice")).text, "LOGIN user=\"alice\"");
        }
        assert_eq!(
            said("LOGIN", &[b"alice", b"pw", b"x"]),
            ["LOGIN user=\"alice\"", "LOGIN pass=<hidden>", "LOGIN pass=<hidden>"]
        );
    }

    #[test]
    fn scram_shows_all_but_the_proofs() {
        let mut exchange = Exchange::begin(b"SCRAM-SHA-256-PLUS", 1, false);
        let first = exchange.client(&line(b"p=tls-exporter,,n=al=2Cice,r=abc")).text;
        assert_eq!(first, "SCRAM-SHA-256-PLUS binding=\"tls-exporter\" user=\"al,ice\" nonce=\"abc\"");
        let challenge = exchange.server(&line(b"r=abcdef,s=c2FsdA==,i=4096"));
        assert_eq!(
            challenge.text,
            "SCRAM-SHA-256-PLUS challenge nonce=\"abcdef\" salt=\"c2FsdA==\" iterations=\"4096\""
        );
        assert!(!challenge.hide);
        assert_eq!(
            exchange.client(&line(b"c=eHl6,r=abcdef,p=cHJvb2Y=")).text,
            "SCRAM-SHA-256-PLUS nonce=\"abcdef\" proof=<hidden>"
        );
        let last = exchange.server(&line(b"v=c2ln"));
        assert_eq!((last.text.as_str(), last.hide), ("SCRAM-SHA-256-PLUS challenge signature=<hidden>", true));
        assert_eq!(exchange.user.as_deref(), Some("al,ice"));
    }

    #[test]
    fn digest_and_cram_hide_their_digests() {
        let cram = format!("al ice {}", "0f".repeat(16));
        assert_eq!(said("CRAM-MD5", &[cram.as_bytes()]), ["CRAM-MD5 user=\"al ice\" digest=<hidden>"]);
        assert_eq!(
            said("CRAM-MD5", &[b"alice hunter2"]),
            ["CRAM-MD5 (not of this mechanism's shape) message=<hidden>"]
        );
        let digest = b"username=\"a,b\",realm=x,qop=auth,response=0123,novelty=1";
        let want = "DIGEST-MD5 username=\"a,b\" realm=\"x\" qop=\"auth\" response=<hidden> other=<hidden>";
        assert_eq!(said("DIGEST-MD5", &[digest]), [want]);
    }

    #[test]
    fn tokens_are_hidden_and_the_user_is_not() {
        let want = "OAUTHBEARER user=\"a\" host=\"h\" port=\"143\" auth=<hidden>";
        let message = b"n,a=a,\x01host=h\x01port=143\x01auth=Bearer t0k\x01\x01";
        assert_eq!(said("OAUTHBEARER", &[message, b"\x01"]), [want, "OAUTHBEARER (takes note of the error)"]);
        assert_eq!(said("XOAUTH2", &[b"user=a\x01auth=Bearer t0k\x01\x01"]), ["XOAUTH2 user=\"a\" auth=<hidden>"]);
    }

    #[test]
    fn ntlm_names_domain_user_and_workstation() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
        message.resize(64, 0);
        message[60] = 1;
        for (at, text) in [(28, "DOM"), (36, "alice"), (44, "PC")] {
            let (octets, from) = (wide(text), message.len() as u32);
            message[at..at + 2].copy_from_slice(&(octets.len() as u16).to_le_bytes());
            message[at + 4..at + 8].copy_from_slice(&from.to_le_bytes());
            message.extend(octets);
        }
        let want = "NTLM domain=\"DOM\" user=\"alice\" workstation=\"PC\" responses=<hidden>";
        assert_eq!(said("NTLM", &[b"NTLMSSP\0\x01\0\0\0", &message]), ["NTLM negotiate", want]);
        message[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(said("NTLM", &[&message])[0].contains("user=\"\""), "an offset beyond the message gives nothing");
    }

    #[test]
    fn what_is_unknown_or_no_base64_is_hidden_whole() {
        assert_eq!(said("X-NEW", &[b"secret"]), ["X-NEW message=<hidden>"]);
        let mut exchange = Exchange::begin(b"PLAIN", 1, false);
        let broken = exchange.client(b"!!secret!!");
        assert_eq!((broken.text.as_str(), broken.hide), ("PLAIN (not base64) message=<hidden>", true));
        assert_eq!(
            Exchange::begin(b"GSSAPI", 1, false).server(&line(b"token")).text,
            "GSSAPI challenge message=<hidden>"
        );
    }

    #[test]
    fn everything_is_shown_on_demand() {
        let shown = Exchange::begin(b"PLAIN", 1, true).client(&line(b"\0alice\0pw"));
        assert_eq!(shown.text, "PLAIN authcid=\"alice\" pass=\"pw\"");
        assert!(shown.secrets.is_empty());
    }
}
