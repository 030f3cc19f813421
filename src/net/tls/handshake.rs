//! The two handshakes: ours with a server, a client's with us. Both end within a time, and either as a leg with its facts
//! or as a sentence.

use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{CommonState, ProtocolVersion};
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use super::failure::{Failure, Terms};
use super::{Identity, Trust};
use crate::event::{Peer, TlsFacts, Verdict};
use crate::net::leg::Leg;
use crate::net::socket::Socket;

/// A leg under TLS and its facts, or the sentence about why there is none.
pub type Outcome = Result<(Leg, TlsFacts), String>;

/// Begins TLS with the server behind `socket`.
pub async fn with_server(trust: &Trust, mut socket: Socket, terms: Terms<'_>, limit: Duration) -> Outcome {
    let name = ServerName::try_from(terms.host.to_owned())
        .map_err(|_| format!("'{}' cannot be the name in a certificate, so TLS cannot verify it", terms.host))?;
    let sni = matches!(name, ServerName::DnsName(_)).then(|| terms.host.to_owned());
    let (config, witness) = trust.witness();
    let head = socket.keep_head();
    let failed = |failure: Failure<'_>| {
        let seen = witness.seen();
        if !trust.is_insecure() && !seen.faults.is_empty() {
            return terms.refused(&seen);
        }
        terms.failed(Peer::Server, failure, &head.octets())
    };
    let mut stream = match timeout(limit, TlsConnector::from(config).connect(name, socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failed(Failure::Error(&error))),
        Err(_) => return Err(failed(Failure::Late(limit))),
    };
    stream.get_mut().0.forget_head();
    let seen = witness.seen();
    let verdict = if seen.faults.is_empty() { Verdict::Verified } else { Verdict::Unverified(seen.faults.join("; ")) };
    let facts = TlsFacts {
        name: sni,
        certificate: seen.certificate,
        verdict,
        insecure: trust.is_insecure(),
        ..settled(stream.get_ref().1)
    };
    Ok((Leg::tls(TlsStream::Client(stream)), facts))
}

/// Answers the TLS that the client behind `socket` begins.
pub async fn with_client(identity: &Identity, mut socket: Socket, terms: Terms<'_>, limit: Duration) -> Outcome {
    let address = socket.tcp().local_addr().map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip());
    let head = socket.keep_head();
    let accepting = async {
        let accepting = LazyConfigAcceptor::new(Acceptor::default(), socket);
        let begun =
            accepting.await.map_err(|error| terms.failed(Peer::Client, Failure::Error(&error), &head.octets()))?;
        let name = begun.client_hello().server_name().map(str::to_owned);
        let shown = identity.show(name.as_deref(), address, terms.host)?;
        let stream = begun.into_stream(shown.config).await;
        let stream = stream
            .map_err(|error| terms.failed_with(&error, &head.octets(), name.as_deref(), shown.certificate.as_ref()))?;
        Ok::<_, String>((stream, name, shown.certificate))
    };
    let (mut stream, name, certificate) = match timeout(limit, accepting).await {
        Ok(done) => done?,
        Err(_) => return Err(terms.failed(Peer::Client, Failure::Late(limit), &head.octets())),
    };
    stream.get_mut().0.forget_head();
    let facts = TlsFacts { name, certificate, verdict: Verdict::Ours, ..settled(stream.get_ref().1) };
    Ok((Leg::tls(TlsStream::Server(stream)), facts))
}

/// What both sides agreed on.
fn settled(state: &CommonState) -> TlsFacts {
    let version = match state.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let suite = state.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    TlsFacts {
        version: version.to_owned(),
        // The registered names of TLS 1.3 do not have the number that rustls puts there.
        suite: suite.replace("TLS13_", "TLS_"),
        alpn: state.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        ..TlsFacts::default()
    }
}
