//! What peers say in the clear while they begin TLS: the two hellos and alerts (RFC 8446 sections 4.1, 5.1 and 6; RFC 5246). A
//! copy is read as it passes, one octet at a time if need be. Holds [`MAX_HELLO`] octets at most, and none once the hello
//! has been read.

use crate::event::{Hello, Peer};
use rustls::CipherSuite;

/// The largest hello that is read, in octets.
pub const MAX_HELLO: usize = 16 * 1024;

/// The largest record (RFC 5246 section 6.2.3).
const MAX_RECORD: usize = 16 * 1024 + 2048;

/// So many alerts of a peer are told.
const MAX_ALERTS: u8 = 4;

/// So many names of ALPN are told.
const MAX_ALPN: usize = 8;

/// A ServerHello with this random asks for another ClientHello (RFC 8446 section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;

/// True for an octet with which a record begins. No line of text begins with one.
#[must_use]
pub const fn begins(octet: u8) -> bool {
    matches!(octet, 20..=23)
}

/// Reads along with one peer, from the first octet of its first record.
#[derive(Debug)]
pub struct Reader {
    from: Peer,
    /// What came of a record's header.
    header: [u8; 5],
    have: usize,
    /// Octets of the record that are still to come.
    left: usize,
    /// The hello so far.
    message: Vec<u8>,
    /// The hello was read, or cannot be.
    greeted: bool,
    /// Nothing more is to be learned.
    over: bool,
    alerts: u8,
    /// The level of the alert in progress.
    level: Option<u8>,
}

impl Reader {
    /// For what this peer sends.
    #[must_use]
    pub const fn new(from: Peer) -> Self {
        Reader {
            from,
            header: [0; 5],
            have: 0,
            left: 0,
            message: Vec::new(),
            greeted: false,
            over: false,
            alerts: 0,
            level: None,
        }
    }

    /// How many octets are held.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.message.len()
    }

    /// Takes the next octets; what they complete is put into `said`, at most one hello and a few alerts a peer.
    pub fn feed(&mut self, mut bytes: &[u8], said: &mut Vec<Hello>) {
        while !bytes.is_empty() && !self.over {
            if self.have < self.header.len() {
                self.header[self.have] = bytes[0];
                self.have += 1;
                bytes = &bytes[1..];
                if self.have == self.header.len() {
                    self.record(said);
                }
                continue;
            }
            let (body, rest) = bytes.split_at(bytes.len().min(self.left));
            bytes = rest;
            self.left -= body.len();
            self.body(body, said);
            if self.left == 0 {
                self.have = 0;
            }
        }
        if self.over {
            self.message = Vec::new();
        }
    }

    /// A header is complete.
    fn record(&mut self, said: &mut Vec<Hello>) {
        let [kind, major, _, high, low] = self.header;
        self.left = usize::from(u16::from_be_bytes([high, low]));
        if self.left == 0 {
            self.have = 0;
        }
        if !begins(kind) || major != 3 || self.left > MAX_RECORD {
            self.unread("this is no TLS record", said);
        } else if kind == APPLICATION {
            self.unread("encrypted data come before it", said);
        } else if kind == ALERT && self.left != 2 {
            self.unread("an encrypted alert comes before it", said);
        }
    }

    /// From here on nothing is read.
    fn unread(&mut self, why: &'static str, said: &mut Vec<Hello>) {
        if !self.greeted {
            said.push(Hello::Unread(why.into()));
        }
        (self.over, self.greeted) = (true, true);
    }

    fn body(&mut self, body: &[u8], said: &mut Vec<Hello>) {
        match self.header[0] {
            ALERT => body.iter().for_each(|&octet| self.alert(octet, said)),
            HANDSHAKE if !self.greeted => {
                // A message of more octets is not waited for, and so never held.
                let room = MAX_HELLO - self.message.len();
                self.message.extend_from_slice(&body[..body.len().min(room)]);
                self.message(said);
            }
            _ => {}
        }
    }

    fn alert(&mut self, octet: u8, said: &mut Vec<Hello>) {
        let Some(level) = self.level.take() else {
            self.level = Some(octet);
            return;
        };
        let fatal = level != 1;
        said.push(Hello::Alert { fatal, name: alert(octet) });
        self.alerts += 1;
        if fatal || self.alerts == MAX_ALERTS {
            (self.over, self.greeted) = (true, true);
        }
    }

    /// Reads the hello if it is complete.
    fn message(&mut self, said: &mut Vec<Hello>) {
        let expected = if self.from == Peer::Client { 1 } else { 2 };
        let Some(&kind) = self.message.first() else { return };
        if kind != expected {
            return self.unread("another message of the handshake comes first", said);
        }
        let Some(&[_, a, b, c]) = self.message.first_chunk() else { return };
        let end = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        if end > MAX_HELLO {
            return self.unread("it is longer than 16 KiB", said);
        }
        let Some(inside) = self.message.get(4..end) else { return };
        let read = if self.from == Peer::Client { client(inside) } else { server(inside) };
        match read {
            Some(hello) => {
                said.push(hello);
                self.greeted = true;
                self.message = Vec::new();
            }
            None => self.unread("it does not have the form of one", said),
        }
    }
}

