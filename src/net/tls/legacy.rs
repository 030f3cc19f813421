//! Clients that rustls cannot serve: TLS 1.0 and 1.1, and those that know RSA only. Who we are to them, and how OpenSSL is
//! set for them. What it says when it fails is said in the words of rustls, so that all sentences are made in one place.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::OnceLock;

use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{
    self, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode,
    SslVersion,
};
use openssl::x509::X509;
use rcgen::{KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256};
use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};
use tokio_openssl::SslStream;

use super::identity::{Made, issue, private_key};
use super::legacy_stream::LegacyStream;
use super::{Authority, certificate, key_log, unusable};
use crate::event::{Certificate, TlsFacts, Verification};
use crate::net::socket::Socket;
use crate::problem::Problem;

/// The suites, the best first. A key exchange with DHE comes last: many clients that have it fail with a group of more than
/// 1024 bits. Level 0 allows SHA-1, without which there is no TLS 1.0.
const SUITES: &str = "kECDHE:kRSA:kDHE:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0";

/// The size of RSA keys, in bits.
const BITS: u32 = 2048;

/// A key for signatures, and for the exchange of keys that RSA has.
const USAGES: &[KeyUsagePurpose] = &[KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];

/// Who we are to such clients, with certificates of an authority of its own. Nothing is made before the first one comes.
#[derive(Debug)]
pub struct LegacyOffice {
    folder: PathBuf,
    /// The authority, and one key for all certificates of this process.
    made: OnceLock<Result<(Authority, KeyPair), String>>,
    shown: Made<LegacyShown>,
}

/// A certificate, ready to be shown.
#[derive(Clone)]
pub struct LegacyShown {
    /// OpenSSL, set for one certificate.
    context: SslContext,
    /// What the certificate says.
    pub certificate: Option<Certificate>,
}

impl std::fmt::Debug for LegacyShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LegacyShown").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A new RSA key. It takes a tenth of a second, or several.
pub fn new_key() -> Result<KeyPair, String> {
    let new = || PKey::from_rsa(Rsa::generate(BITS)?)?.private_key_to_pem_pkcs8();
    let pem = new().map_err(|error| error.to_string())?;
    let pem = String::from_utf8(pem).map_err(|error| error.to_string())?;
    KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).map_err(|error| error.to_string())
}

impl LegacyOffice {
    /// Keeps its authority beside this one.
    pub fn new(beside: &Authority) -> Self {
        let folder = beside.path.parent().map(Path::to_owned).unwrap_or_default();
        LegacyOffice { folder, made: OnceLock::new(), shown: Made::default() }
    }

    /// What to show to a client that asks for these names.
    ///
    /// # Errors
    /// An authority or a key that cannot be made, a name that no certificate can hold.
    pub fn show(&self, names: Vec<String>) -> Result<LegacyShown, String> {
        let made = self.made.get_or_init(|| {
            let authority = Authority::open_rsa(&self.folder).map_err(|problem| problem.to_string())?;
            Ok((authority, new_key()?))
        });
        let (authority, key) = made.as_ref().map_err(String::clone)?;
        self.shown.get(names, |names| {
            let chain = issue(authority, key, names, USAGES)?;
            let said = chain.first().and_then(|der| certificate::read(der));
            LegacyShown::new(&chain, &key.serialize_der(), said).map_err(|error| error.to_string())
        })
    }
}

impl LegacyShown {
    /// The certificate of `--cert` with the key of `--key`, which fit each other.
    ///
    /// # Errors
    /// Files that OpenSSL cannot use.
    pub fn given(chain: &Path, key: &Path, said: Option<Certificate>) -> Result<Self, Problem> {
        let certificates = certificate::load("--cert", chain)?;
        let private = private_key(key)?;
        Self::new(&certificates, private.secret_der(), said)
            .map_err(|error| unusable("--key", key, &format!("OpenSSL cannot use it: {error}"), "use an RSA key"))
    }

