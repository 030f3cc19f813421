//! Certificates as people read them, and the files that they stand in. What a peer shows may be anything: its texts are
//! bounded here, and escaped where they are shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::public_key::PublicKey;

use super::unusable;
use crate::event::Certificate;
use crate::problem::Problem;

/// So many names are kept.
const NAMES: usize = 16;

/// A name, subject or issuer is cut to so many characters.
const LONGEST: usize = 200;

/// What a certificate says; `None` if it cannot be read.
#[must_use]
pub fn read(der: &[u8]) -> Option<Certificate> {
    let (_, parsed) = parse_x509_certificate(der).ok()?;
    let mut names = names(&parsed);
    let more_names = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    Some(Certificate {
        subject: cut(&parsed.subject().to_string()),
        issuer: cut(&parsed.issuer().to_string()),
        names,
        more_names,
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        self_signed: parsed.subject().as_raw() == parsed.issuer().as_raw(),
    })
}

/// Whether `issuer` is named as the issuer of `certificate`.
#[must_use]
pub fn follows(certificate: &[u8], issuer: &[u8]) -> bool {
    let (Ok((_, certificate)), Ok((_, issuer))) = (parse_x509_certificate(certificate), parse_x509_certificate(issuer))
    else {
        return false;
    };
    certificate.issuer().as_raw() == issuer.subject().as_raw()
}

/// Whether it is of this subject, as [`read`] says it.
#[must_use]
pub fn is_of(der: &[u8], subject: &str) -> bool {
    parse_x509_certificate(der).is_ok_and(|(_, it)| cut(&it.subject().to_string()) == subject)
}

/// The length of its key in bits, if it is one of RSA.
#[must_use]
pub fn rsa_bits(der: &[u8]) -> Option<usize> {
    let (_, it) = parse_x509_certificate(der).ok()?;
    match it.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => Some(key.key_size()),
        _ => None,
    }
}

/// Whether it may vouch for others, and for which key it is.
#[must_use]
pub fn is_authority(der: &[u8], public_key: &[u8]) -> bool {
    parse_x509_certificate(der)
        .is_ok_and(|(_, it)| it.is_ca() && it.public_key().subject_public_key.data.as_ref() == public_key)
}

fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(cut(name)),
        GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The certificates of a PEM file, in their order: one at least, and each readable.
///
/// # Errors
/// A file that cannot be read or is not such a file.
pub fn load(origin: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let help = "name a file of certificates in PEM, which begin with -----BEGIN CERTIFICATE-----";
    let refuse = |what: &str| unusable(origin, file, what, help);
    let content = content(origin, file, "x509", help)?;
    let found = CertificateDer::pem_slice_iter(&content).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| refuse(&damage(&error)))?;
    if found.is_empty() {
        return Err(refuse("there is no certificate in it"));
    }
    match found.iter().position(|der| read(der).is_none()) {
        None => Ok(found),
        Some(at) => Err(refuse(&format!("the certificate number {} in it cannot be read", at + 1))),
    }
}

/// The content of a file that is to be PEM. `tool` is the command of openssl that converts one of the kind.
///
/// # Errors
/// A file that cannot be read, is empty, or is visibly something else.
pub fn content(origin: &str, file: &Path, tool: &str, help: &str) -> Result<Vec<u8>, Problem> {
    let refuse = |what: &str, help: &str| Err(unusable(origin, file, what, help));
    match std::fs::File::open(file).and_then(crate::file::small) {
        Err(error) => refuse(&format!("the file cannot be read: {error}"), help),
        Ok(content) if content.is_empty() => refuse("the file is empty", help),
        // A sequence, as every certificate and key is in DER, and PKCS #12.
        Ok(content) if content[0] == 0x30 && !content.is_ascii() => {
            let convert = format!("openssl {tool} -inform DER -in {} -out FILE", file.display());
            refuse(
                "it is in DER, and not in PEM",
                &format!("`{convert}` converts it (`openssl pkcs12` if it is a .p12 or .pfx)"),
            )
        }
        Ok(content) if content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]) => {
            refuse("it is in UTF-16", "save it as UTF-8 or ASCII")
        }
        Ok(mut content) => {
            if content.starts_with("\u{feff}".as_bytes()) {
                content.drain(..3);
            }
            Ok(content)
        }
    }
}

/// What is wrong with a PEM file.
pub fn damage(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a part of it has no END line: is it cut off?".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line in it is not complete".to_owned(),
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is no base64".to_owned(),
        other => format!("it is damaged: {other}"),
    }
}
