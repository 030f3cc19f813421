//! Ends under TLS, from the first octet and behind a STARTTLS that is followed: each peer may end first, with close_notify or
//! without, and what the other still has to say goes on until it ends too. Whoever is told an end by us is told it well.

use std::time::Duration;

use crate::secure::{self, Office, Set, Stage, When, give, listen, means, soon, take};
use imapscope::event::{Closer, Event, Peer, What};
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

const C: Peer = Peer::Client;
const S: Peer = Peer::Server;

/// Both ends of a connection with TLS on both legs, `[client, server]`.
async fn secured(starttls: bool, old: bool) -> (Stage, [TlsStream<TcpStream>; 2]) {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let (listener, address) = listen().await;
    let mut set = Set::default();
    if starttls {
        set.means = means(&identity, &office.trust());
    } else {
        (set.identity, set.trust) = (identity, office.trust());
    }
    let stage = Stage::open(set, address).await;
    let ca = std::fs::read_to_string(office.folder.path().join("home/ca.pem")).unwrap();
    let two = secure::client_with(secure::provider(), &[&rustls::version::TLS12], Some(&ca));
    let connector = TlsConnector::from(if old { two } else { believer });
    let acceptor = TlsAcceptor::from(office.server(&["localhost"], When::Now));
    let name = ServerName::try_from("localhost").unwrap();
    let connect = async {
        let mut socket = TcpStream::connect(stage.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        if starttls {
            take(&mut socket, 9).await;
            give(&mut socket, b"a STARTTLS\r\n").await;
            take(&mut socket, 9).await;
        }
        TlsStream::Client(connector.connect(name, socket).await.unwrap())
    };
    let accept = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        if starttls {
            give(&mut socket, b"* OK hi\r\n").await;
            take(&mut socket, 12).await;
            give(&mut socket, b"a OK go\r\n").await;
        }
        TlsStream::Server(acceptor.accept(socket).await.unwrap())
    };
    let (client, server) = soon(async { tokio::join!(connect, accept) }).await;
    (stage, [client, server])
}

/// Ends one direction, with a word to TLS or without.
async fn end(stream: &mut TlsStream<TcpStream>, notify: bool) {
    if notify {
        soon(stream.shutdown()).await.unwrap();
    } else {
        soon(stream.get_mut().0.shutdown()).await.unwrap();
    }
}

fn abrupt(events: &[Event]) -> Vec<Peer> {
    events.iter().filter(|event| event.what == What::Abrupt).map(|event| event.from).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_ends_first_and_however_the_other_goes_on() {
    let late = vec![b'x'; 1_500_000];
    for number in 0..32 {
        let [starttls, old, server_first, notify, notify_back] = [1, 2, 4, 8, 16].map(|bit| number & bit > 0);
        let what = format!("starttls {starttls}, TLS 1.2 {old}, server {server_first}, {notify}, {notify_back}");
        let (stage, [client, server]) = secured(starttls, old).await;
        let (by, mut first, mut second) = if server_first { (S, server, client) } else { (C, client, server) };
        give(&mut first, b"a1 LOGOUT\r\n").await;
        end(&mut first, notify).await;
        let mut heard = Vec::new();
        soon(second.read_to_end(&mut heard))
            .await
            .unwrap_or_else(|error| panic!("{what}: our end is a good one: {error}"));
        assert_eq!(heard, b"a1 LOGOUT\r\n", "{what}");
        // The other direction is open still, and carries more than fits anywhere.
        let back = async {
            second.write_all(&late).await.unwrap();
            second.flush().await.unwrap();
            end(&mut second, notify_back).await;
        };
        let mut heard = Vec::new();
        let (read, ()) = soon(async { tokio::join!(first.read_to_end(&mut heard), back) }).await;
        read.unwrap_or_else(|error| panic!("{what}: our end is a good one: {error}"));
        assert!(heard == late, "{what}: {} octets", heard.len());
        let (closed, events, log) = stage.closed().await;
        assert_eq!((closed.by, closed.why), (Closer::Peer(by), None), "{what}");
        let silent: Vec<Peer> =
            [(by, notify), (by.other(), notify_back)].into_iter().filter(|it| !it.1).map(|it| it.0).collect();
        assert_eq!(abrupt(&events), silent, "{what}");
        for peer in [C, S] {
            let said = format!("the {} closed without close_notify", peer.word());
            assert_eq!(log.matches(&said).count(), usize::from(silent.contains(&peer)), "{what}: {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_goes_through_to_the_other_peer() {
    for (starttls, from) in [(false, C), (false, S), (true, C), (true, S)] {
        let (stage, [mut client, mut server]) = secured(starttls, false).await;
        give(&mut client, b"b NOOP\r\n").await;
        assert_eq!(take(&mut server, 8).await, b"b NOOP\r\n");
        let (first, mut second) = if from == C { (client, server) } else { (server, client) };
        SockRef::from(first.get_ref().0).set_linger(Some(Duration::ZERO)).unwrap();
        drop(first);
        let error = soon(second.read(&mut [0; 9])).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{starttls}");
        let (closed, events, _) = stage.closed().await;
        assert_eq!((closed.by, abrupt(&events)), (Closer::Reset(from), Vec::new()), "{starttls}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_cut_off_is_no_word_of_the_peer() {
    for (starttls, from) in [(false, C), (false, S), (true, C), (true, S)] {
        let (stage, [client, server]) = secured(starttls, false).await;
        let (mut first, mut second) = if from == C { (client, server) } else { (server, client) };
        give(&mut first, b"b NOOP\r\n").await;
        // The head of a record of 200 octets, and three of them.
        give(&mut first.get_mut().0, &[23, 3, 3, 0, 200, 1, 2, 3]).await;
        end(&mut first, false).await;
        let mut heard = Vec::new();
        soon(second.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"b NOOP\r\n");
        end(&mut second, true).await;
        let (closed, events, _) = stage.closed().await;
        assert_eq!((closed.by, abrupt(&events)), (Closer::Peer(from), vec![from]), "{starttls}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octets_that_are_no_tls_end_the_connection_and_are_told() {
    for (starttls, from) in [(false, C), (false, S), (true, C), (true, S)] {
        let (stage, [client, server]) = secured(starttls, false).await;
        let (mut first, mut second) = if from == C { (client, server) } else { (server, client) };
        // What comes through shows that the handshake is over, which the client's own end of it does not.
        give(&mut first, b"b NOOP\r\n").await;
        assert_eq!(take(&mut second, 8).await, b"b NOOP\r\n");
        give(&mut first.get_mut().0, b"c NOOP\r\nd NOOP\r\n").await;
        let mut heard = Vec::new();
        let _ = soon(second.read_to_end(&mut heard)).await;
        assert!(heard.is_empty(), "what is not authentic is not relayed");
        let (closed, ..) = stage.closed().await;
        let why = closed.why.unwrap();
        assert!(why.contains(&format!("TLS with the {} broke: it sent octets that are no TLS", from.word())), "{why}");
        assert!(why.contains("went on in plain text, or somebody on the way changed them"), "{why}");
        drop((first, second));
    }
}
