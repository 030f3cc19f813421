//! The first message of a client that begins TLS (ClientHello, RFC 5246 section 7.4.1.2), gathered and read before anybody
//! answers it: what it lacks decides who can. Octets only; whatever cannot be read is left to TLS itself.

use rustls::crypto::CryptoProvider;
use rustls::sign::SigningKey;
use rustls::{CipherSuite, NamedGroup, SignatureScheme, SupportedCipherSuite};

/// A beginning of more octets than this, records and all, is not gathered.
const LONGEST: usize = 64 * 1024;

/// The record type of handshakes (RFC 5246 section 6.2.1).
const HANDSHAKE: u8 = 22;

/// The most octets in a record: those of a text, and what encryption may add (RFC 5246 section 6.2.3).
const RECORD: usize = 16_384 + 2_048;

/// The message type of a ClientHello.
const CLIENT_HELLO: u8 = 1;

/// TLS 1.2 and 1.3, as numbers.
const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;

/// Extensions (RFC 6066 section 3, RFC 8422 section 5.1, RFC 5246 section 7.4.1.4.1, RFC 8446 section 4.2.1).
const SERVER_NAME: u16 = 0;
const GROUPS: u16 = 10;
const SCHEMES: u16 = 13;
const VERSIONS: u16 = 43;

/// The first octets of a client, gathered until its first message is whole. The work is linear, however they are cut.
#[derive(Debug, Default)]
pub struct Gather {
    /// All that came, records and all.
    pub octets: Vec<u8>,
    /// Where the next record begins.
    next: usize,
    /// What the records before that hold.
    message: Vec<u8>,
}

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More octets are needed.
    More,
    /// This is no ClientHello, or too long a one.
    Other,
    /// It is whole.
    Whole(Hello),
}

/// What a client offers. The lists are as long as a message of [`LONGEST`] octets can make them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// The newest version, if there is no list of them.
    version: u16,
    versions: Option<Vec<u16>>,
    suites: Vec<u16>,
    groups: Vec<u16>,
    schemes: Option<Vec<u16>>,
    /// The name that it asks for, as it stands there.
    pub name: Option<String>,
}

/// What a client lacks, so that rustls cannot serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// TLS 1.2; with the newest version that it has.
    Version(u16),
    /// A key exchange with elliptic curves, which are all that rustls has.
    Exchange,
    /// A kind of signature that our key can make.
    Signature,
}

impl Gather {
    /// Looks at what came since the last time.
    pub fn look(&mut self) -> Progress {
        if self.octets.is_empty() {
            return Progress::More;
        }
        if self.octets.len() > LONGEST {
            return Progress::Other;
        }
        if self.octets[0] & 0x80 != 0 {
            return self.old_form();
        }
        while let Some(record) = self.octets.get(self.next..) {
            let [kind, major, _, high, low, ..] = *record else {
                let fits = record.first().is_none_or(|kind| *kind == HANDSHAKE);
                return if fits && record.get(1).is_none_or(|major| *major == 3) {
                    Progress::More
                } else {
                    Progress::Other
                };
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if kind != HANDSHAKE || major != 3 || length == 0 || length > RECORD {
                return Progress::Other;
            }
            let Some(content) = record.get(5..5 + length) else { return Progress::More };
            self.message.extend_from_slice(content);
            self.next += 5 + length;
            if let [kind, one, two, three, body @ ..] = self.message.as_slice() {
                let size = usize::from(*one) << 16 | usize::from(*two) << 8 | usize::from(*three);
                if *kind != CLIENT_HELLO || size > LONGEST {
                    return Progress::Other;
                }
                if let Some(body) = body.get(..size) {
                    return read(body).map_or(Progress::Other, Progress::Whole);
                }
            }
        }
        Progress::More
    }

    /// The form of SSL 2.0, in which clients that still know that one begin (RFC 5246, appendix E.2).
    fn old_form(&self) -> Progress {
        if !is_old_form(&self.octets) {
            return if self.octets.len() < 5 { Progress::More } else { Progress::Other };
        }
        let size = usize::from(u16::from_be_bytes([self.octets[0] & 0x7f, self.octets[1]]));
        match self.octets.get(2..2 + size) {
            None => Progress::More,
            Some(message) => read_old(message).map_or(Progress::Other, Progress::Whole),
        }
    }
}

/// Whether a client begins in the form of SSL 2.0.
#[must_use]
pub fn is_old_form(octets: &[u8]) -> bool {
    matches!(octets, [length, _, CLIENT_HELLO, major, _, ..] if length & 0x80 != 0 && (*major == 3 || *major == 0))
}

/// A ClientHello without its header.
fn read(body: &[u8]) -> Option<Hello> {
    let mut rest = Rest(body);
    let version = rest.number()?;
    rest.take(32)?;
    let session = rest.octet()?;
    rest.take(session.into())?;
    let suites = numbers(rest.list()?);
    let methods = rest.octet()?;
    rest.take(methods.into())?;
    let mut hello = Hello { version, suites, ..Hello::default() };
    if rest.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Rest(rest.list()?);
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let mut inner = Rest(extensions.list()?);
        match kind {
            SERVER_NAME => hello.name = name(inner),
            GROUPS => hello.groups = numbers(inner.list()?),
            SCHEMES => hello.schemes = Some(numbers(inner.list()?)),
            VERSIONS => {
                let length = inner.octet()?;
                hello.versions = Some(numbers(inner.take(length.into())?));
            }
            _ => {}
        }
    }
    Some(hello)
}

