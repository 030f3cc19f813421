//! Whom we believe to be the server: the roots of the system or those of a file, and with `--insecure` anybody, with
//! what would have been wrong. Every handshake has a verifier of its own, which remembers what it saw.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::fault::{AUTHORITY, CLOCK, Chain, KEY, NAME, REMAKE, RENEW, names, short, unreadable};
use super::{certificate, key_log, provider, unusable};
use crate::event::Certificate;
use crate::problem::Problem;
use crate::wording::date;

/// Whom we believe to be the server.
#[derive(Debug)]
pub struct Trust {
    judge: Arc<Judge>,
}

#[derive(Debug)]
struct Judge {
    /// None if there are no roots, with `--insecure` only.
    roots: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates of `--server-ca`, one of which the server itself may have.
    pinned: Vec<CertificateDer<'static>>,
    insecure: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// The roots of the system. There are none in the program: they would grow old in it, and a root that somebody has
    /// taken out of the system would still be believed.
    ///
    /// # Errors
    /// A system without roots, unless `insecure`.
    pub fn system(insecure: bool) -> Result<Self, Problem> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() && !insecure {
            let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(Problem::new(
                "TLS",
                format!("the system has no certificates to verify a server with{why}"),
                "install them (the package ca-certificates), or name those of the server's authority with --server-ca FILE",
            ));
        }
        Ok(Self::new(roots, Vec::new(), insecure))
    }

    /// The certificates of `--server-ca`, and no others: an authority's, or a server's own.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub fn file(file: &Path, insecure: bool) -> Result<Self, Problem> {
        let pinned = certificate::load("--server-ca", file)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(pinned.iter().cloned());
        if roots.is_empty() {
            let help = "name a certificate of version 3 of the server's authority, or the server's own";
            return Err(unusable("--server-ca", file, "none of its certificates can be used", help));
        }
        Ok(Self::new(roots, pinned, insecure))
    }

    fn new(roots: RootCertStore, pinned: Vec<CertificateDer<'static>>, insecure: bool) -> Self {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        // It fails without roots only.
        let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok();
        Trust { judge: Arc::new(Judge { roots, pinned, insecure, algorithms }) }
    }

    /// True if every certificate is accepted.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.judge.insecure
    }

    /// The configuration for one handshake, and who will have seen the certificate.
    pub fn witness(&self) -> (Arc<ClientConfig>, Arc<Witness>) {
        let witness =
            Arc::new(Witness { judge: self.judge.clone(), seen: Mutex::default(), asked: AtomicBool::new(false) });
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(witness.clone())
            .with_client_cert_resolver(witness.clone());
        // Every handshake is a full one: the certificate is seen each time.
        config.resumption = Resumption::disabled();
        config.key_log = key_log();
        (Arc::new(config), witness)
    }
}

/// Verifies the certificate of one server, and remembers what it was and what was wrong with it.
#[derive(Debug)]
pub struct Witness {
    judge: Arc<Judge>,
    seen: Mutex<Seen>,
    /// The server has requested a certificate of the client (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4).
    asked: AtomicBool,
}

/// What was seen of a server's certificate.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What it says.
    pub certificate: Option<Certificate>,
    /// What is wrong with it, each in a phrase; nothing if it is verified.
    pub faults: Vec<String>,
    /// What the user could do about it.
    pub remedy: &'static str,
}

impl Witness {
    /// What was seen.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if the server requested a client certificate. It got none: there is none to send.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// A signature that cannot be verified is one more thing that is wrong; with `--insecure` it goes on.
    fn allow(&self, verified: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
        verified.or_else(|error| {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.faults.push("the server did not prove that it has the key of this certificate".to_owned());
            if seen.remedy.is_empty() {
                seen.remedy = KEY;
            }
            if self.judge.insecure { Ok(HandshakeSignatureValid::assertion()) } else { Err(error) }
        })
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = self.judge.look(own, others, name, ocsp, now);
        let fine = seen.faults.is_empty() || self.judge.insecure;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        if fine {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.allow(verify_tls12_signature(message, own, signed, &self.judge.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.allow(verify_tls13_signature(message, own, signed, &self.judge.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl Judge {
    /// Everything that is wrong: dates, chain and name are looked at each for itself.
    fn look(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Seen {
        let certificate = certificate::read(own);
        let mut faults = Vec::new();
        let mut remedy = "";
        let mut wrong = |fault: String, what: &'static str| {
            if faults.contains(&fault) {
                return;
            }
            faults.push(fault);
            if remedy.is_empty() {
                remedy = what;
            }
        };
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match &certificate {
            Some(it) if seconds > it.not_after => wrong(format!("it expired on {}", date(it.not_after)), RENEW),
            Some(it) if seconds < it.not_before => {
                wrong(format!("it is valid from {} only", date(it.not_before)), CLOCK)
            }
            Some(_) => {}
            None => wrong("it cannot be read".to_owned(), REMAKE),
        }
        let dated = certificate.as_ref().is_some_and(|it| (it.not_before..=it.not_after).contains(&seconds));
        let pinned = self.pinned.iter().any(|pinned| pinned.as_ref() == own.as_ref());
        // Where the dates are wrong already, the chain is looked at as of the last day.
        let last = certificate.as_ref().and_then(|it| u64::try_from(it.not_after).ok()).filter(|_| !dated);
        let then = last.map_or(now, |last| UnixTime::since_unix_epoch(Duration::from_secs(last)));
        let chain = match &self.roots {
            Some(roots) => roots.verify_server_cert(own, others, name, ocsp, then).map(drop),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        let told = Chain { own: certificate.as_ref(), others, pinned: &self.pinned };
        match chain {
            Ok(()) => {}
            Err(_) if pinned => {}
            Err(Error::InvalidCertificate(error)) => match error {
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {}
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => {
                    if dated {
                        wrong(told.out_of_date(seconds), RENEW);
                    }
                }
                error => {
                    let (fault, remedy) = told.said(&error);
                    wrong(fault, remedy);
                }
            },
            Err(error) => wrong(format!("it is not valid: {error}"), AUTHORITY),
        }
        if let Some(bits) = short(own) {
            wrong(format!("its key is too short to be safe: RSA with {bits} bits"), REMAKE);
        }
        match ParsedCertificate::try_from(own) {
            Ok(parsed) if verify_server_name(&parsed, name).is_ok() => {}
            Ok(_) => wrong(format!("it is not for {}: {}", name.to_str(), names(certificate.as_ref())), NAME),
            Err(error) => {
                let (fault, remedy) = unreadable(&error);
                wrong(fault, remedy);
            }
        }
        Seen { certificate, faults, remedy }
    }
}
