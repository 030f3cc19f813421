//! Who we are to a client that speaks TLS: certificates of the local authority, made as they are asked for, or the one
//! that the user gave.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};

use super::authority::set_validity;
#[cfg(feature = "legacy-tls")]
use super::legacy::{LegacyOffice, LegacyShown};
use super::{Authority, certificate, key_log, provider, unusable};
use crate::event::Certificate;
use crate::problem::Problem;

/// How long a certificate is valid, in days: some clients refuse those that are valid for longer than 398.
const VALID: i64 = 397;

/// So many certificates are kept for the next client that asks for the same names.
const KEPT: usize = 256;

/// The longest common name (RFC 5280, appendix A.1: ub-common-name).
const COMMON_NAME: usize = 64;

/// Who we are to clients.
#[derive(Debug)]
pub struct Identity {
    /// The key of every certificate that is shown with rustls.
    key: Arc<dyn SigningKey>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Local(Box<Local>),
    Given(Box<Given>),
}

#[derive(Debug)]
struct Given {
    shown: Shown,
    #[cfg(feature = "legacy-tls")]
    legacy: LegacyShown,
}

#[derive(Debug)]
struct Local {
    authority: Authority,
    /// One key for all certificates of this process.
    key: KeyPair,
    made: Made<Shown>,
    #[cfg(feature = "legacy-tls")]
    legacy: LegacyOffice,
}

/// What was made for names, for the next client that asks for the same.
#[derive(Debug)]
pub struct Made<T>(Mutex<VecDeque<(Vec<String>, T)>>);

impl<T> Default for Made<T> {
    fn default() -> Self {
        Made(Mutex::default())
    }
}

/// A certificate, ready to be shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The configuration for a handshake.
    pub config: Arc<ServerConfig>,
    /// What the certificate says.
    pub certificate: Option<Certificate>,
}

/// What certificates with a key of this kind are for.
pub const SIGNS: &[KeyUsagePurpose] = &[KeyUsagePurpose::DigitalSignature];

impl Identity {
    /// Certificates of the local authority.
    ///
    /// # Errors
    /// A system that gives no key.
    pub fn local(authority: Authority) -> Result<Self, Problem> {
        let key =
            KeyPair::generate().map_err(|error| Problem::new("TLS", format!("no key could be made: {error}"), ""))?;
        let problem = |error: rustls::Error| Problem::new("TLS", format!("no key could be made: {error}"), "");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = provider().key_provider.load_private_key(private).map_err(problem)?;
        #[cfg(feature = "legacy-tls")]
        let legacy = LegacyOffice::new(&authority);
        let local = Local {
            authority,
            key,
            made: Made::default(),
            #[cfg(feature = "legacy-tls")]
            legacy,
        };
        Ok(Identity { key: signing, kind: Kind::Local(Box::new(local)) })
    }

    /// The certificate of `--cert` with the key of `--key`.
    ///
    /// # Errors
    /// Files that cannot be read, hold something else, or do not fit each other.
    pub fn given(chain: &Path, key: &Path) -> Result<Self, Problem> {
        let provider = provider();
        let certificates = certificate::load("--cert", chain)?;
        let private = private_key(key)?;
        let signing = provider.key_provider.load_private_key(private).map_err(|_| {
            let help = "use an RSA key of 2048 bits or more, or an ECDSA (P-256, P-384, P-521) or Ed25519 key";
            unusable("--key", key, "this kind of key is not supported", help)
        })?;
        let fits = |at: usize| CertifiedKey::new(vec![certificates[at].clone()], signing.clone()).keys_match().is_ok();
        match (0..certificates.len()).find(|at| fits(*at)) {
            Some(0) => {}
            Some(at) => {
                let what = format!("the certificate of the key is number {} in the file, and not the first", at + 1);
                let help = "put the server's certificate first, then the one that signed it, and so on";
                return Err(unusable("--cert", chain, &what, help));
            }
            None => {
                let what = format!("the key in {} is not that of this certificate", key.display());
                return Err(unusable("--cert", chain, &what, "name the two files that were made for each other"));
            }
        }
        if let Some(at) = certificates.windows(2).position(|pair| !certificate::follows(&pair[0], &pair[1])) {
            let what = format!("the certificate number {} did not sign the one before it", at + 2);
            let help = "put the server's certificate first, then the one that signed it, and so on";
            return Err(unusable("--cert", chain, &what, help));
        }
        let shown = Shown::new(&provider, CertifiedKey::new(certificates, signing.clone()));
        #[cfg(feature = "legacy-tls")]
        let legacy = LegacyShown::given(chain, key, shown.certificate.clone())?;
        let given = Given {
            shown,
            #[cfg(feature = "legacy-tls")]
            legacy,
        };
        Ok(Identity { key: signing, kind: Kind::Given(Box::new(given)) })
    }