    fn new(chain: &[CertificateDer<'_>], key: &[u8], said: Option<Certificate>) -> Result<Self, ErrorStack> {
        let key: PKey<Private> = PKey::private_key_from_der(key)?;
        let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
        // The system's own settings may forbid all of this.
        context.set_min_proto_version(Some(SslVersion::TLS1))?;
        context.set_max_proto_version(None)?;
        context.set_cipher_list(SUITES)?;
        context.clear_options(SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1 | SslOptions::NO_TLSV1_2);
        context.set_options(
            SslOptions::NO_SSLV3
                | SslOptions::NO_COMPRESSION
                | SslOptions::NO_RENEGOTIATION
                | SslOptions::NO_TICKET
                | SslOptions::CIPHER_SERVER_PREFERENCE
                // Old clients fail at the empty records that TLS 1.0 would have before each other one.
                | SslOptions::DONT_INSERT_EMPTY_FRAGMENTS,
        );
        // Every handshake is a full one: what a client makes of the certificate is seen each time.
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        context.set_num_tickets(0)?;
        // A write that the socket did not take is repeated with the same octets, at another place and with more behind them.
        context
            .set_mode(SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER | SslMode::RELEASE_BUFFERS);
        context.set_tmp_dh(&*Dh::from_pqg(BigNum::get_rfc3526_prime_2048()?, None, BigNum::from_u32(2)?)?)?;
        let mut chain = chain.iter();
        if let Some(own) = chain.next() {
            context.set_certificate(&*X509::from_der(own)?)?;
        }
        for other in chain {
            context.add_extra_chain_cert(X509::from_der(other)?)?;
        }
        context.set_private_key(&key)?;
        if let Some(write) = key_log::writer() {
            context.set_keylog_callback(move |_, line| write(line));
        }
        Ok(LegacyShown { context: context.build(), certificate: said })
    }

    /// Answers the TLS that the client behind `socket` begins. With the error comes the socket's own end.
    pub async fn accept(self, socket: Socket, name: Option<String>) -> io::Result<(LegacyStream, TlsFacts)> {
        let stack = |error: ErrorStack| io::Error::other(Error::General(error.to_string()));
        let ssl = Ssl::new(&self.context).map_err(stack)?;
        let mut stream = SslStream::new(ssl, socket).map_err(stack)?;
        Pin::new(&mut stream).accept().await.map_err(|error| translated(error, stream.get_ref().has_ended()))?;
        stream.get_mut().forget_head();
        let ssl = stream.ssl();
        let version = match ssl.version2() {
            Some(SslVersion::TLS1) => "TLS 1.0",
            Some(SslVersion::TLS1_1) => "TLS 1.1",
            Some(SslVersion::TLS1_2) => "TLS 1.2",
            Some(SslVersion::TLS1_3) => "TLS 1.3",
            _ => "TLS",
        };
        let suite = ssl.current_cipher().and_then(|cipher| cipher.standard_name()).unwrap_or_default();
        let facts = TlsFacts {
            version: version.to_owned(),
            suite: suite.to_owned(),
            name,
            certificate: self.certificate,
            verdict: Verification::Ours,
            legacy: true,
            ..TlsFacts::default()
        };
        Ok((LegacyStream::new(stream), facts))
    }
}

/// Numbers of alerts begin here among the reasons of OpenSSL (`SSL_AD_REASON_OFFSET`).
const ALERTS: i32 = 1000;

/// An error of OpenSSL as one of rustls, or of the socket. `ended` says that the peer has ended the connection.
pub fn translated(error: ssl::Error, ended: bool) -> io::Error {
    let error = match error.into_io_error() {
        Ok(error) => return error,
        Err(error) => error,
    };
    let reasons = error.ssl_error().map(ErrorStack::errors).unwrap_or_default();
    let reason = reasons.first().map(openssl::error::Error::reason_code).unwrap_or_default();
    if let Ok(alert) = u8::try_from(reason - ALERTS) {
        return io::Error::new(io::ErrorKind::InvalidData, Error::AlertReceived(AlertDescription::from(alert)));
    }
    let broken = match reason {
        // SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SHARED_GROUPS
        193 | 410 => Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
        // SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS
        118 | 376 => Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon),
        // SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW
        258 | 396 => Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered),
        // SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC
        281 => Error::DecryptError,
        // SSL_R_WRONG_VERSION_NUMBER
        267 => Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion),
        _ if ended || error.code() == ErrorCode::SYSCALL => return io::ErrorKind::UnexpectedEof.into(),
        _ => {
            let said = reasons.first().and_then(openssl::error::Error::reason);
            Error::General(said.map_or_else(|| error.to_string(), str::to_owned))
        }
    };
    io::Error::new(io::ErrorKind::InvalidData, broken)
}
