//! The two handshakes: ours with a server, a client's with us. Both end within a time, and either as a leg with its facts
//! or as a sentence.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{CommonState, ProtocolVersion};
use tokio::io::AsyncReadExt;
#[cfg(feature = "legacy-tls")]
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use super::failure::{Failure, Terms};
use super::hello::{Gather, Hello, Progress};
use super::{Identity, Trust, provider};
use crate::event::{Peer, TlsFacts, Verification};
use crate::net::leg::Leg;
use crate::net::socket::Socket;

/// A leg under TLS and its facts, or the sentence about why there is none.
pub type Outcome = Result<(Leg, TlsFacts), String>;

/// The beginning of a client is read in pieces of so many octets at least; one is enough for most.
const PIECE: usize = 2048;

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
        let octets = head.octets();
        let demands = if witness.asked() { terms.demands(failure, &octets) } else { None };
        demands.unwrap_or_else(|| terms.failed(Peer::Server, failure, &octets))
    };
    let mut stream = match timeout(limit, TlsConnector::from(config).connect(name, socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failed(Failure::Error(&error))),
        Err(_) => return Err(failed(Failure::Late(limit))),
    };
    stream.get_mut().0.forget_head();
    let seen = witness.seen();
    let verdict =
        if seen.faults.is_empty() { Verification::Verified } else { Verification::Unverified(seen.faults.join("; ")) };
    let facts = TlsFacts {
        name: sni,
        certificate: seen.certificate,
        verdict,
        insecure: trust.is_insecure(),
        ..settled(stream.get_ref().1)
    };
    Ok((Leg::tls(TlsStream::Client(stream)).asked(witness.asked()), facts))
}

/// Answers the TLS that the client behind `socket` begins: with rustls, or if that cannot serve it with OpenSSL, if we have
/// it.
pub async fn with_client(identity: &Arc<Identity>, mut socket: Socket, terms: Terms<'_>, limit: Duration) -> Outcome {
    let address = socket.local().map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip());
    let head = socket.keep_head();
    let accepting = async {
        let failed = |error: io::Error| terms.failed(Peer::Client, Failure::Error(&error), &head.octets());
        let hello = listen(&mut socket).await.map_err(failed)?;
        let lack = hello.as_ref().and_then(|hello| hello.lacks(&provider(), identity.key()));
        #[cfg(feature = "legacy-tls")]
        if let (Some(_), Some(hello)) = (lack, hello) {
            let name =
                hello.name.filter(|name| matches!(ServerName::try_from(name.as_str()), Ok(ServerName::DnsName(_))));
            let (office, host, asked) = (identity.clone(), terms.host.to_owned(), name.clone());
            // RSA keys take long to be made, and nobody else is to wait for that.
            let shown = spawn_blocking(move || office.show_legacy(asked.as_deref(), address, &host)).await;
            let shown = shown.map_err(|error| format!("no certificate could be made: {error}"))??;
            let (stream, facts) = shown.accept(socket, name).await.map_err(failed)?;
            return Ok((Leg::legacy(stream), facts));
        }
        let failed = |error: io::Error| lack.map_or_else(|| failed(error), |lack| terms.lacking(lack));
        let begun = LazyConfigAcceptor::new(Acceptor::default(), socket).await.map_err(failed)?;
        let name = begun.client_hello().server_name().map(str::to_owned);
        let shown = identity.show(name.as_deref(), address, terms.host)?;
        let stream = begun.into_stream(shown.config).await;
        let mut stream = stream.map_err(|error| {
            let other = |error| terms.failed_with(&error, &head.octets(), name.as_deref(), shown.certificate.as_ref());
            lack.map_or_else(|| other(error), |lack| terms.lacking(lack))
        })?;
        stream.get_mut().0.forget_head();
        let facts = TlsFacts {
            name,
            certificate: shown.certificate,
            verdict: Verification::Ours,
            ..settled(stream.get_ref().1)
        };
        Ok::<_, String>((Leg::tls(TlsStream::Server(stream)), facts))
    };
    match timeout(limit, accepting).await {
        Ok(done) => done,
        Err(_) => Err(terms.failed(Peer::Client, Failure::Late(limit), &head.octets())),
    }
}

/// The first message of a client, if it is one of TLS. Whatever it is, it will be read again.
async fn listen(socket: &mut Socket) -> io::Result<Option<Hello>> {
    let mut gather = Gather::default();
    let hello = loop {
        match gather.look() {
            Progress::Whole(hello) => break Some(hello),
            Progress::Other => break None,
            Progress::More => {}
        }
        gather.octets.reserve(PIECE);
        if socket.read_buf(&mut gather.octets).await? == 0 {
            break None;
        }
    };
    socket.put_before(gather.octets);
    Ok(hello)
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