/// A ClientHello (RFC 8446 section 4.1.2) without its header.
fn client(inside: &[u8]) -> Option<Hello> {
    let mut rest = Octets(inside);
    let legacy = rest.two()?;
    rest.take(32)?;
    let (_session, suites, _compression) = (rest.short()?, rest.long()?, rest.short()?);
    if suites.len() % 2 != 0 {
        return None;
    }
    let (mut name, mut alpn, mut listed, mut encrypted) = (None, Vec::new(), Vec::new(), false);
    for (kind, value) in extensions(&mut rest)? {
        match kind {
            0 => name = sni(value)?,
            16 => alpn = protocols(value)?,
            43 => {
                let versions = Octets(value).short()?.chunks_exact(2);
                listed = versions.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            }
            0xfe0d => encrypted = true,
            _ => {}
        }
    }
    listed.retain(|&version| !grease(version));
    listed.sort_unstable();
    let highest = version(listed.last().copied().unwrap_or(legacy));
    // Without a list, all that is older counts as offered.
    let lowest = listed.first().copied().map(version);
    Some(Hello::Client { name, alpn, lowest, highest, encrypted })
}

/// A ServerHello (RFC 8446 section 4.1.3) without its header.
fn server(inside: &[u8]) -> Option<Hello> {
    let mut rest = Octets(inside);
    let mut chosen = rest.two()?;
    let retry = rest.take(32)? == RETRY;
    rest.short()?;
    let suite = rest.two()?;
    rest.take(1)?;
    let mut alpn = None;
    for (kind, value) in extensions(&mut rest)? {
        match kind {
            16 => alpn = protocols(value)?.into_iter().next(),
            43 => chosen = Octets(value).two()?,
            _ => {}
        }
    }
    Some(Hello::Server { version: version(chosen), suite: suite_name(suite), alpn, retry })
}

/// The extensions of a hello, which old ones lack.
fn extensions<'a>(rest: &mut Octets<'a>) -> Option<Vec<(u16, &'a [u8])>> {
    let mut found = Vec::new();
    if rest.0.is_empty() {
        return Some(found);
    }
    let mut all = Octets(rest.long()?);
    while !all.0.is_empty() {
        found.push((all.two()?, all.long()?));
    }
    Some(found)
}

/// The host name (RFC 6066 section 3).
fn sni(value: &[u8]) -> Option<Option<String>> {
    let mut entries = Octets(Octets(value).long()?);
    while !entries.0.is_empty() {
        let kind = entries.take(1)?[0];
        let name = entries.long()?;
        if kind == 0 {
            return Some(Some(word(name)));
        }
    }
    Some(None)
}

/// The names of ALPN (RFC 7301 section 3.1), without those that only fill (RFC 8701).
fn protocols(value: &[u8]) -> Option<Vec<String>> {
    let mut entries = Octets(Octets(value).long()?);
    let mut names = Vec::new();
    while !entries.0.is_empty() {
        let name = entries.short()?;
        let filling = matches!(*name, [a, b] if grease(u16::from_be_bytes([a, b])));
        if !filling && names.len() < MAX_ALPN {
            names.push(word(name));
        }
    }
    Some(names)
}

