//! Messages of SASL mechanisms, already decoded from base64, taken apart. Strict: a message that is not wholly of its
//! mechanism's shape has no parts at all, because what is left over of it may be the password. Sees bytes only.

use super::name::is_name;

/// Maximum number of pairs in a message; one with more has no parts.
const MAX_PAIRS: usize = 24;

/// Parts of a message of PLAIN (RFC 4616 section 2).
#[derive(Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Whom to act as; often empty.
    pub authzid: &'a [u8],
    /// Who logs in.
    pub authcid: &'a [u8],
    /// The password.
    pub password: &'a [u8],
    /// A PIN or a token after the password, of mechanisms that have one.
    pub extra: Option<&'a [u8]>,
}

/// Reads a message of PLAIN; `extra` allows a field after the password (RFC 2808 section 5).
#[must_use]
pub fn plain(message: &[u8], extra: bool) -> Option<Plain<'_>> {
    let mut fields = message.split(|&b| b == 0);
    let plain = Plain {
        authzid: fields.next()?,
        authcid: fields.next()?,
        password: fields.next()?,
        extra: fields.next().filter(|_| extra),
    };
    let whole = message.iter().filter(|&&b| b == 0).count() == 2 + usize::from(plain.extra.is_some());
    let named = is_name(plain.authcid) && (plain.authzid.is_empty() || is_name(plain.authzid));
    let secret = !plain.password.is_empty() && plain.extra != Some(b"");
    (whole && named && secret).then_some(plain)
}

/// Reads a response of CRAM-MD5: the name and the digest (RFC 2195 section 2).
#[must_use]
pub fn cram(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = message.iter().position(|&b| b == b' ')?;
    let (name, digest) = (&message[..at], &message[at + 1..]);
    (is_name(name) && is_hex(digest, 32)).then_some((name, digest))
}

/// Reads the first message of OTP: whom to act as, and the name (RFC 2444 section 3).
#[must_use]
pub fn otp(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = message.iter().position(|&b| b == 0)?;
    let (authzid, authcid) = (&message[..at], &message[at + 1..]);
    ((authzid.is_empty() || is_name(authzid)) && is_name(authcid)).then_some((authzid, authcid))
}

/// Parts of a GS2 header (RFC 5801 section 4).
#[derive(Debug, PartialEq, Eq)]
pub struct Gs2<'a> {
    /// `n`, `y` or `p`: the use of channel binding.
    pub flag: u8,
    /// The name of the channel binding, after `p=`.
    pub binding: Option<&'a [u8]>,
    /// Whom to act as; often empty.
    pub authzid: Vec<u8>,
}

/// Reads a GS2 header; returns it with what follows its second comma.
fn gs2(message: &[u8]) -> Option<(Gs2<'_>, &[u8])> {
    let mut parts = message.splitn(3, |&b| b == b',');
    let (flag, authzid, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (flag, binding) = match flag {
        b"n" | b"y" => (flag[0], None),
        [b'p', b'=', name @ ..] if is_of(name, b".-") => (b'p', Some(name)),
        _ => return None,
    };
    let authzid = match authzid {
        b"" => Vec::new(),
        [b'a', b'=', name @ ..] => unescaped(name)?,
        _ => return None,
    };
    Some((Gs2 { flag, binding, authzid }, rest))
}

/// Resolves the two escapes of a name (RFC 5802 section 5.1).
fn unescaped(name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, behind)) = rest.split_first() {
        let (byte, behind) = match (byte, behind) {
            (b'=', [b'2', b'C', behind @ ..]) => (b',', behind),
            (b'=', [b'3', b'D', behind @ ..]) => (b'=', behind),
            (b'=' | b',', _) => return None,
            _ => (byte, behind),
        };
        out.push(byte);
        rest = behind;
    }
    is_name(&out).then_some(out)
}

/// Parts of a message of OAUTHBEARER or XOAUTH2.
#[derive(Debug, PartialEq, Eq)]
pub struct Bearer<'a> {
    /// Who logs in; empty if the message does not say so.
    pub user: Vec<u8>,
    /// The pairs that follow, `auth` among them.
    pub pairs: Vec<(&'a [u8], &'a [u8])>,
    /// The token in `auth`.
    pub token: &'a [u8],
}

