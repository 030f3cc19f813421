//! Mail is sent through imapscope to a real Postfix, by real clients: it must arrive octet for octet, and a client
//! must do with what is hidden as it does with what is not there.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::peer::mail::letters;
use crate::peer::postfix::{Postfix, wanted};
use crate::peer::sender::{RECIPIENT, SENDER, curl, files, msmtp, script, sent, swaks};
use crate::peer::stand::{Outcome, Stand, directly, tail};
use crate::peer::tee::Record;

/// The rules of the matrix: none, each alone, all.
const MATRIX: [&[&str]; 7] = [
    &[],
    &["CHUNKING"],
    &["PIPELINING"],
    &["8BITMIME"],
    &["SMTPUTF8"],
    &["STARTTLS"],
    &["CHUNKING", "PIPELINING", "8BITMIME", "SMTPUTF8", "STARTTLS"],
];

/// Sends all letters with a client through each rule, and past the proxy to a server that really lacks the same.
fn delivers(send: impl Fn(SocketAddr, &[PathBuf]), check: impl Fn(&'static [&'static str], &Outcome)) {
    let server = Postfix::start(&MATRIX);
    let mut letters = letters();
    letters.sort();
    for row in MATRIX {
        let stand = Stand::between("smtp", row, server.address(), ());
        send(stand.address(), &files(stand.folder(), &letters));
        assert!(server.take("bob", letters.len()) == letters, "{row:?}: all arrives as it was sent");
        let outcome = stand.finish();
        let absent = directly(server.lacking(row), |near, folder| send(near.address, &files(folder, &letters)));
        assert!(server.take("bob", letters.len()) == letters, "{row:?}: so it does without a proxy");
        let said = |records: &[Record]| records.iter().map(|record| record.client_text()).collect::<Vec<_>>();
        assert!(said(&outcome.records) == said(&absent), "{row:?} hidden, and absent:\n{}", tail(&outcome.log));
        for text in [" client.example.org", "answers RCPT", "250"] {
            outcome.logged(text);
        }
        outcome.blameless();
        check(row, &outcome);
    }
}

#[test]
fn swaks_delivers_octet_for_octet() {
    if !wanted(&["swaks"]) {
        return;
    }
    let send = |address, paths: &[PathBuf]| {
        for path in paths {
            sent(&swaks(address, path, &["--to", RECIPIENT, "--pipeline"]));
        }
    };
    delivers(send, |row, outcome| {
        let pipelines = !row.contains(&"PIPELINING");
        assert_eq!(outcome.at_once("MAIL FROM", "RCPT TO"), pipelines, "{row:?}");
        for text in ["354", "(message, "] {
            outcome.logged(text);
        }
    });
}

#[test]
fn msmtp_delivers_octet_for_octet() {
    if !wanted(&["msmtp"]) {
        return;
    }
    let send = |address, paths: &[PathBuf]| {
        for path in paths {
            sent(&msmtp(address, path, &["tls off", "auth off"]));
        }
    };
    delivers(send, |row, outcome| {
        // It sends line by line where it need not wait, so that answers may come between.
        let pipelines = !row.contains(&"PIPELINING");
        assert!(pipelines || !outcome.at_once("MAIL FROM", "RCPT TO"), "{row:?}");
        for text in ["354", "(message, "] {
            outcome.logged(text);
        }
    });
}

#[test]
fn curl_delivers_octet_for_octet() {
    if !wanted(&["curl"]) {
        return;
    }
    let send = |address, paths: &[PathBuf]| {
        for path in paths {
            sent(&curl(address, path, &[]));
        }
    };
    delivers(send, |row, outcome| {
        assert!(!outcome.at_once("MAIL FROM", "RCPT TO"), "curl waits for each answer, {row:?}");
        for text in ["354", "(message, "] {
            outcome.logged(text);
        }
    });
}

#[test]
fn smtplib_delivers_octet_for_octet() {
    if !wanted(&["python3"]) {
        return;
    }
    let send = |address, paths: &[PathBuf]| {
        script("smtplib_send.py", address, &["-", SENDER, RECIPIENT], paths);
    };
    delivers(send, |row, outcome| {
        assert_eq!(outcome.sent("BODY=8BITMIME"), !row.contains(&"8BITMIME"), "{row:?}");
        assert_eq!(outcome.sent(" SMTPUTF8\r\n"), !row.contains(&"SMTPUTF8"), "{row:?}");
        assert!(!outcome.at_once("MAIL FROM", "RCPT TO"), "smtplib waits for each answer, {row:?}");
    });
}

#[test]
fn a_client_that_uses_all_that_is_offered_delivers_octet_for_octet() {
    if !wanted(&["python3"]) {
        return;
    }
    let send = |address, paths: &[PathBuf]| {
        script("send.py", address, &["smtp", "-", SENDER, RECIPIENT], paths);
    };
    delivers(send, |row, outcome| {
        let offered = |name| !row.contains(&name);
        assert_eq!(outcome.sent("BDAT "), offered("CHUNKING"), "{row:?}");
        assert_eq!(outcome.sent("DATA\r\n"), !offered("CHUNKING"), "{row:?}");
        assert_eq!(outcome.at_once("MAIL FROM", "RCPT TO"), offered("PIPELINING"), "{row:?}");
        assert_eq!(outcome.sent("BODY=8BITMIME"), offered("8BITMIME"), "{row:?}");
        assert_eq!(outcome.sent(" SMTPUTF8\r\n"), offered("SMTPUTF8"), "{row:?}");
        outcome.logged(if offered("CHUNKING") { "BDAT " } else { "(message, " });
    });
}

#[test]
fn clients_use_tls_only_where_it_is_offered() {
    if !wanted(&["swaks", "msmtp", "curl"]) {
        return;
    }
    let server = Postfix::start(&[&[]]);
    let letter = letters().remove(0);
    for row in [&[][..], &["STARTTLS"]] {
        let hidden = !row.is_empty();
        for client in ["swaks", "curl", "msmtp"] {
            let stand = Stand::between("smtp", row, server.address(), ());
            let path = &files(stand.folder(), std::slice::from_ref(&letter))[0];
            let output = match client {
                "swaks" => swaks(stand.address(), path, &["--to", RECIPIENT, "--tls-optional"]),
                "curl" => curl(stand.address(), path, &["--ssl", "--insecure"]),
                _ => msmtp(stand.address(), path, &["tls on", "tls_starttls on", "auth off"]),
            };
            // msmtp is told to demand it.
            let demands = client == "msmtp" && hidden;
            if demands {
                assert!(!output.status.success(), "msmtp does not do without TLS");
            } else {
                sent(&output);
                assert!(server.take("bob", 1) == [letter.clone()], "{client} delivers, {row:?}");
            }
            let outcome = stand.finish();
            assert_eq!(outcome.sent("STARTTLS\r\n"), !hidden, "{client}, {row:?}");
            assert_eq!(outcome.sent("MAIL FROM"), hidden && !demands, "{client}, {row:?}");
        }
    }
}
