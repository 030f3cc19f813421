//! Clients that rustls cannot serve (feature `legacy-tls`): TLS 1.0 and 1.1, RSA only. They are relayed, ended and reported
//! as all others are; and everybody else goes on with rustls.
#![cfg(feature = "legacy-tls")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::secure::{Drip, End, Office, Set, Stage, When, accept, give, listen, soon, take};
use imapscope::event::{Closer, Event, Peer, TlsFacts, Verification, What};
use imapscope::net::Limits;
use imapscope::net::tls::{Identity, Means};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{
    Ssl, SslConnector, SslConnectorBuilder, SslContextBuilder, SslMethod, SslSessionCacheMode, SslVerifyMode,
    SslVersion,
};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;
use tokio_rustls::TlsAcceptor;

const C: Peer = Peer::Client;
const S: Peer = Peer::Server;

/// What sets an old client.
type Make = fn(&mut SslConnectorBuilder);

fn version(builder: &mut SslConnectorBuilder, version: SslVersion) {
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    builder.set_cipher_list("ALL:!aNULL:@SECLEVEL=0").unwrap();
}

fn tls_1_0(builder: &mut SslConnectorBuilder) {
    version(builder, SslVersion::TLS1);
}

fn tls_1_1(builder: &mut SslConnectorBuilder) {
    version(builder, SslVersion::TLS1_1);
}

fn tls_1_0_static(builder: &mut SslConnectorBuilder) {
    tls_1_0(builder);
    builder.set_cipher_list("AES128-SHA:@SECLEVEL=0").unwrap();
}

fn tls_1_2_static(builder: &mut SslConnectorBuilder) {
    version(builder, SslVersion::TLS1_2);
    builder.set_cipher_list("AES128-SHA").unwrap();
}

fn tls_1_2_ecdhe_rsa(builder: &mut SslConnectorBuilder) {
    version(builder, SslVersion::TLS1_2);
    builder.set_cipher_list("ECDHE-RSA-AES128-GCM-SHA256").unwrap();
    builder.set_sigalgs_list("RSA+SHA256").unwrap();
}

fn tls_1_2_dhe(builder: &mut SslConnectorBuilder) {
    version(builder, SslVersion::TLS1_2);
    builder.set_cipher_list("DHE-RSA-AES128-SHA").unwrap();
}

fn tls_1_3_rsa(builder: &mut SslConnectorBuilder) {
    version(builder, SslVersion::TLS1_3);
    builder.set_sigalgs_list("RSA-PSS+SHA256:RSA+SHA256").unwrap();
}

fn tls_1_0_dss(builder: &mut SslConnectorBuilder) {
    tls_1_0(builder);
    builder.set_cipher_list("DHE-DSS-AES128-SHA:@SECLEVEL=0").unwrap();
}

fn modern(_: &mut SslConnectorBuilder) {}

/// A client that verifies with the certificates in this file of the office's home, or not at all.
fn ssl(office: &Office, trusted: Option<&str>, make: Make) -> Ssl {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    make(&mut builder);
    match trusted {
        None => builder.set_verify(SslVerifyMode::NONE),
        Some(file) => builder.set_ca_file(office.folder.path().join("home").join(file)).unwrap(),
    }
    builder.build().configure().unwrap().into_ssl("localhost").unwrap()
}

/// Begins TLS over any stream.
async fn begin<T: End + 'static>(ssl: Ssl, stream: T) -> Result<SslStream<T>, openssl::ssl::Error> {
    let mut stream = SslStream::new(ssl, stream).unwrap();
    soon(Pin::new(&mut stream).connect()).await?;
    Ok(stream)
}