    /// The key of every certificate that is shown with rustls.
    #[must_use]
    pub fn key(&self) -> &dyn SigningKey {
        &*self.key
    }

    /// What the certificate says that the user gave.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        match &self.kind {
            Kind::Given(shown) => shown.shown.certificate.as_ref(),
            Kind::Local(_) => None,
        }
    }

    /// True for a certificate that the user gave.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        matches!(self.kind, Kind::Given(_))
    }

    /// What to show to a client that asks for `name`, or, if it asks for none, has connected to `address` to reach
    /// `host`.
    ///
    /// # Errors
    /// A name that no certificate can hold.
    pub fn show(&self, name: Option<&str>, address: IpAddr, host: &str) -> Result<Shown, String> {
        match &self.kind {
            Kind::Given(given) => Ok(given.shown.clone()),
            Kind::Local(local) => local.show(asked(name, address, host), &self.key),
        }
    }

    /// The same for a client that rustls cannot serve. The first time it takes as long as RSA keys take to be made.
    ///
    /// # Errors
    /// A name that no certificate can hold, or an authority that cannot be made or read.
    #[cfg(feature = "legacy-tls")]
    pub fn show_legacy(&self, name: Option<&str>, address: IpAddr, host: &str) -> Result<LegacyShown, String> {
        match &self.kind {
            Kind::Given(given) => Ok(given.legacy.clone()),
            Kind::Local(local) => local.legacy.show(asked(name, address, host)),
        }
    }
}

/// The names for a client that asks for this one, or for none.
fn asked(name: Option<&str>, address: IpAddr, host: &str) -> Vec<String> {
    match name {
        Some(name) => vec![name.to_ascii_lowercase()],
        None => unasked(address, host),
    }
}

/// The names for a client that names none: the address that it has used, `localhost` where that is it, and the server's.
fn unasked(address: IpAddr, host: &str) -> Vec<String> {
    let address = address.to_canonical();
    let mut names = vec![address.to_string()];
    if address.is_loopback() {
        names.push("localhost".to_owned());
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if !names.contains(&host) {
        names.push(host);
    }
    names
}

impl<T: Clone> Made<T> {
    /// What is there for these names, or what is made now.
    pub fn get(&self, names: Vec<String>, make: impl FnOnce(&[String]) -> Result<T, String>) -> Result<T, String> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, shown)) = made.iter().find(|(known, _)| *known == names) {
            return Ok(shown.clone());
        }
        let shown = make(&names).map_err(|error| format!("no certificate for {}: {error}", names.join(", ")))?;
        if made.len() == KEPT {
            made.pop_front();
        }
        made.push_back((names, shown.clone()));
        Ok(shown)
    }
}

impl Local {
    fn show(&self, names: Vec<String>, signing: &Arc<dyn SigningKey>) -> Result<Shown, String> {
        self.made.get(names, |names| {
            let chain = issue(&self.authority, &self.key, names, SIGNS)?;
            Ok(Shown::new(&provider(), CertifiedKey::new(chain, signing.clone())))
        })
    }
}

