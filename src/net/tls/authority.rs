//! The local certificate authority: made on first use, kept in the user's folder, and used by nobody else.
//!
//! `ca-key.pem` holds key and certificate together, so that one file appears or does not: whoever comes second finds
//! what the first one made. `ca.pem` is a copy of the certificate alone, to be given to clients. With the feature
//! `legacy-tls` there is a second one, for clients that know RSA only: `ca-rsa-key.pem` and `ca-rsa.pem`.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustix::fs::Mode;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{certificate, unusable};
use crate::event::Certificate;
use crate::file::folder::{OWN, PUBLIC};
use crate::file::{Folder, Refused};
use crate::problem::Problem;

/// How long the authority is valid, in days.
const VALID: i64 = 3650;

const DAY: i64 = 86_400;

/// Maximum number of bytes that are read of a key and its certificate.
const LONGEST: u64 = 1024 * 1024;

const RENEW: &str =
    "move this file away, and imapscope makes a new certificate authority, which clients must trust anew";

/// The local certificate authority.
#[derive(Debug)]
pub struct Authority {
    /// Where its certificate is, for clients: `ca.pem`.
    pub path: PathBuf,
    /// The certificate, in PEM.
    pub pem: String,
    /// What it says.
    pub certificate: Certificate,
    pub(super) der: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Opens the authority in a folder, or makes both.
    ///
    /// # Errors
    /// A folder or file that cannot be made, read or understood.
    pub fn open(folder: &Path) -> Result<Self, Problem> {
        Self::with(folder, ["ca-key.pem", "ca.pem"], || KeyPair::generate().map_err(|error| error.to_string()))
    }

    /// The same with another one, whose key is an RSA key. It takes a while to make that.
    ///
    /// # Errors
    /// As above.
    #[cfg(feature = "legacy-tls")]
    pub fn open_rsa(folder: &Path) -> Result<Self, Problem> {
        Self::with(folder, ["ca-rsa-key.pem", "ca-rsa.pem"], super::legacy::new_key)
    }

    /// With these names of the secret file and of the other one, and a key that is made so.
    fn with(folder: &Path, names: [&str; 2], key: impl Fn() -> Result<KeyPair, String>) -> Result<Self, Problem> {
        let secret = folder.join(names[0]);
        let open = Folder::private(folder, true).map_err(|refused| match refused.help.is_empty() {
            true => cannot_write(folder, refused),
            false => Problem::new("local certificate authority", refused.what, refused.help),
        })?;
        let content = match key_of(&open, names[0]) {
            Err(refused) if refused.kind == io::ErrorKind::NotFound => {
                make(&open, &secret, names[0], key)?;
                key_of(&open, names[0])
            }
            read => read,
        };
        let content = content.map_err(|refused| {
            let help = "let this user read it, or set IMAPSCOPE_HOME to another folder";
            let help = if refused.help.is_empty() { help } else { &refused.help };
            unusable("", &secret, &format!("the local certificate authority cannot be read: {refused}"), help)
        })?;
        let authority = Self::parse(&content, folder.join(names[1])).map_err(|what| {
            unusable("", &secret, &format!("the local certificate authority is of no use: {what}"), RENEW)
        })?;
        authority.publish(&open, names[1])?;
        Ok(authority)
    }

    fn parse(content: &str, path: PathBuf) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(content.as_bytes())
            .map_err(|_| "there is no whole certificate in the file".to_owned())?;
        let certificate = certificate::read(&der).ok_or("its certificate cannot be read")?;
        let key = KeyPair::from_pem(content).map_err(|_| "there is no whole key in the file".to_owned())?;
        if !certificate::is_authority(&der, key.public_key_raw()) {
            return Err("key and certificate do not belong together".to_owned());
        }
        if certificate.not_after <= now() + DAY {
            return Err("its certificate has expired".to_owned());
        }
        let start = content.find("-----BEGIN CERTIFICATE-----").unwrap_or_default();
        let pem = content[start..].trim_end().to_owned() + "\n";
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| error.to_string())?;
        Ok(Authority { path, pem, certificate, der, issuer })
    }

    /// Puts the certificate where clients can be given it from.
    fn publish(&self, folder: &Folder, name: &str) -> Result<(), Problem> {
        let mut there = Vec::new();
        let length = self.pem.len() as u64;
        let read = folder.read(name).ok().map(|opened| opened.file.take(length + 1).read_to_end(&mut there));
        if read.is_some_and(|read| read.is_ok()) && there == self.pem.as_bytes() {
            return Ok(());
        }
        let written = fresh(folder, name, self.pem.as_bytes(), PUBLIC)
            .and_then(|new| folder.rename(&new, name).inspect_err(|_| drop(folder.remove(&new))));
        written.map_err(|error| cannot_write(&self.path, error.into()))
    }
}

