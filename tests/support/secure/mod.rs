//! What tests of TLS share: an authority and certificates of their own, a relay whose log is read, and both ends of its
//! connections with TLS or without. Loopback only; nothing of the system's certificates is used.
#![allow(dead_code)]

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use imapscope::event::{Closed, Event, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::net::queue::channel;
use imapscope::net::tls::{Authority, Identity, Means, Trust};
use imapscope::net::{Endpoint, Limits, Relay, Route};
use imapscope::rules::{Rules, Source};
use imapscope::session::Session;
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::Look;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Bounds every wait: a test that hangs fails.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it took longer than 30 s")
}

/// Either end of a leg.
pub trait End: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> End for T {}

/// Certificates for servers, and a folder for files.
pub struct Office {
    pub folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate.
    pub ca: PathBuf,
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub enum When {
    Now,
    Past,
    Future,
}

impl Office {
    pub fn open() -> Office {
        Self::named("Office")
    }

    pub fn named(name: &str) -> Office {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = folder.path().join("office.pem");
        std::fs::write(&ca, params.self_signed(&key).unwrap().pem()).unwrap();
        Office { folder, issuer: Issuer::new(params, key), ca }
    }

    fn params(names: &[&str], when: When) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "a server");
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        let (from, until) = match when {
            When::Now => (2020, 2100),
            When::Past => (2020, 2021),
            When::Future => (2100, 2101),
        };
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        params
    }

    /// The PEM of a certificate and its key.
    pub fn issue(&self, names: &[&str], when: When) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (Self::params(names, when).signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The same, self-signed.
    pub fn alone(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (Self::params(names, When::Now).self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    /// The same, which calls itself an authority besides.
    pub fn vain(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = Self::params(names, When::Now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    /// The same for `localhost`, changed before it is signed.
    pub fn made(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = Self::params(&["localhost"], When::Now);
        change(&mut params);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Another office, for which this one vouches; its certificate is changed before it is signed.
    pub fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Office {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let ca = folder.path().join("office.pem");
        std::fs::write(&ca, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        Office { folder, issuer: Issuer::new(params, key), ca }
    }

    /// A certificate and its key, with that of this office behind it, as servers send it.
    pub fn with_ours(&self, (certificate, key): (String, String)) -> (String, String) {
        (certificate + &std::fs::read_to_string(&self.ca).unwrap(), key)
    }

    /// A server with such a certificate.
    pub fn server(&self, names: &[&str], when: When) -> Arc<ServerConfig> {
        config(&self.issue(names, when))
    }

    /// Believes this office only.
    pub fn trust(&self) -> Option<Arc<Trust>> {
        Some(Arc::new(Trust::file(&self.ca, false).unwrap()))
    }

    /// Believes anybody.
    pub fn insecure(&self) -> Option<Arc<Trust>> {
        Some(Arc::new(Trust::file(&self.ca, true).unwrap()))
    }

    /// An identity with an authority in this folder, and who believes it.
    pub fn identity(&self) -> (Option<Arc<Identity>>, Arc<ClientConfig>) {
        let authority = Authority::open(&self.folder.path().join("home")).unwrap();
        let config = client(Some(&authority.pem));
        (Some(Arc::new(Identity::local(authority).unwrap())), config)
    }
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server with a certificate and its key.
pub fn config((certificate, key): &(String, String)) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// A server that shows a certificate, however little it is worth, with a key.
pub fn showing((certificate, key): &(String, String)) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let signing = provider().key_provider.load_private_key(key).unwrap();
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(chain, signing)));
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_cert_resolver(resolver))
}

/// A server that shows a certificate of which it has not the key.
pub fn stolen(certificate: &str) -> Arc<ServerConfig> {
    showing(&(certificate.to_owned(), KeyPair::generate().unwrap().serialize_pem()))
}

/// What it takes to follow STARTTLS with these.
pub fn means(identity: &Option<Arc<Identity>>, trust: &Option<Arc<Trust>>) -> Option<Arc<Means>> {
    let (identity, trust) = (identity.clone().unwrap(), trust.clone().unwrap());
    Some(Arc::new(Means::new(move || Ok((identity.clone(), trust.clone())))))
}

/// A client that believes this authority, or nobody.
pub fn client(authority: Option<&str>) -> Arc<ClientConfig> {
    client_with(provider(), rustls::ALL_VERSIONS, authority)
}

pub fn client_with(
    provider: Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    authority: Option<&str>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        authority.into_iter().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()),
    );
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// A relay, and the log that it writes.
pub struct Stage {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
    log: JoinHandle<String>,
    events: mpsc::Receiver<Event>,
}

/// What a stage is to be.
pub struct Set<'a> {
    pub protocol: &'a str,
    pub host: &'a str,
    pub identity: Option<Arc<Identity>>,
    pub trust: Option<Arc<Trust>>,
    pub means: Option<Arc<Means>>,
    pub own: [bool; 2],
    pub rule: Option<&'a str>,
    pub limits: Limits,
}

impl Default for Set<'_> {
    fn default() -> Self {
        let limits = Limits { connect_timeout: Duration::from_secs(20), ..Limits::default() };
        Set {
            protocol: "imap",
            host: "localhost",
            identity: None,
            trust: None,
            means: None,
            own: [false; 2],
            rule: None,
            limits,
        }
    }
}