/// Reads a message of OAUTHBEARER or OAUTH10A (RFC 7628 section 3.1).
#[must_use]
pub fn oauthbearer(message: &[u8]) -> Option<Bearer<'_>> {
    let at = message.iter().position(|&b| b == 1)?;
    let (header, rest) = (gs2(&message[..at])?, &message[at + 1..]);
    bearer(header.0.authzid, rest).filter(|_| header.1.is_empty())
}

/// Reads a message of XOAUTH2: `user=NAME`, `auth=Bearer TOKEN`, each with 0x01 after it, and another 0x01.
#[must_use]
pub fn xoauth2(message: &[u8]) -> Option<Bearer<'_>> {
    let at = message.iter().position(|&b| b == 1)?;
    let user = message[..at].strip_prefix(b"user=").filter(|user| is_name(user) && !user.contains(&b'='))?;
    bearer(user.to_vec(), &message[at + 1..]).filter(|it| it.pairs.len() == 1)
}

/// Reads the pairs of a message with a token, which each end with 0x01, and another 0x01 after them.
fn bearer(user: Vec<u8>, pairs: &[u8]) -> Option<Bearer<'_>> {
    let mut read: Vec<(&[u8], &[u8])> = Vec::new();
    for pair in pairs.strip_suffix(&[1, 1])?.split(|&b| b == 1) {
        let at = pair.iter().position(|&b| b == b'=')?;
        let (key, value) = (&pair[..at], &pair[at + 1..]);
        let fits = match key {
            b"host" => is_of(value, b".-:[]"),
            b"port" => (1..=5).contains(&value.len()) && value.iter().all(u8::is_ascii_digit),
            _ => !key.is_empty() && key.iter().all(u8::is_ascii_lowercase),
        };
        if !fits || read.len() == MAX_PAIRS || read.iter().any(|(known, _)| *known == key) {
            return None;
        }
        read.push((key, value));
    }
    let auth = read.iter().find(|(key, _)| *key == b"auth")?.1;
    let space = auth.iter().position(|&b| b == b' ')?;
    let (scheme, token) = (&auth[..space], &auth[space + 1..]);
    let fits = match () {
        () if scheme.eq_ignore_ascii_case(b"Bearer") => is_token(token),
        () => scheme.iter().all(u8::is_ascii_alphabetic) && token.iter().all(|b| (b' '..=b'~').contains(b)),
    };
    (fits && !scheme.is_empty() && !token.is_empty()).then_some(Bearer { user, pairs: read, token })
}

/// Returns true for a bearer token (RFC 6750 section 2.1).
fn is_token(token: &[u8]) -> bool {
    let end = token.iter().rposition(|&b| b != b'=').map_or(0, |at| at + 1);
    is_of(&token[..end], b"-._~+/")
}

/// Parts of the first message of SCRAM (RFC 5802 section 7).
#[derive(Debug, PartialEq, Eq)]
pub struct ScramFirst<'a> {
    /// The header before it.
    pub gs2: Gs2<'a>,
    /// Who logs in.
    pub user: Vec<u8>,
    /// What the client has drawn.
    pub nonce: &'a [u8],
    /// True if extensions follow.
    pub more: bool,
}

/// Reads the first message of SCRAM.
#[must_use]
pub fn scram_first(message: &[u8]) -> Option<ScramFirst<'_>> {
    let (gs2, rest) = gs2(message)?;
    let attributes = attributes(rest)?;
    match attributes.as_slice() {
        [(b'n', user), (b'r', nonce), more @ ..] if is_nonce(nonce) => {
            Some(ScramFirst { gs2, user: unescaped(user)?, nonce, more: !more.is_empty() })
        }
        _ => None,
    }
}

/// Reads the server's first message of SCRAM, which goes on with the client's nonce: the nonce, the salt and the
/// number of iterations.
#[must_use]
pub fn scram_challenge<'a>(message: &'a [u8], nonce: &[u8]) -> Option<[&'a [u8]; 3]> {
    let attributes = attributes(message)?;
    match attributes.as_slice() {
        &[(b'r', both), (b's', salt), (b'i', rounds), ..]
            if is_nonce(both) && both.len() > nonce.len() && both.starts_with(nonce) =>
        {
            let fits = is_base64(salt) && (1..=9).contains(&rounds.len()) && rounds.iter().all(u8::is_ascii_digit);
            fits.then_some([both, salt, rounds])
        }
        _ => None,
    }
}