/// A name for people; 255 octets are as long as a host name can be.
fn word(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(255)]).into_owned()
}

/// Values that only keep peers tolerant (RFC 8701).
const fn grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn version(number: u16) -> String {
    match number {
        0x0300 => "SSL 3.0".to_owned(),
        0x0301..=0x0304 => format!("TLS 1.{}", number - 0x0301),
        other => format!("version 0x{other:04x}"),
    }
}

fn suite_name(number: u16) -> String {
    let known = CipherSuite::from(number);
    known.as_str().map_or_else(|| format!("0x{number:04x}"), |name| name.replace("TLS13_", "TLS_"))
}

/// The registered name of an alert (RFC 8446 section 6).
fn alert(code: u8) -> String {
    let name = match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        other => return format!("number {other}"),
    };
    name.to_owned()
}

/// Octets that are taken from the front.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn two(&mut self) -> Option<u16> {
        self.take(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// What a length of one octet announces.
    fn short(&mut self) -> Option<&'a [u8]> {
        let count = self.take(1)?[0];
        self.take(usize::from(count))
    }

    /// What a length of two octets announces.
    fn long(&mut self) -> Option<&'a [u8]> {
        let count = self.two()?;
        self.take(usize::from(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(inside: &[u8]) -> Vec<u8> {
        [&(inside.len() as u16).to_be_bytes()[..], inside].concat()
    }

    fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &long(value)].concat()
    }

    fn message(kind: u8, inside: &[u8]) -> Vec<u8> {
        [&[kind, 0][..], &(inside.len() as u16).to_be_bytes(), inside].concat()
    }

    fn record(kind: u8, inside: &[u8]) -> Vec<u8> {
        [&[kind, 3, 1][..], &long(inside)].concat()
    }

    fn client_hello(extensions: &[u8]) -> Vec<u8> {
        let head = [&[3, 3][..], &[7; 32], &[0], &long(&[0x13, 1, 0x1a, 0x1a]), &[1, 0]].concat();
        message(1, &[head, long(extensions)].concat())
    }

    fn server_hello(random: [u8; 32], extensions: &[u8]) -> Vec<u8> {
        let head = [&[3, 3][..], &random, &[0, 0x13, 2, 0]].concat();
        message(2, &[head, long(extensions)].concat())
    }

    fn said(from: Peer, octets: &[u8], every: usize) -> Vec<Hello> {
        let (mut reader, mut said) = (Reader::new(from), Vec::new());
        for chunk in octets.chunks(every) {
            reader.feed(chunk, &mut said);
            assert!(reader.held() <= MAX_HELLO);
        }
        said
    }

    /// However the octets are cut, into chunks or records.
    fn always(from: Peer, octets: &[u8]) -> Vec<Hello> {
        let whole = said(from, octets, usize::MAX);
        for every in [1, 2, 3, 7, 100] {
            assert_eq!(said(from, octets, every), whole, "in pieces of {every}");
        }
        whole
    }

    fn full() -> Vec<u8> {
        let name = long(&[&[0][..], &long(b"mail.example.org")].concat());
        let alpn = long(&[&[2][..], &[0x3a, 0x3a], &[4], b"imap", &[8], b"http/1.1"].concat());
        let versions = [6, 0x9a, 0x9a, 3, 4, 3, 3];
        // A key share of the size that a post-quantum one has.
        let share = extension(51, &[9; 1700]);
        let all = [extension(0, &name), share, extension(16, &alpn), extension(43, &versions)];
        client_hello(&[all.concat(), extension(0xfe0d, b"x")].concat())
    }

    fn want() -> Hello {
        Hello::Client {
            name: Some("mail.example.org".into()),
            alpn: vec!["imap".into(), "http/1.1".into()],
            lowest: Some("TLS 1.2".into()),
            highest: "TLS 1.3".into(),
            encrypted: true,
        }
    }

    #[test]
    fn a_hello_is_read_whole_and_in_fragments_and_no_further() {
        let hello = full();
        let behind = record(23, &[1; 50]);
        assert_eq!(always(Peer::Client, &[record(22, &hello), behind.clone()].concat()), [want()]);
        let fragments: Vec<u8> = hello.chunks(300).flat_map(|part| record(22, part)).collect();
        assert_eq!(always(Peer::Client, &[fragments, behind].concat()), [want()]);
        for end in 0..hello.len() {
            assert_eq!(said(Peer::Client, &record(22, &hello)[..5 + end], 64), []);
        }
    }

    #[test]
    fn old_hellos_have_no_extensions() {
        let old = message(1, &[&[3, 1][..], &[7; 32], &[0], &long(&[0, 47]), &[1, 0]].concat());
        let want =
            Hello::Client { name: None, alpn: Vec::new(), lowest: None, highest: "TLS 1.0".into(), encrypted: false };
        assert_eq!(always(Peer::Client, &record(22, &old)), [want]);
    }

    #[test]
    fn a_server_says_what_it_has_chosen() {
        let of = |version: &str, suite: &str, alpn: Option<&str>, retry| Hello::Server {
            version: version.into(),
            suite: suite.into(),
            alpn: alpn.map(Into::into),
            retry,
        };
        let new = server_hello([1; 32], &extension(43, &[3, 4]));
        assert_eq!(always(Peer::Server, &record(22, &new)), [of("TLS 1.3", "TLS_AES_256_GCM_SHA384", None, false)]);
        let again = server_hello(RETRY, &extension(43, &[3, 4]));
        assert_eq!(always(Peer::Server, &record(22, &again)), [of("TLS 1.3", "TLS_AES_256_GCM_SHA384", None, true)]);
        let mut old = server_hello([1; 32], &extension(16, &long(&[&[4][..], b"imap"].concat())));
        let suite = 4 + 2 + 32 + 1;
        old[suite..suite + 2].copy_from_slice(&[0xfe, 0xee]);
        assert_eq!(always(Peer::Server, &record(22, &old)), [of("TLS 1.2", "0xfeee", Some("imap"), false)]);
    }

    #[test]
    fn alerts_in_the_clear_are_told_and_encrypted_ones_are_not() {
        let fatal = |code| record(21, &[2, code]);
        let told = |name: &str, fatal| Hello::Alert { fatal, name: name.into() };
        assert_eq!(always(Peer::Server, &fatal(70)), [told("protocol_version", true)]);
        let both = [record(22, &full()), record(20, &[1]), fatal(42), fatal(48)].concat();
        assert_eq!(always(Peer::Client, &both), [want(), told("bad_certificate", true)]);
        let warned = record(21, &[1, 112]).repeat(9);
        assert_eq!(always(Peer::Server, &warned), vec![told("unrecognized_name", false); 4]);
        let encrypted = [record(22, &full()), record(21, &[5; 26]), fatal(40)].concat();
        assert_eq!(always(Peer::Client, &encrypted), [want()]);
        assert_eq!(always(Peer::Client, &fatal(99)), [told("number 99", true)]);
    }

    #[test]
    fn what_is_no_hello_is_said_to_be_none() {
        let why = |from, octets: &[u8]| match always(from, octets).as_slice() {
            [Hello::Unread(why)] => why.clone().into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(why(Peer::Client, &record(22, &[1, 0, 0x40, 0, 0])), "it is longer than 16 KiB");
        assert_eq!(why(Peer::Client, &record(22, &[1, 0xff, 0xff, 0xff])), "it is longer than 16 KiB");
        assert_eq!(why(Peer::Client, &record(22, &[1, 0, 0, 1, 0])), "it does not have the form of one");
        assert_eq!(why(Peer::Server, &record(22, &full())), "another message of the handshake comes first");
        assert_eq!(why(Peer::Client, &[22, 3, 1, 0xff, 0xff]), "this is no TLS record");
        assert_eq!(why(Peer::Client, &record(23, b"x")), "encrypted data come before it");
    }

    #[test]
    fn a_hello_that_is_damaged_anywhere_breaks_nothing() {
        let whole = record(22, &full());
        for at in 0..whole.len().min(200) {
            for octet in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = octet;
                assert!(always(Peer::Client, &damaged).len() <= 1);
            }
        }
    }
}