/// Reads the file of the key. Fails if others than its owner can read it: whoever has it can pretend to be any server.
fn key_of(folder: &Folder, name: &str) -> Result<String, Refused> {
    let opened = folder.read(name)?;
    let path = folder.path().join(name);
    let refuse = |what: String, help: String| Err(Refused::new(io::ErrorKind::PermissionDenied, what, help));
    if !folder.trusts(&opened.found) {
        let what = format!("it belongs to another user (uid {})", opened.found.uid());
        return refuse(what, RENEW.to_owned());
    }
    let mode = opened.found.mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!(
            "others can read it (its mode is {mode:o}), and whoever has this key can pretend to be any server to your clients"
        );
        let help = format!(
            "`chmod 600 {}`; if somebody may have read it, move it away, and imapscope makes a new one",
            path.display()
        );
        return refuse(what, help);
    }
    let mut content = String::new();
    opened.file.take(LONGEST).read_to_string(&mut content)?;
    Ok(content)
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Sets from when and until when a certificate is valid: whole days, of which the first is yesterday, as clocks differ.
pub(super) fn set_validity(params: &mut CertificateParams, days: i64, until: i64) {
    let day = |seconds: i64| {
        let date =
            jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(seconds).unwrap_or_default()).date();
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let start = now() - DAY;
    params.not_before = day(start);
    params.not_after = day((start + days * DAY).min(until));
}

/// Makes key and certificate. If somebody else does so at the same time, one of the two wins.
fn make(folder: &Folder, secret: &Path, name: &str, key: impl Fn() -> Result<KeyPair, String>) -> Result<(), Problem> {
    let refuse = |error: String| unusable("", secret, &format!("no certificate could be made: {error}"), "");
    let key = key().map_err(refuse)?;
    // The last octets of an RSA key are its exponent, which is the same in all of them.
    let mark = key.public_key_raw().iter().rev().skip(if key.algorithm() == &rcgen::PKCS_RSA_SHA256 { 5 } else { 0 });
    let mark: String = mark.take(3).map(|octet| format!("{octet:02x}")).collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // Two of them are told apart by their names: clients look issuers up by name.
    params.distinguished_name.push(DnType::CommonName, format!("imapscope local CA {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, VALID, i64::MAX);
    let made = params.self_signed(&key).map_err(|error| refuse(error.to_string()))?;
    let content = format!("{}{}", key.serialize_pem(), made.pem());
    let cannot = |error: io::Error| cannot_write(secret, error.into());
    let new = fresh(folder, name, content.as_bytes(), OWN).map_err(cannot)?;
    // A link is made only where nothing is, and then it is whole. Where there are no links, renaming has to do.
    let put = match folder.link(&new, name) {
        Err(_) if !matches!(folder.read(name), Err(refused) if refused.kind == io::ErrorKind::NotFound) => Ok(()),
        Err(_) => folder.rename(&new, name),
        Ok(()) => Ok(()),
    };
    let _ = folder.remove(&new);
    put.map_err(cannot)
}

fn cannot_write(place: &Path, refused: Refused) -> Problem {
    let help = "IMAPSCOPE_HOME names the folder for the local certificate authority: set it to one that can be written";
    let help = if refused.help.is_empty() { help } else { &refused.help };
    unusable("", place, &format!("the local certificate authority cannot be written: {refused}"), help)
}

/// Writes a new file beside the one of this name, with a name that nobody else has.
fn fresh(folder: &Folder, name: &str, content: &[u8], mode: Mode) -> io::Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let stem = name.strip_suffix(".pem").unwrap_or(name);
    let new = format!("{stem}.{}-{number}.new", std::process::id());
    // What a process of the same number has left behind is in nobody's use.
    let _ = folder.remove(&new);
    let mut file = folder.create(&new, mode)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map(|()| new.clone()).inspect_err(|_| drop(folder.remove(&new)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_is_made_once_whoever_comes_first() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        let made: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Authority::open(&folder).unwrap().pem)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
        let again = Authority::open(&folder).unwrap();
        assert_eq!(fs::read_to_string(&again.path).unwrap(), made[0]);
        assert!(again.certificate.self_signed && again.certificate.subject.contains("imapscope local CA "));
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["ca-key.pem", "ca.pem"], "nothing is left lying about");
    }

    #[test]
    fn the_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("new");
        Authority::open(&folder).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("ca-key.pem"))), (0o700, 0o600));
    }

    #[test]
    fn damaged_files_are_one_clear_problem() {
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("ca-key.pem");
        Authority::open(home.path()).unwrap();
        let good = fs::read_to_string(&secret).unwrap();
        let (key, certificate) = good.split_at(good.find("-----BEGIN CERT").unwrap());
        let other = tempfile::tempdir().unwrap();
        let strange = Authority::open(other.path()).unwrap().pem;
        for (content, what) in [
            (String::new(), "no whole certificate"),
            (key.to_owned(), "no whole certificate"),
            (certificate.to_owned(), "no whole key"),
            (good[..good.len() - 40].to_owned(), "no whole certificate"),
            (format!("{key}{strange}"), "do not belong together"),
        ] {
            fs::write(&secret, &content).unwrap();
            let problem = Authority::open(home.path()).unwrap_err();
            assert!(problem.what.contains(what) && problem.help.contains("move this file away"), "{problem}");
            assert_eq!(fs::read_to_string(&secret).unwrap(), content, "what is there is left as it is");
        }
        fs::remove_file(&secret).unwrap();
        fs::create_dir(&secret).unwrap();
        let problem = Authority::open(home.path()).unwrap_err();
        assert!(problem.what.contains("cannot be read") && problem.origin.contains("ca-key.pem"), "{problem}");
    }
}
