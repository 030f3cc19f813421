//! What is wrong with a chain of certificates, as it is said to a person: each in a phrase, and what to do about it.

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error};

use super::certificate;
use crate::event::Certificate;
use crate::wording::date;

/// The shortest RSA key that is verified with, in bits.
const SHORTEST: usize = 2048;

pub const RENEW: &str = "it has to be renewed on the server; --insecure goes on without";
pub const AUTHORITY: &str =
    "--server-ca FILE trusts the authority, or the server's certificate, in FILE; --insecure trusts anybody";
pub const NAME: &str = "name the server in the route as its certificate does; --insecure goes on without";
pub const REPLACE: &str = "it has to be replaced on the server; --server-ca FILE trusts this very certificate, in FILE; \
                           --insecure trusts anybody";
pub const REMAKE: &str = "it has to be replaced on the server; --insecure goes on without";
pub const CLOCK: &str = "check the clock of this machine; --insecure goes on without";
pub const KEY: &str = "the server has to show a certificate that it has the key of; --insecure goes on without";

/// A chain that is looked at: the server's own certificate, and those from which others of the chain may come.
pub struct Chain<'a> {
    /// What the server's own certificate says.
    pub own: Option<&'a Certificate>,
    /// The others that the server sent.
    pub others: &'a [CertificateDer<'a>],
    /// Those of `--server-ca`.
    pub pinned: &'a [CertificateDer<'static>],
}

impl Chain<'_> {
    /// What is said of an error that webpki found in the chain, and what can be done about it.
    pub fn said(&self, error: &CertificateError) -> (String, &'static str) {
        // Many that sign themselves call themselves an authority, which no server may be.
        let alone = self.own.is_some_and(|it| it.self_signed);
        match error {
            CertificateError::BadSignature => match self.issuers().find_map(short) {
                Some(bits) => {
                    (format!("the key of {} is too short to be safe: RSA with {bits} bits", self.issuer()), REPLACE)
                }
                None => (self.namesake(), AUTHORITY),
            },
            CertificateError::UnknownIssuer => (self.stranger(), AUTHORITY),
            _ if alone => (self.stranger(), AUTHORITY),
            CertificateError::InvalidPurposeContext { presented, .. } => {
                let uses: Vec<String> = presented.iter().map(ToString::to_string).collect();
                (format!("it is not for servers: it may be used for {} only", uses.join(", ")), REPLACE)
            }
            CertificateError::InvalidPurpose => ("it is not for servers".to_owned(), REPLACE),
            CertificateError::BadEncoding => {
                ("it, or one that the server sent with it, cannot be read".to_owned(), REPLACE)
            }
            CertificateError::Other(error) => known(&error.0.to_string()),
            error => known(&error.to_string()),
        }
    }

    /// What is said where the server's own certificate has its time, and another in its chain has not.
    pub fn out_of_date(&self, now: i64) -> String {
        let of = |it: &Certificate| match now {
            _ if now > it.not_after => Some(format!("expired on {}", date(it.not_after))),
            _ if now < it.not_before => Some(format!("is valid from {} only", date(it.not_before))),
            _ => None,
        };
        let all = self.others.iter().chain(self.pinned);
        let found = all.filter_map(|der| certificate::read(der)).find_map(|it| Some((of(&it)?, it.subject)));
        match found {
            Some((how, subject)) => format!("the certificate of {subject}, which vouches for it, {how}"),
            None => "a certificate that vouches for it is out of date".to_owned(),
        }
    }

    /// What is said of an issuer that is not known.
    fn stranger(&self) -> String {
        match self.own {
            Some(it) if it.self_signed => "it is self-signed, and not known here".to_owned(),
            Some(it) => {
                let sent = self.others.iter().any(|der| certificate::is_of(der, &it.issuer));
                let missing = if sent { "" } else { ", of which the server sent no certificate" };
                format!("nobody who is trusted here vouches for it (its issuer is {}){missing}", it.issuer)
            }
            None => "nobody who is trusted here vouches for it".to_owned(),
        }
    }

    /// What is said of an issuer with the name of one that is known, and another key.
    fn namesake(&self) -> String {
        format!(
            "{} did not sign it, but somebody of the same name: the authority may have a new key, or this is a forgery",
            self.issuer()
        )
    }

    fn issuer(&self) -> &str {
        self.own.map_or("its issuer", |it| &it.issuer)
    }

    fn issuers(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.others.iter().chain(self.pinned).map(AsRef::as_ref);
        all.filter(|der: &&[u8]| certificate::is_of(der, self.issuer()))
    }
}

/// The same of errors that have a name only.
fn known(name: &str) -> (String, &'static str) {
    let (text, remedy) = match name.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default() {
        "CaUsedAsEndEntity" => ("it is an authority's own, which no server may show", REPLACE),
        "EndEntityUsedAsCa" => ("who signed it is no authority (basicConstraints)", REPLACE),
        "PathLenConstraintViolated" => {
            ("an authority in its chain may not vouch for others (pathLenConstraint)", REPLACE)
        }
        "NameConstraintViolation" => {
            ("an authority in its chain may not vouch for this name (nameConstraints)", REPLACE)
        }
        "UnsupportedCriticalExtension" | "UnhandledCriticalExtension" => {
            ("it has a critical extension that is not known here", REMAKE)
        }
        "UnsupportedCertVersion" => ("it is not of version 3", REMAKE),
        it if it.starts_with("UnsupportedSignatureAlgorithm") => {
            ("it is signed in a way that is not safe or not supported, as with SHA-1", REPLACE)
        }
        _ => return (format!("it is not valid: {name}"), REPLACE),
    };
    (text.to_owned(), remedy)
}

/// What is said of a certificate of which the names cannot be read.
pub fn unreadable(error: &Error) -> (String, &'static str) {
    match error {
        Error::InvalidCertificate(CertificateError::Other(error)) => known(&error.0.to_string()),
        _ => ("it cannot be read".to_owned(), REMAKE),
    }
}

/// The length of an RSA key that is too short, in bits.
pub fn short(der: &[u8]) -> Option<usize> {
    certificate::rsa_bits(der).filter(|bits| *bits < SHORTEST)
}

/// Those of the names of a certificate that are kept, in a row.
pub fn listed(certificate: &Certificate) -> String {
    let more = if certificate.more_names > 0 { format!(" and {} more", certificate.more_names) } else { String::new() };
    format!("{}{more}", certificate.names.join(", "))
}

/// The names of a certificate, for people.
pub fn names(certificate: Option<&Certificate>) -> String {
    match certificate {
        Some(it) if !it.names.is_empty() => format!("it is for {}", listed(it)),
        Some(it) if it.subject.contains("CN=") => {
            format!("it names no host (its subject, {}, does not count)", it.subject)
        }
        _ => "it names no host".to_owned(),
    }
}