/// The same in the form of SSL 2.0.
fn read_old(message: &[u8]) -> Option<Hello> {
    let mut rest = Rest(message.get(1..)?);
    let version = rest.number()?;
    let length = rest.number()?;
    rest.take(4)?;
    let suites = rest.take(length.into())?.chunks_exact(3).filter(|suite| suite[0] == 0);
    let suites = suites.map(|suite| u16::from_be_bytes([suite[1], suite[2]])).collect();
    Some(Hello { version, suites, ..Hello::default() })
}

/// The host name in a list of names; there is one kind of them.
fn name(mut extension: Rest<'_>) -> Option<String> {
    let mut names = Rest(extension.list()?);
    let kind = names.octet()?;
    let name = names.list()?;
    (kind == 0).then(|| String::from_utf8(name.to_vec()).ok()).flatten()
}

fn numbers(octets: &[u8]) -> Vec<u16> {
    octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1).map(|octet| octet[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    /// So many octets as the number before them says.
    fn list(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(count.into())
    }
}

impl Hello {
    /// What is missing for rustls with this provider and this key, if anything is.
    #[must_use]
    pub fn lacks(&self, provider: &CryptoProvider, key: &dyn SigningKey) -> Option<Lack> {
        let has = |version| match &self.versions {
            Some(versions) => versions.contains(&version),
            // Without the list there is no TLS 1.3 (RFC 8446 section 4.2.1).
            None => version == TLS12 && self.version >= TLS12,
        };
        let newest = has(TLS13);
        if !newest && !has(TLS12) {
            let listed = self.versions.iter().flatten().copied().filter(|version| *version < TLS12).max();
            return Some(Lack::Version(listed.unwrap_or(self.version)));
        }
        let common: Vec<&SupportedCipherSuite> = provider
            .cipher_suites
            .iter()
            .filter(|suite| matches!(suite, SupportedCipherSuite::Tls13(_)) == newest && self.has_suite(suite.suite()))
            .collect();
        let group = |group: &u16| provider.kx_groups.iter().any(|known| known.name() == NamedGroup::from(*group));
        if common.is_empty() || !self.groups.iter().any(group) {
            return Some(Lack::Exchange);
        }
        // Without the list rustls answers nobody, whatever the list would be (RFC 5246 section 7.4.1.4.1).
        let schemes = self.schemes.iter().flatten().map(|scheme| SignatureScheme::from(*scheme)).collect::<Vec<_>>();
        let signs = |suite: &&SupportedCipherSuite| match suite {
            SupportedCipherSuite::Tls12(suite) => {
                let fit: Vec<_> = schemes.iter().copied().filter(|scheme| suite.sign.contains(scheme)).collect();
                key.choose_scheme(&fit).is_some()
            }
            SupportedCipherSuite::Tls13(_) => {
                let fit: Vec<_> = schemes.iter().copied().filter(newer).collect();
                key.choose_scheme(&fit).is_some()
            }
        };
        (!common.iter().any(signs)).then_some(Lack::Signature)
    }

    fn has_suite(&self, suite: CipherSuite) -> bool {
        self.suites.contains(&u16::from(suite))
    }
}

/// Signatures that TLS 1.3 allows in a handshake (RFC 8446 section 4.2.3).
fn newer(scheme: &SignatureScheme) -> bool {
    use SignatureScheme as It;
    let rsa = matches!(*scheme, It::RSA_PSS_SHA256 | It::RSA_PSS_SHA384 | It::RSA_PSS_SHA512);
    let curves = matches!(*scheme, It::ECDSA_NISTP256_SHA256 | It::ECDSA_NISTP384_SHA384 | It::ECDSA_NISTP521_SHA512);
    rsa || curves || *scheme == It::ED25519
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::ClientConnection;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    use super::*;
    use crate::net::tls::provider;

    fn key() -> Arc<dyn SigningKey> {
        let key = rcgen::KeyPair::generate().unwrap().serialize_der();
        provider().key_provider.load_private_key(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key))).unwrap()
    }

    /// A ClientHello in one record.
    fn hello(version: u16, suites: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let list = |octets: &[u8]| [&u16::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat();
        let pairs = |numbers: &[u16]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
        let mut body = [version.to_be_bytes().as_slice(), &[7; 32], &[0], &list(&pairs(suites)), &[1, 0]].concat();
        if !extensions.is_empty() {
            let inner =
                extensions.iter().flat_map(|(kind, octets)| [kind.to_be_bytes().to_vec(), list(octets)].concat());
            body.extend(list(&inner.collect::<Vec<u8>>()));
        }
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[CLIENT_HELLO, size[1], size[2], size[3]], body.as_slice()].concat();
        [&[HANDSHAKE, 3, 1], list(&message).as_slice()].concat()
    }

    fn numbers_in(count: &[u16]) -> Vec<u8> {
        let octets: Vec<u8> = count.iter().flat_map(|number| number.to_be_bytes()).collect();
        [&u16::try_from(octets.len()).unwrap().to_be_bytes(), octets.as_slice()].concat()
    }

    fn whole(octets: &[u8]) -> Hello {
        match (Gather { octets: octets.to_vec(), ..Gather::default() }).look() {
            Progress::Whole(hello) => hello,
            other => panic!("{other:?}"),
        }
    }

    fn lack(octets: &[u8]) -> Option<Lack> {
        whole(octets).lacks(&provider(), &*key())
    }

    /// ECDHE_ECDSA and ECDHE_RSA with AES 128, RSA with AES 128, a suite of TLS 1.3.
    const ECDSA: u16 = 0xc02b;
    const RSA: u16 = 0xc02f;
    const STATIC: u16 = 0x002f;
    const NEWEST: u16 = 0x1301;

    #[test]
    fn what_is_missing_is_seen() {
        let groups = || (GROUPS, numbers_in(&[0x4a4a, 0x17]));
        let schemes = |all: &[u16]| (SCHEMES, numbers_in(all));
        let versions = |all: &[u16]| (VERSIONS, [&[2 * all.len() as u8], &numbers_in(all)[2..]].concat());
        let (both, rsa) = (schemes(&[0x0401, 0x0403]), schemes(&[0x0401, 0x0804, 0x0201]));
        let fine = [groups(), both.clone()];
        let newest = |schemes| [groups(), schemes, versions(&[0x7a7a, 0x0304, 0x0303])];
        for (octets, want) in [
            (hello(0x0301, &[ECDSA, STATIC], &fine), Some(Lack::Version(0x0301))),
            (hello(0x0302, &[STATIC], &[]), Some(Lack::Version(0x0302))),
            (hello(0x0300, &[STATIC], &[]), Some(Lack::Version(0x0300))),
            (
                hello(0x0303, &[ECDSA], &[groups(), both.clone(), versions(&[0x0302, 0x0301])]),
                Some(Lack::Version(0x0302)),
            ),
            (hello(0x0303, &[STATIC, 0x0033], &fine), Some(Lack::Exchange)),
            (hello(0x0303, &[ECDSA], std::slice::from_ref(&both)), Some(Lack::Exchange)),
            (hello(0x0303, &[ECDSA], &[(GROUPS, numbers_in(&[0x19])), both.clone()]), Some(Lack::Exchange)),
            (hello(0x0303, &[RSA, STATIC], &fine), Some(Lack::Signature)),
            (hello(0x0303, &[ECDSA, RSA], &[groups(), rsa.clone()]), Some(Lack::Signature)),
            (hello(0x0303, &[ECDSA], &[groups()]), Some(Lack::Signature)),
            (hello(0x0303, &[NEWEST, ECDSA], &newest(rsa)), Some(Lack::Signature)),
            (hello(0x0303, &[ECDSA], &newest(both.clone())), Some(Lack::Exchange)),
            (hello(0x0303, &[NEWEST], &newest(both.clone())), None),
            (hello(0x0303, &[RSA, STATIC, ECDSA], &fine), None),
            (hello(0x0304, &[ECDSA], &fine), None),
        ] {
            assert_eq!(lack(&octets), want, "{octets:x?}");
        }
    }

    #[test]
    fn it_may_come_octet_by_octet_and_in_many_records() {
        let name = (SERVER_NAME, [&[0, 15, 0, 0, 12], &b"mail.example"[..]].concat());
        let octets = hello(0x0301, &[STATIC; 500], &[name]);
        assert_eq!(whole(&octets).name.as_deref(), Some("mail.example"));
        let cut: Vec<u8> =
            octets[5..].chunks(7).flat_map(|part| [&[22, 3, 1, 0, part.len() as u8], part].concat()).collect();
        for octets in [octets, cut] {
            let mut gather = Gather::default();
            for (at, octet) in octets.iter().enumerate() {
                gather.octets.push(*octet);
                let progress = gather.look();
                assert_eq!(matches!(progress, Progress::Whole(_)), at + 1 == octets.len(), "{at}");
                assert_ne!(progress, Progress::Other, "{at}");
            }
            assert_eq!(gather.octets, octets);
        }
    }

    #[test]
    fn the_form_of_ssl_2_is_read() {
        let mut octets = vec![0x80, 9 + 9 + 16, CLIENT_HELLO, 3, 1, 0, 9, 0, 0, 0, 16];
        octets.extend([0x07, 0, 0xc0, 0, 0, 0x2f, 0, 0, 0x35]);
        octets.extend([9; 16]);
        assert_eq!(whole(&octets).suites, [0x2f, 0x35]);
        assert_eq!(lack(&octets), Some(Lack::Version(0x0301)));
        for end in 1..octets.len() {
            let mut gather = Gather { octets: octets[..end].to_vec(), ..Gather::default() };
            assert_eq!(gather.look(), Progress::More, "{end}");
        }
        for said in [&b"\x80\x20\x04\x03\x01"[..], b"\xff\xff\x01\x09\x01"] {
            assert_eq!((Gather { octets: said.to_vec(), ..Gather::default() }).look(), Progress::Other);
        }
    }

    #[test]
    fn what_is_none_or_too_long_is_left_alone() {
        let good = hello(0x0303, &[ECDSA], &[(GROUPS, numbers_in(&[0x17]))]);
        for (at, octet) in [(0, 23), (1, 2), (5, 2), (6, 2)] {
            let mut octets = good.clone();
            octets[at] = octet;
            assert_eq!((Gather { octets, ..Gather::default() }).look(), Progress::Other, "{at}");
        }
        // Lengths that lead out of the message, wherever they are.
        for at in 5..good.len() {
            let mut octets = good.clone();
            octets[at] = 0xff;
            let _ = (Gather { octets, ..Gather::default() }).look();
        }
        for end in 5..good.len() {
            let mut octets = good[..end].to_vec();
            octets[4] = (end - 5) as u8;
            let size = end.saturating_sub(9) as u8;
            octets.get_mut(8).into_iter().for_each(|low| *low = size);
            assert!(
                !matches!((Gather { octets, ..Gather::default() }).look(), Progress::Whole(it) if it.groups == [0x17])
            );
        }
        let endless = [22, 3, 1, 0, 1, 1].repeat(LONGEST / 6 + 1);
        let mut gather = Gather::default();
        let ends = endless.iter().position(|octet| {
            gather.octets.push(*octet);
            gather.look() == Progress::Other
        });
        assert!(ends.is_some_and(|at| at <= LONGEST), "it is bounded");
    }

    #[test]
    fn rustls_is_content_with_its_own_clients() {
        for versions in [rustls::ALL_VERSIONS, &[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
            let config =
                rustls::ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
            let config = config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
            let mut client = ClientConnection::new(Arc::new(config), "mail.example".try_into().unwrap()).unwrap();
            let mut octets = Vec::new();
            client.write_tls(&mut octets).unwrap();
            assert_eq!((lack(&octets), whole(&octets).name.as_deref()), (None, Some("mail.example")));
        }
    }
}