/// A certificate of this authority for these names and this key, and the authority's.
pub fn issue(
    authority: &Authority,
    key: &KeyPair,
    names: &[String],
    usages: &[KeyUsagePurpose],
) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut params = CertificateParams::default();
    for name in names {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            // A host that is no name of a certificate is left out: the client did not ask for it.
            Err(_) => match name.as_str().try_into() {
                Ok(name) => SanType::DnsName(name),
                Err(_) => continue,
            },
        };
        params.subject_alt_names.push(name);
    }
    params.distinguished_name = DistinguishedName::new();
    let common = names.first().filter(|name| name.len() <= COMMON_NAME);
    params.distinguished_name.push(DnType::CommonName, common.map_or("imapscope", String::as_str));
    params.key_usages = usages.to_vec();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, VALID, authority.certificate.not_after);
    let made = params.signed_by(key, &authority.issuer).map_err(|error| error.to_string())?;
    Ok(vec![made.der().clone(), authority.der.clone()])
}

impl Shown {
    fn new(provider: &Arc<CryptoProvider>, certified: CertifiedKey) -> Self {
        let certificate = certified.cert.first().and_then(|der| certificate::read(der));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(certified));
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        // Every handshake is a full one: what a client makes of the certificate is seen each time.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.key_log = key_log();
        Shown { config: Arc::new(config), certificate }
    }
}

/// The private key in the file of `--key`.
///
/// # Errors
/// A file that cannot be read, or holds something else.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Problem> {
    let help = "name the file of the private key, in PEM and without a passphrase";
    let refuse = |what: &str| unusable("--key", file, what, help);
    let content = certificate::content("--key", file, "pkey", help)?;
    let has = |text: &str| content.windows(text.len()).any(|part| part == text.as_bytes());
    if has("-----BEGIN ENCRYPTED PRIVATE KEY") || has("Proc-Type: 4,ENCRYPTED") {
        let help = format!(
            "`openssl pkey -in {} -out FILE` writes it without one; keep that file to yourself",
            file.display()
        );
        return Err(unusable("--key", file, "the key has a passphrase", &help));
    }
    let mut found = PrivateKeyDer::pem_slice_iter(&content).collect::<Result<Vec<_>, _>>();
    match &mut found {
        Err(error) => Err(refuse(&certificate::damage(error))),
        Ok(keys) if keys.len() > 1 => {
            let what = format!("there are {} private keys in it", keys.len());
            Err(unusable("--key", file, &what, "leave only that of the certificate"))
        }
        Ok(keys) => keys.pop().ok_or_else(|| refuse("there is no private key in it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> (tempfile::TempDir, Identity) {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::local(Authority::open(home.path()).unwrap()).unwrap();
        (home, identity)
    }

    #[test]
    fn certificates_are_for_what_was_asked() {
        let (_home, identity) = local();
        let loopback = "127.0.0.1".parse().unwrap();
        let names = |name: Option<&str>, host: &str| {
            let certificate = identity.show(name, loopback, host).unwrap().certificate.unwrap();
            assert!(certificate.issuer.contains("imapscope local CA"));
            let days = (certificate.not_after - certificate.not_before) / 86_400;
            assert!((1..=397).contains(&days) && certificate.not_before < super::super::authority::now());
            certificate.names.join(" ")
        };
        assert_eq!(names(Some("Mail.Example.org"), "h"), "mail.example.org");
        assert_eq!(names(None, "mail.example.org."), "127.0.0.1 localhost mail.example.org");
        assert_eq!(names(None, "127.0.0.1"), "127.0.0.1 localhost");
        assert_eq!(names(None, "2001:db8::1"), "127.0.0.1 localhost 2001:db8::1");
        let long = format!("{}.example.org", "a".repeat(63));
        assert_eq!(names(Some(&long), "h"), long);
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(identity.show(None, mapped, "h").unwrap().certificate.unwrap().names, ["192.0.2.1", "h"]);
    }

    #[test]
    fn the_same_names_have_the_same_certificate_and_old_ones_are_forgotten() {
        let (_home, identity) = local();
        let show = |name: &str| identity.show(Some(name), "127.0.0.1".parse().unwrap(), "h").unwrap();
        let first = show("a.example");
        assert!(Arc::ptr_eq(&first.config, &show("A.example").config));
        for number in 0..KEPT {
            show(&format!("{number}.example"));
        }
        assert!(!Arc::ptr_eq(&first.config, &show("a.example").config));
        let Kind::Local(local) = &identity.kind else { panic!("it is a local one") };
        assert_eq!(local.made.0.lock().unwrap().len(), KEPT);
    }
}