impl Stage {
    pub async fn open(set: Set<'_>, server: SocketAddr) -> Stage {
        let grammar = Grammar::builtin(set.protocol).unwrap();
        let mut rules = set.rule.map(|rule| Source::rule(1, rule)).into_iter().collect::<Vec<_>>();
        let offered = grammar.starttls.as_ref().and_then(|how| how.capability.as_deref()).filter(|_| set.own[0]);
        rules.extend(offered.into_iter().flat_map(|name| Source::offering("+starttls", name)));
        let rules = Arc::new(Rules::compile(&rules).unwrap());
        let scheme = |tls: bool| format!("{}{}", set.protocol, if tls { "s" } else { "" });
        let route = Route {
            name: Default::default(),
            listen: Endpoint::new("127.0.0.1", 0),
            server: Endpoint::new(set.host, server.port()),
            protocol: set.protocol.into(),
            scheme: scheme(set.trust.is_some()),
            listens: scheme(set.identity.is_some()),
            plain: set.protocol.into(),
            identity: set.identity,
            trust: set.trust,
            own: set.own,
            means: set.means,
        };
        let relay = Relay::bind(vec![route], set.limits).await.unwrap();
        let address = relay.routes()[0].address;
        let (sender, mut receiver) = channel(4 << 20);
        let (stop, stopped) = watch::channel(false);
        let make = {
            let grammar = grammar.clone();
            move |_: &Route, number| Session::new(number, grammar.clone(), rules.clone())
        };
        let serving = tokio::spawn(relay.serve(make, sender, stopped, |notice| panic!("{notice}")));
        let (collect, events) = mpsc::channel();
        let log = std::thread::spawn(move || {
            let mut explainers = std::collections::HashMap::new();
            let mut log = Vec::new();
            let mut pretty = Pretty::new(&mut log, Look::default());
            while let Some(mut batch) = receiver.recv() {
                let explainer =
                    explainers.entry(batch.connection).or_insert_with(|| Explainer::new(grammar.clone(), false));
                explainer.explain(&mut batch, &mut |event| pretty.put(event).unwrap());
                batch.events.drain(..).for_each(|event| drop(collect.send(event)));
            }
            pretty.end().unwrap();
            drop(pretty);
            String::from_utf8(log).unwrap()
        });
        Stage { address, stop, serving, log, events }
    }

    /// A client's end; with TLS, it asks for `localhost`.
    pub async fn client(&self, tls: Option<&Arc<ClientConfig>>) -> io::Result<Box<dyn End>> {
        let socket = soon(TcpStream::connect(self.address)).await?;
        socket.set_nodelay(true)?;
        connect(socket, tls).await
    }

    /// Ends the relay; its log and all events.
    pub async fn end(self) -> (String, Vec<Event>) {
        self.stop.send_replace(true);
        soon(self.serving).await.unwrap();
        let log = soon(tokio::task::spawn_blocking(|| self.log.join())).await.unwrap().unwrap();
        (log, self.events.into_iter().collect())
    }

    /// Waits for the end of the one connection; how it closed, all events, and the log.
    pub async fn closed(self) -> (Closed, Vec<Event>, String) {
        let Stage { stop, serving, log, events, .. } = self;
        let seen = tokio::task::spawn_blocking(move || {
            let mut seen: Vec<Event> = Vec::new();
            while !matches!(seen.last(), Some(Event { what: What::Closed(_), .. })) {
                seen.push(events.recv_timeout(Duration::from_secs(30)).expect("the connection ends"));
            }
            seen
        });
        let seen = soon(seen).await.unwrap();
        stop.send_replace(true);
        soon(serving).await.unwrap();
        let log = soon(tokio::task::spawn_blocking(|| log.join())).await.unwrap().unwrap();
        let Some(Event { what: What::Closed(closed), .. }) = seen.last().cloned() else { unreachable!() };
        (*closed, seen, log)
    }
}

/// A client's end over any stream.
pub async fn connect<S: End + 'static>(socket: S, tls: Option<&Arc<ClientConfig>>) -> io::Result<Box<dyn End>> {
    Ok(match tls {
        None => Box::new(socket),
        Some(config) => {
            let name = ServerName::try_from("localhost").unwrap();
            Box::new(soon(TlsConnector::from(config.clone()).connect(name, socket)).await?)
        }
    })
}

/// A server socket for a test to accept on.
pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The server's end of the next connection.
pub async fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) -> io::Result<Box<dyn End>> {
    let (socket, _) = soon(listener.accept()).await?;
    socket.set_nodelay(true)?;
    Ok(match tls {
        None => Box::new(socket),
        Some(config) => Box::new(soon(TlsAcceptor::from(config.clone()).accept(socket)).await?),
    })
}

/// Reads until `count` octets have come.
pub async fn take(end: &mut (impl End + ?Sized), count: usize) -> Vec<u8> {
    let mut octets = vec![0; count];
    soon(end.read_exact(&mut octets)).await.unwrap();
    octets
}

/// Writes all of it.
pub async fn give(end: &mut (impl End + ?Sized), octets: &[u8]) {
    soon(end.write_all(octets)).await.unwrap();
    soon(end.flush()).await.unwrap();
}

/// A stream that writes one octet at a time.
pub struct Drip<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for Drip<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Drip<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &octets[..octets.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
