//! Faults between real peers: what is cut or held back reaches the client so and no otherwise, the client says what is to be
//! said of it, and the next attempt, to which nothing happens, finds all as it was.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::peer::client::mbsync_run;
use crate::peer::mail::{crlf, letters, maildir, messages};
use crate::peer::postfix::{self, Postfix};
use crate::peer::sender::{RECIPIENT, files, sent, swaks};
use crate::peer::server::Dovecot;
use crate::peer::stand::{Both, Stand, tail};
use crate::peer::{PASSWORD, USER, run, wanted};

/// The message that something happens to, from 0; it is long.
const LONG: usize = 2;

/// How much of it comes before that.
const BEFORE: usize = 50_000;

/// A fault within the long message, on its way to the client in the first connection.
fn amid(fault: &str) -> String {
    format!("{fault} at-byte {BEFORE} when command == FETCH && from == server && size > 20 && conn == 1")
}

fn fetch(address: SocketAddr, limit: &str) -> Output {
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--user", &format!("{USER}:{PASSWORD}"), "--max-time", limit]);
    run(command.arg(format!("imap://{address}/INBOX;MAILINDEX={}", LONG + 1)))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn curl_gets_all_that_is_late_or_slow() {
    if !wanted(&["dovecot", "curl"]) {
        return;
    }
    let server = Dovecot::start(&messages());
    for (fault, least) in [("delay 1s", 1000), ("throttle 50k", 900), ("slice 7", 0)] {
        let stand = Stand::ruled("imap", &["--rule", &amid(fault)], server.address, ());
        let start = Instant::now();
        let output = fetch(stand.address(), "30");
        assert!(output.status.success(), "{fault}: {}", said(&output));
        assert!(output.stdout == crlf(&messages()[LONG]), "{fault}: it comes whole");
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(least), "{fault} took {took:?}");
        let Both { log, near, far } = stand.end();
        assert!(near[0].client == far[0].client && near[0].server == far[0].server, "{fault} changes no octet");
        assert!(log.contains(fault), "{}", tail(&log));
    }
}

#[test]
fn curl_reports_what_is_cut() {
    if !wanted(&["dovecot", "curl"]) {
        return;
    }
    let server = Dovecot::start(&messages());
    // 28: it took too long. 56: receiving failed. 18: less than was announced.
    for (fault, codes) in [("stall", &[28][..]), ("close", &[18, 56]), ("reset", &[56])] {
        let stand = Stand::ruled("imap", &["--rule", &amid(fault)], server.address, ());
        // What records a connection would make an end like another of a reset.
        let output = fetch(if fault == "reset" { stand.proxy } else { stand.address() }, "3");
        let code = output.status.code().expect("a code");
        assert!(codes.contains(&code), "{fault}: {code}, {}", said(&output));
        let whole = crlf(&messages()[LONG]);
        // Behind a reset, what was not read yet may be lost.
        let lost = fault == "reset";
        assert!(lost || output.stdout.len() == BEFORE, "{fault}: {} octets", output.stdout.len());
        assert!(whole.starts_with(&output.stdout) && output.stdout.len() <= BEFORE, "{fault}: they are the message's");
        let again = fetch(stand.address(), "30");
        assert!(again.status.success() && again.stdout == whole, "{fault}: {}", said(&again));
        let Both { log, far, .. } = stand.end();
        assert_eq!(far.len(), 2);
        assert!(log.contains(&format!("{fault} at-byte {BEFORE}")), "{}", tail(&log));
    }
}

/// A Maildir without mail.
fn empty(folder: &Path) {
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(folder.join(name)).expect("a folder");
    }
}

#[test]
fn mbsync_goes_on_where_it_was_cut() {
    if !wanted(&["dovecot", "mbsync"]) {
        return;
    }
    for (fault, fails) in [
        ("delay 1s", false),
        ("throttle 200k", false),
        ("slice 100", false),
        ("stall", true),
        ("close", true),
        ("reset", true),
    ] {
        let server = Dovecot::start(&messages());
        let stand = Stand::ruled("imap", &["--rule", &amid(fault)], server.address, ());
        let near = stand.folder().join("near/INBOX");
        empty(&near);
        let host = "Host 127.0.0.1\nSSLType None\nTimeout 3";
        let output = mbsync_run(stand.address(), stand.folder(), host);
        assert_eq!(output.status.success(), !fails, "{fault}: {}", said(&output));
        if fails {
            let words = ["timeout", "unexpected EOF", "unexpectedly closed", "reset by peer", "closed"];
            assert!(words.iter().any(|word| said(&output).contains(word)), "{fault}: {}", said(&output));
            assert!(maildir(&near).len() < messages().len(), "{fault}: not all came");
            let again = mbsync_run(stand.address(), stand.folder(), host);
            assert!(again.status.success(), "{fault}: {}", said(&again));
        }
        let all = messages().into_iter().collect();
        assert!(maildir(&near) == all && maildir(&server.inbox()) == all, "{fault}: all is here and there");
        let Both { log, near, .. } = stand.end();
        assert_eq!(near.len(), if fails { 2 } else { 1 });
        assert!(log.contains(fault), "{}", tail(&log));
    }
}

#[test]
fn a_message_that_is_cut_is_not_delivered() {
    if !postfix::wanted(&["swaks"]) {
        return;
    }
    let server = Postfix::start(&[&[]]);
    for (fault, nth, at) in [("close", 6, 20_000), ("reset", 6, 20_000), ("stall", 3, 500)] {
        // Of one that is stalled no more than 16 KiB are read, so that its end is seen behind a short message only.
        let letter = letters().remove(nth);
        let rule = format!("{fault} at-byte {at} when command == DATA && from == client && conn == 1");
        let stand = Stand::ruled("smtp", &["--rule", &rule], server.address(), ());
        let path = &files(stand.folder(), std::slice::from_ref(&letter))[0];
        let flags = ["--to", RECIPIENT, "--timeout", "3"];
        let output = swaks(stand.address(), path, &flags);
        assert!(!output.status.success(), "{fault}: swaks knows that it is not sent");
        sent(&swaks(stand.address(), path, &flags));
        assert!(server.take("bob", 1) == [letter.clone()], "{fault}: it comes once, and whole");
        let Both { log, far, .. } = stand.end();
        assert!(far[0].client.len() < letter.len(), "{fault}: the server did not get it all");
        assert!(log.contains(&format!("{fault} at-byte {at}")), "{}", tail(&log));
    }
}
