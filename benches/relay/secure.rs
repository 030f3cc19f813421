//! TLS: certificates, both ends of the load, and the bare proxy beside which the relay is measured: the same libraries with
//! the same settings, and a copy between the two. All use what rustls with ring prefers.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection, SideData,
    StreamOwned,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::layer::{Open, Wire};

/// The name of everybody here.
const HOST: &str = "127.0.0.1";

/// How much the server hands to TLS at once, in octets: four records.
const PIECE: usize = 64 * 1024;

/// The file of the certificate, which is its own authority.
pub fn certificate(folder: &Path) -> PathBuf {
    folder.join("certificate.pem")
}

/// The file of its key.
pub fn key(folder: &Path) -> PathBuf {
    folder.join("key.pem")
}

/// Makes both files.
pub fn prepare(folder: &Path) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
    fs::write(certificate(folder), cert.pem()).expect("a file");
    fs::write(key(folder), signing_key.serialize_pem()).expect("a file");
}

/// Both sides of TLS, with the files of this folder.
pub fn configs(folder: &Path) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let shown = CertificateDer::from_pem_file(certificate(folder)).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(key(folder)).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(shown.clone()).expect("a certificate that can be believed");
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let server = server.expect("its versions").with_no_client_auth().with_single_cert(vec![shown], key);
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.expect("its versions").with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server.expect("key and certificate fit")), Arc::new(client))
}

fn host() -> ServerName<'static> {
    ServerName::try_from(HOST).expect("an address")
}

/// One end of the load.
pub struct Tls<C>(StreamOwned<C, TcpStream>)
where
    C: DerefMut;

/// The client's end.
pub type Ours = Tls<ClientConnection>;

/// How clients and the server come to their layer.
pub fn ends(folder: &Path) -> (Arc<Open<Ours>>, Arc<Open<Tls<ServerConnection>>>) {
    let (server, client) = configs(folder);
    let theirs = move |socket: TcpStream| -> io::Result<_> {
        let session = ServerConnection::new(server.clone()).map_err(io::Error::other)?;
        Ok(Tls(StreamOwned::new(session, socket)))
    };
    let ours = move |socket: TcpStream| -> io::Result<_> {
        let session = ClientConnection::new(client.clone(), host()).map_err(io::Error::other)?;
        Ok(Tls(StreamOwned::new(session, socket)))
    };
    (Arc::new(ours), Arc::new(theirs))
}

/// What a client has agreed on, in a few words.
pub fn terms(client: &Ours) -> String {
    let session = &client.0.conn;
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    match (session.protocol_version(), suite) {
        (Some(version), Some(suite)) => format!("{version:?} {suite:?} with the client"),
        _ => "no TLS".to_owned(),
    }
}

impl<C, S> Read for Tls<C>
where
    C: DerefMut + Deref<Target = ConnectionCommon<S>>,
    S: SideData,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<C, S> Write for Tls<C>
where
    C: DerefMut + Deref<Target = ConnectionCommon<S>>,
    S: SideData,
{
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<C, S> Wire for Tls<C>
where
    C: DerefMut + Deref<Target = ConnectionCommon<S>>,
    S: SideData,
{
    fn pour(&mut self, mut octets: u64) -> io::Result<()> {
        let stock = vec![b'x'; PIECE];
        while octets > 0 {
            let now = stock.len().min(usize::try_from(octets).unwrap_or(usize::MAX));
            self.write_all(&stock[..now])?;
            octets -= now as u64;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.conn.send_close_notify();
        self.0.flush()?;
        self.0.sock.shutdown(Shutdown::Write)
    }

    fn socket(&self) -> &TcpStream {
        &self.0.sock
    }
}

/// Takes TLS off one leg and puts it on the other, with buffers of 64 KiB between, and nothing else: the unit.
pub async fn be_bare(server: SocketAddr, folder: &Path) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (shown, believed) = configs(folder);
    let (acceptor, connector) = (TlsAcceptor::from(shown), TlsConnector::from(believed));
    eprintln!("listening on imaps://{} -> {server}", listener.local_addr().expect("its address"));
    loop {
        let (client, _) = listener.accept().await.expect("a client");
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tokio::spawn(async move {
            client.set_nodelay(true)?;
            let there = tokio::net::TcpStream::connect(server).await?;
            there.set_nodelay(true)?;
            // Boxed: what a handshake takes is not carried along by an idle connection.
            let mut there = Box::pin(connector.connect(host(), there)).await?;
            let mut client = Box::pin(acceptor.accept(client)).await?;
            tokio::io::copy_bidirectional_with_sizes(&mut client, &mut there, 64 * 1024, 64 * 1024).await
        });
    }
}