/// Reads the client's last message of SCRAM, which repeats both nonces: the proof.
#[must_use]
pub fn scram_proof<'a>(message: &'a [u8], nonce: &[u8]) -> Option<&'a [u8]> {
    let attributes = attributes(message)?;
    match attributes.as_slice() {
        &[(b'c', binding), (b'r', both), .., (b'p', proof)] if both == nonce => {
            (is_base64(binding) && is_base64(proof)).then_some(proof)
        }
        _ => None,
    }
}

/// What the server says at the end of SCRAM.
#[derive(Debug, PartialEq, Eq)]
pub enum ScramEnd<'a> {
    /// Its own proof.
    Signature(&'a [u8]),
    /// Why it refuses, in one word.
    Error(&'a [u8]),
}

/// Reads the server's last message of SCRAM.
#[must_use]
pub fn scram_end(message: &[u8]) -> Option<ScramEnd<'_>> {
    match *attributes(message)?.as_slice() {
        [(b'v', signature), ..] if is_base64(signature) => Some(ScramEnd::Signature(signature)),
        [(b'e', error)] if is_of(error, b"-") => Some(ScramEnd::Error(error)),
        _ => None,
    }
}

/// Reads attributes `letter=value` with a comma between them.
fn attributes(message: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut read = Vec::new();
    for attribute in message.split(|&b| b == b',') {
        match attribute {
            [letter, b'=', value @ ..] if letter.is_ascii_alphabetic() && read.len() < MAX_PAIRS => {
                read.push((*letter, value));
            }
            _ => return None,
        }
    }
    Some(read)
}

fn is_nonce(nonce: &[u8]) -> bool {
    !nonce.is_empty() && nonce.iter().all(u8::is_ascii_graphic)
}

/// Reads a message of DIGEST-MD5 (RFC 2831 section 2): its pairs, values without quotation marks. Known values have their
/// form, and no key but `realm` comes twice.
#[must_use]
pub fn digest(message: &[u8]) -> Option<Vec<(&[u8], Vec<u8>)>> {
    let mut read: Vec<(&[u8], Vec<u8>)> = Vec::new();
    let mut rest = message;
    loop {
        let at = rest.iter().position(|&b| b == b'=')?;
        let (key, behind) = (rest[..at].trim_ascii(), &rest[at + 1..]);
        let (value, behind) = digest_value(behind)?;
        let twice =
            !key.eq_ignore_ascii_case(b"realm") && read.iter().any(|(known, _)| known.eq_ignore_ascii_case(key));
        if !is_of(key, b"-") || twice || read.len() == MAX_PAIRS || !digest_fits(key, &value) {
            return None;
        }
        read.push((key, value));
        match behind.trim_ascii_start() {
            [] => return Some(read),
            [b',', behind @ ..] => rest = behind.trim_ascii_start(),
            _ => return None,
        }
    }
}