async fn dial(stage: &Stage) -> TcpStream {
    let socket = soon(TcpStream::connect(stage.address)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// The client hears of the server: then the handshake is in the log.
async fn heard(here: &mut (impl End + ?Sized), listener: &TcpListener) {
    let mut there = accept(listener, None).await.unwrap();
    give(&mut there, b"* OK hi\r\n").await;
    assert_eq!(take(here, 9).await, b"* OK hi\r\n");
}

fn facts(events: &[Event], peer: Peer) -> Vec<&TlsFacts> {
    let of = |event: &&Event| event.from == peer;
    events
        .iter()
        .filter(of)
        .filter_map(|event| if let What::Tls(facts) = &event.what { Some(&**facts) } else { None })
        .collect()
}

/// A certificate of the user with an RSA key.
fn rsa_identity(office: &Office) -> Identity {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap();
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(&String::from_utf8(key).unwrap(), &PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    put(office, &params.self_signed(&key).unwrap().pem(), &key.serialize_pem())
}

fn put(office: &Office, certificate: &str, key: &str) -> Identity {
    let (chain, private) = (office.folder.path().join("own.pem"), office.folder.path().join("own-key.pem"));
    std::fs::write(&chain, certificate).unwrap();
    std::fs::write(&private, key).unwrap();
    Identity::given(&chain, &private).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_clients_are_served_and_the_log_says_so() {
    let office = Office::open();
    let (identity, _) = office.identity();
    let aes = "TLS_RSA_WITH_AES_128_CBC_SHA";
    let unsafe_note = "is not safe, accepted only because this imapscope was built with legacy-tls";
    for (make, version, suite, note) in [
        (tls_1_0 as Make, "TLS 1.0", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", unsafe_note),
        (tls_1_1, "TLS 1.1", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", unsafe_note),
        (tls_1_0_static, "TLS 1.0", aes, unsafe_note),
        (tls_1_2_static, "TLS 1.2", aes, "a key exchange with RSA alone, accepted only because"),
        (
            tls_1_2_ecdhe_rsa,
            "TLS 1.2",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "the client knows RSA only, or is set narrowly",
        ),
        (tls_1_2_dhe, "TLS 1.2", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "the client knows RSA only"),
        (tls_1_3_rsa, "TLS 1.3", "TLS_AES_256_GCM_SHA384", "the client knows RSA only"),
    ] {
        let (listener, address) = listen().await;
        let set = Set { identity: identity.clone(), rule: Some("drop-capability IDLE"), ..Set::default() };
        let stage = Stage::open(set, address).await;
        let mut there = {
            let socket = dial(&stage).await;
            let mut here = begin(ssl(&office, None, make), socket).await.unwrap();
            let mut there = accept(&listener, None).await.unwrap();
            give(&mut there, b"* OK [CAPABILITY IMAP4rev1 IDLE] hi\r\n").await;
            assert_eq!(take(&mut here, 32).await, b"* OK [CAPABILITY IMAP4rev1] hi\r\n");
            give(&mut here, b"a LOGIN alice wonderland7\r\n").await;
            assert_eq!(take(&mut there, 27).await, b"a LOGIN alice wonderland7\r\n");
            assert!(!here.ssl().session_reused());
            let shown = here.ssl().peer_certificate().unwrap();
            assert_eq!(shown.public_key().unwrap().rsa().unwrap().size(), 256);
            soon(here.shutdown()).await.unwrap();
            assert_eq!(soon(there.read(&mut [0; 9])).await.unwrap(), 0);
            there
        };
        soon(there.shutdown()).await.unwrap();
        let (closed, events, log) = stage.closed().await;
        assert_eq!((closed.by, closed.why), (Closer::Peer(C), None), "{log}");
        let of = facts(&events, C)[0];
        assert_eq!((of.version.as_str(), of.suite.as_str(), of.legacy), (version, suite, true), "{log}");
        assert_eq!((of.name.as_deref(), &of.verdict), (Some("localhost"), &Verification::Ours));
        for part in [
            &format!("-- {version} with the client, {suite}, SNI localhost\n"),
            "| ours: for localhost; by CN=imapscope local CA ",
            note,
            " C~ ",
        ] {
            assert!(log.contains(part), "{part}\n{log}");
        }
        assert!(!log.contains("wonderland7") && !events.iter().any(|event| event.what == What::Abrupt), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_verify_us_with_an_authority_of_their_own() {
    let office = Office::open();
    let (identity, _) = office.identity();
    for (make, file, part) in [
        (tls_1_0 as Make, "ca-rsa.pem", None),
        (tls_1_2_static, "ca-rsa.pem", None),
        (tls_1_2_ecdhe_rsa, "ca-rsa.pem", None),
        (tls_1_0, "ca.pem", Some("does not trust our certificate (it says unknown_ca): `imapscope ca help`")),
        (modern, "ca.pem", None),
    ] {
        let (_listener, address) = listen().await;
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        if !office.folder.path().join("home/ca-rsa.pem").exists() {
            // It is there from the first such client on.
            let _ = begin(ssl(&office, None, tls_1_0), dial(&stage).await).await.unwrap();
        }
        let begun = begin(ssl(&office, Some(file), make), dial(&stage).await).await;
        assert_eq!(begun.is_ok(), part.is_none(), "{file} {:?}", begun.err());
        if let Some(part) = part {
            let (_, _, log) = stage.closed().await;
            assert!(log.contains(part), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modern_clients_go_on_with_rustls() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let (listener, address) = listen().await;
    for own in [true, false] {
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let (mut here, mut there): (Box<dyn End>, _) = if own {
            let (here, there) = tokio::join!(stage.client(Some(&believer)), accept(&listener, None));
            (here.unwrap(), there.unwrap())
        } else {
            let here = begin(ssl(&office, Some("ca.pem"), modern), dial(&stage).await).await.unwrap();
            (Box::new(here), accept(&listener, None).await.unwrap())
        };
        give(&mut here, b"a NOOP\r\n").await;
        assert_eq!(take(&mut there, 8).await, b"a NOOP\r\n");
        let (log, events) = stage.end().await;
        let of = facts(&events, C)[0];
        assert_eq!((of.version.as_str(), of.legacy), ("TLS 1.3", false));
        assert!(!log.contains("legacy-tls"), "{log}");
    }
    assert!(!office.folder.path().join("home/ca-rsa.pem").exists(), "no RSA key is made for them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_starttls_may_lead_to_an_old_client() {
    let office = Office::open();
    let (identity, _) = office.identity();
    let (identity, trust) = (identity.unwrap(), office.trust().unwrap());
    let means = Some(Arc::new(Means::new(move || Ok((identity.clone(), trust.clone())))));
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { means, ..Set::default() }, address).await;
    let mut here = dial(&stage).await;
    let mut there = accept(&listener, None).await.unwrap();
    give(&mut there, b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n").await;
    take(&mut here, 41).await;
    give(&mut here, b"a STARTTLS\r\n").await;
    take(&mut there, 12).await;
    give(&mut there, b"a OK go\r\n").await;
    let mut there = soon(TlsAcceptor::from(office.server(&["localhost"], When::Now)).accept(there)).await.unwrap();
    assert_eq!(take(&mut here, 9).await, b"a OK go\r\n");
    let mut here = begin(ssl(&office, None, tls_1_0), here).await.unwrap();
    give(&mut here, b"b LOGIN alice wonderland7\r\n").await;
    assert_eq!(take(&mut there, 27).await, b"b LOGIN alice wonderland7\r\n");
    give(&mut there, b"b OK in\r\n").await;
    assert_eq!(take(&mut here, 9).await, b"b OK in\r\n");
    let (log, events) = stage.end().await;
    assert_eq!((facts(&events, C)[0].version.as_str(), facts(&events, S)[0].version.as_str()), ("TLS 1.0", "TLS 1.3"));
    assert!(log.contains("! TLS 1.0 is not safe") && !log.contains("wonderland7"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_pass_both_ways_at_once() {
    const SIZE: usize = 6 << 20;
    let office = Office::open();
    let (identity, _) = office.identity();
    for make in [tls_1_0 as Make, tls_1_2_static, tls_1_3_rsa] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let here = begin(ssl(&office, None, make), dial(&stage).await).await.unwrap();
        let there = accept(&listener, None).await.unwrap();
        let body: Vec<u8> = (0..SIZE).map(|n| (n ^ n >> 9) as u8).collect();
        let lines = "* 1 EXISTS\r\n".repeat(20_000);
        let up = [format!("a APPEND x {{{SIZE}+}}\r\n").as_bytes(), &body, b"\r\n"].concat();
        let down = [
            format!("* OK hi\r\n{lines}* 1 FETCH (BODY[] {{{SIZE}}}\r\n").as_bytes(),
            &body,
            b")\r\n",
            lines.as_bytes(),
        ]
        .concat();
        // Both write before they read: what cannot be sent at once is kept, and sent again from another place.
        let (mut here_in, mut here_out) = tokio::io::split(here);
        let (mut there_in, mut there_out) = tokio::io::split(there);
        let (sent_up, sent_down) = (up.clone(), down.clone());
        let writers = [
            tokio::spawn(async move {
                here_out.write_all(&sent_up).await?;
                here_out.shutdown().await
            }),
            tokio::spawn(async move {
                // In pieces of many sizes, so that what waits grows while it waits.
                let mut rest = sent_down.as_slice();
                let mut size = 1;
                while !rest.is_empty() {
                    let (piece, more) = rest.split_at(size.min(rest.len()));
                    there_out.write_all(piece).await?;
                    (rest, size) = (more, size * 7 % 20_011);
                }
                there_out.shutdown().await
            }),
        ];
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
        let both = async { tokio::join!(there_in.read_to_end(&mut at_server), here_in.read_to_end(&mut at_client)) };
        let (first, second) = soon(both).await;
        first.unwrap();
        second.expect("our own end has close_notify");
        assert!(at_server == up && at_client == down);
        for writer in writers {
            soon(writer).await.unwrap().unwrap();
        }
        let (closed, events, _) = stage.closed().await;
        assert_eq!((closed.received, closed.why), ([up.len() as u64, down.len() as u64], None));
        assert!(!events.iter().any(|event| event.what == What::Abrupt));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_may_come_octet_by_octet() {
    let office = Office::open();
    let (identity, _) = office.identity();
    for make in [tls_1_0 as Make, tls_1_2_static] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let mut here = begin(ssl(&office, None, make), Drip(dial(&stage).await)).await.unwrap();
        let mut there = accept(&listener, None).await.unwrap();
        for said in [&b"a LOGIN {5}\r\n"[..], b"alice {3+}\r\nabc\r\n", b"b NOOP\r\n"] {
            give(&mut here, said).await;
            assert_eq!(take(&mut there, said.len()).await, said);
            give(&mut there, said).await;
            assert_eq!(take(&mut here, said.len()).await, said);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_half_close_the_other_direction_goes_on() {
    let office = Office::open();
    let (identity, _) = office.identity();
    for (make, client_first) in
        [(tls_1_0 as Make, true), (tls_1_0, false), (tls_1_3_rsa, true), (tls_1_2_static, false)]
    {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let here: Box<dyn End> = Box::new(begin(ssl(&office, None, make), dial(&stage).await).await.unwrap());
        let there = accept(&listener, None).await.unwrap();
        let (mut first, mut second) = if client_first { (here, there) } else { (there, here) };
        give(&mut first, b"a1 LOGOUT\r\n").await;
        soon(first.shutdown()).await.unwrap();
        let mut heard = Vec::new();
        soon(second.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"a1 LOGOUT\r\n");
        let late = vec![b'x'; 3_000_000];
        let write = async {
            second.write_all(&late).await?;
            second.shutdown().await
        };
        let mut heard = Vec::new();
        let (written, read) = soon(async { tokio::join!(write, first.read_to_end(&mut heard)) }).await;
        written.unwrap();
        read.unwrap();
        assert!(heard == late);
        let (closed, events, _) = stage.closed().await;
        assert_eq!((closed.by, closed.why), (Closer::Peer(if client_first { C } else { S }), None));
        assert!(!events.iter().any(|event| event.what == What::Abrupt));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_without_a_word_is_noted_and_a_reset_is_passed_on() {
    let office = Office::open();
    let (identity, _) = office.identity();
    for make in [tls_1_0 as Make, tls_1_2_static, tls_1_3_rsa] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let mut here = begin(ssl(&office, None, make), dial(&stage).await).await.unwrap();
        let mut there = accept(&listener, None).await.unwrap();
        give(&mut here, b"a LOGOUT\r\n").await;
        soon(here.get_mut().shutdown()).await.unwrap();
        let mut heard = Vec::new();
        soon(there.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"a LOGOUT\r\n");
        soon(there.shutdown()).await.unwrap();
        let (closed, events, log) = stage.closed().await;
        assert_eq!((closed.by, closed.why), (Closer::Peer(C), None));
        assert_eq!(events.iter().filter(|event| event.what == What::Abrupt && event.from == C).count(), 1);
        assert!(log.contains("the client closed without close_notify"), "{log}");

        for from in [C, S] {
            let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
            let mut here = begin(ssl(&office, None, make), dial(&stage).await).await.unwrap();
            let mut there = listener.accept().await.unwrap().0;
            give(&mut there, b"* OK hi\r\n").await;
            assert_eq!(take(&mut here, 9).await, b"* OK hi\r\n");
            let error = if from == S {
                SockRef::from(&there).set_linger(Some(Duration::ZERO)).unwrap();
                drop(there);
                soon(here.read(&mut [0; 9])).await.unwrap_err()
            } else {
                SockRef::from(here.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
                drop(here);
                soon(there.read(&mut [0; 9])).await.unwrap_err()
            };
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(stage.closed().await.0.by, Closer::Reset(from));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_tls_behind_the_handshake_is_told() {
    let office = Office::open();
    let (identity, _) = office.identity();
    let (listener, address) = listen().await;
    for (said, part) in [
        // A record that nobody has encrypted, an alert in the clear, and something else.
        (
            &b"\x17\x03\x01\x00\x20aaaaaaaabbbbbbbbccccccccdddddddd"[..],
            "TLS with the client broke: it sent octets that are no TLS",
        ),
        (b"* this is no record at all\r\n", "TLS with the client broke"),
    ] {
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let mut here = begin(ssl(&office, None, tls_1_0_static), dial(&stage).await).await.unwrap();
        let _there = accept(&listener, None).await.unwrap();
        give(here.get_mut(), said).await;
        let (closed, ..) = stage.closed().await;
        let why = closed.why.unwrap();
        assert!(why.contains(part), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_come_to_nothing_have_their_sentences() {
    let office = Office::open();
    let (identity, _) = office.identity();
    let ecdsa = office.issue(&["localhost"], When::Now);
    let given = Some(Arc::new(put(&office, &ecdsa.0, &ecdsa.1)));
    let (_listener, address) = listen().await;
    for (identity, make, part) in [
        (&identity, tls_1_0_dss as Make, "no cipher suite or key exchange in common with imapscope"),
        (&given, tls_1_2_static, "a client that knows RSA only needs an RSA key in --cert and --key"),
    ] {
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        assert!(begin(ssl(&office, None, make), dial(&stage).await).await.is_err());
        let (closed, _, log) = stage.closed().await;
        let why = closed.why.unwrap();
        assert!(why.contains(part) && closed.by == Closer::Tls(C), "{why}");
        assert!(log.contains("== no TLS with the client"), "{log}");
    }
    // The beginning of SSL 3.0; of TLS 1.0 with garbage, a reset's worth of nothing, and silence behind it.
    let hello = |minor: u8| {
        let body = [&[3, minor], &[7; 32][..], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
        [&[22, 3, minor, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8][..], &body].concat()
    };
    let old_form = [&[0x80, 28, 1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 0x2f][..], &[9; 16]].concat();
    for (said, ends, part) in [
        (hello(0), false, "the client speaks SSL 3.0 or older only"),
        (
            [&hello(1)[..], b"* garbage, and more of it, long enough\r\n"].concat(),
            false,
            "the TLS handshake with the client failed",
        ),
        (hello(1), true, "the client ended the connection during the TLS handshake"),
        (old_form.clone(), true, "the client ended the connection during the TLS handshake"),
        (hello(1), false, "was not complete within 0.7 s"),
        (hello(1)[..20].to_vec(), false, "was not complete within 0.7 s"),
        (hello(1)[..20].to_vec(), true, "the client ended the connection during the TLS handshake"),
        (b"\x80nothing\r\n".to_vec(), true, "speaks plain text where TLS is expected"),
    ] {
        let limits = Limits { connect_timeout: Duration::from_millis(700), ..Limits::default() };
        let stage = Stage::open(Set { identity: identity.clone(), limits, ..Set::default() }, address).await;
        let mut here = dial(&stage).await;
        give(&mut here, &said).await;
        if ends {
            soon(here.shutdown()).await.unwrap();
        }
        let (closed, ..) = stage.closed().await;
        let why = closed.why.unwrap();
        assert!(why.contains(part) && closed.by == Closer::Tls(C), "{part}: {why}");
    }
    // Who begins in the old form is answered in the new one.
    let stage = Stage::open(Set { identity, ..Set::default() }, address).await;
    let mut here = dial(&stage).await;
    give(&mut here, &old_form).await;
    assert_eq!(take(&mut here, 3).await, [22, 3, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_user_is_shown_to_old_clients_too() {
    let office = Office::open();
    let identity = Some(Arc::new(rsa_identity(&office)));
    let (listener, address) = listen().await;
    for (make, legacy) in
        [(tls_1_0_static as Make, true), (tls_1_2_static, true), (tls_1_2_ecdhe_rsa, false), (modern, false)]
    {
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let mut here = begin(ssl(&office, None, make), dial(&stage).await).await.unwrap();
        let shown = here.ssl().peer_certificate().unwrap().to_pem().unwrap();
        let own = std::fs::read_to_string(office.folder.path().join("own.pem")).unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), own.replace('\r', ""));
        heard(&mut here, &listener).await;
        let (_, events) = stage.end().await;
        assert_eq!(facts(&events, C)[0].legacy, legacy, "rustls has signatures of RSA");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_resumed() {
    let office = Office::open();
    let (identity, _) = office.identity();
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { identity, ..Set::default() }, address).await;
    let mut builder = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
    builder.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    builder.set_max_proto_version(Some(SslVersion::TLS1)).unwrap();
    builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    builder.set_session_cache_mode(SslSessionCacheMode::CLIENT);
    let context = builder.build();
    for _ in 0..2 {
        // Without a name the certificate is for the address.
        let mut stream = SslStream::new(Ssl::new(&context).unwrap(), dial(&stage).await).unwrap();
        soon(Pin::new(&mut stream).connect()).await.unwrap();
        assert!(!stream.ssl().session_reused());
        heard(&mut stream, &listener).await;
        let session = stream.ssl().session().expect("a session");
        assert!(session.id().is_empty(), "there is nothing to come back with");
    }
    let (log, _) = stage.end().await;
    assert!(log.matches("| ours: for 127.0.0.1, localhost; by CN=imapscope local CA").count() == 2, "{log}");
}