/// A value, quoted or not, and what follows it.
fn digest_value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&b| b == b',').unwrap_or(text.len());
        let value = text[..end].trim_ascii_end();
        return is_of(value, b"!#$%&'*+.^_`|~/-").then(|| (value.to_vec(), &text[end..]));
    };
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        match rest {
            [b'"', behind @ ..] => return Some((value, behind)),
            [b'\\', byte, behind @ ..] | [byte, behind @ ..] => {
                value.push(*byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

/// Returns true if a value has the form that its key demands (RFC 2831 section 2.1).
fn digest_fits(key: &[u8], value: &[u8]) -> bool {
    let keys = |keys: &[&str]| keys.iter().any(|known| key.eq_ignore_ascii_case(known.as_bytes()));
    match () {
        () if keys(&["username", "authzid"]) => is_name(value),
        () if keys(&["realm"]) => value.is_empty() || is_name(value),
        () if keys(&["nonce", "cnonce", "digest-uri"]) => is_nonce(value),
        () if keys(&["response", "rspauth"]) => is_hex(value, 32),
        () if keys(&["nc"]) => is_hex(value, 8),
        () if keys(&["maxbuf"]) => is_of(value, b"") && value.iter().all(u8::is_ascii_digit),
        () if keys(&["qop", "cipher"]) => is_of(value, b"-, "),
        () if keys(&["charset", "algorithm", "stale"]) => is_of(value, b"-"),
        () => true,
    }
}

/// Names in the last message of NTLM.
#[derive(Debug, PartialEq, Eq)]
pub struct Ntlm {
    /// The domain; may be empty.
    pub domain: Vec<u8>,
    /// Who logs in; may be empty.
    pub user: Vec<u8>,
    /// The client's computer; may be empty.
    pub workstation: Vec<u8>,
}

/// A message of NTLM.
#[derive(Debug, PartialEq, Eq)]
pub enum NtlmMessage<'a> {
    /// The client begins.
    Negotiate,
    /// The server's domain, and its challenge.
    Challenge(Vec<u8>, &'a [u8]),
    /// The client's names, beside its responses.
    Authenticate(Ntlm),
}

/// Reads a message of NTLM: its fields lie inside of it, after its head, and apart from each other.
#[must_use]
pub fn ntlm(message: &[u8]) -> Option<NtlmMessage<'_>> {
    let wide = |flags_at: usize| message.get(flags_at).is_none_or(|flags| flags & 1 == 1);
    match message.strip_prefix(b"NTLMSSP\0")? {
        [1, 0, 0, 0, ..] => Some(NtlmMessage::Negotiate),
        [2, 0, 0, 0, ..] => {
            let target = ntlm_field(message, 12, 32)?;
            let target = ntlm_name(target, wide(20)).filter(|name| is_place(name))?;
            Some(NtlmMessage::Challenge(target, message.get(24..32)?))
        }
        [3, 0, 0, 0, ..] => {
            let wide = wide(60);
            let mut fields = [&message[..0]; 6];
            for (field, at) in fields.iter_mut().zip([12, 20, 28, 36, 44, 52]) {
                // The last one is missing in old messages, whose fields begin in its place.
                *field = if at == 52 && message.get(52..60).is_none() { &[] } else { ntlm_field(message, at, 52)? };
            }
            let apart = |a: &[u8], b: &[u8]| {
                let (a, b) = (a.as_ptr_range(), b.as_ptr_range());
                a.end <= b.start || b.end <= a.start
            };
            let all_apart = (0..6).all(|at| (at + 1..6).all(|other| apart(fields[at], fields[other])));
            let [domain, user, workstation] = [2, 3, 4].map(|at| ntlm_name(fields[at], wide));
            let (domain, user, workstation) = (domain?, user?, workstation?);
            let named = is_place(&domain) && is_place(&workstation) && (user.is_empty() || is_name(&user));
            (all_apart && named).then_some(NtlmMessage::Authenticate(Ntlm { domain, user, workstation }))
        }
        _ => None,
    }
}

/// Returns true for the name of a computer or a domain, or for none.
fn is_place(name: &[u8]) -> bool {
    name.is_empty() || is_of(name, b".-_")
}

/// A field whose length and offset, little-endian, are at `at`; it begins at `least` or after it.
fn ntlm_field(message: &[u8], at: usize, least: usize) -> Option<&[u8]> {
    let head = message.get(at..at + 8)?;
    let len = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let from = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if len == 0 {
        return Some(&[]);
    }
    message.get(from..from.checked_add(len)?).filter(|_| from >= least)
}

/// A name in UTF-16, little-endian, or in plain bytes.
fn ntlm_name(bytes: &[u8], wide: bool) -> Option<Vec<u8>> {
    if !wide {
        return Some(bytes.to_vec());
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let name: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    bytes.len().is_multiple_of(2).then(|| name.into_bytes())
}

/// Returns true for one or more bytes, all of them letters, digits or one of `signs`.
fn is_of(bytes: &[u8], signs: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || signs.contains(b))
}

fn is_hex(bytes: &[u8], len: usize) -> bool {
    bytes.len() == len && bytes.iter().all(u8::is_ascii_hexdigit)
}

fn is_base64(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|&b| b != b'=').map_or(0, |at| at + 1);
    bytes.len() - end <= 2 && is_of(&bytes[..end], b"+/")
}
