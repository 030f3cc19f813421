//! Clients log in through imapscope, with each mechanism, and then send mail: the log says how, and never with what.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::peer::PASSWORD;
use crate::peer::mail::letters;
use crate::peer::postfix::{Postfix, wanted};
use crate::peer::sender::{RECIPIENT, SENDER, curl, files, msmtp, script, sent, swaks};
use crate::peer::server::Dovecot;
use crate::peer::stand::{Outcome, Stand, tail};

const LOGIN: &str = "alice:canary-Pw7-of-alice";

/// A client, a mechanism that it is told to use, and what does that.
type Client = (&'static str, &'static str, fn(SocketAddr, &Path, &str));

const CLIENTS: [Client; 10] = [
    ("swaks", "PLAIN", with_swaks),
    ("swaks", "LOGIN", with_swaks),
    ("swaks", "CRAM-MD5", with_swaks),
    ("msmtp", "PLAIN", with_msmtp),
    ("msmtp", "LOGIN", with_msmtp),
    ("msmtp", "CRAM-MD5", with_msmtp),
    ("curl", "PLAIN", with_curl),
    ("curl", "LOGIN", with_curl),
    ("curl", "CRAM-MD5", with_curl),
    ("python3", "PLAIN", with_python),
];

fn with_swaks(address: SocketAddr, path: &Path, mechanism: &str) {
    let user = ["--auth-user", "alice", "--auth-password", PASSWORD, "--to", RECIPIENT];
    sent(&swaks(address, path, &[&["--auth", mechanism][..], &user].concat()));
}

fn with_msmtp(address: SocketAddr, path: &Path, mechanism: &str) {
    sent(&msmtp(address, path, &["tls off", &format!("auth {}", mechanism.to_lowercase())]));
}

fn with_curl(address: SocketAddr, path: &Path, mechanism: &str) {
    sent(&curl(address, path, &["--user", LOGIN, "--login-options", &format!("AUTH={mechanism}")]));
}

fn with_python(address: SocketAddr, path: &Path, mechanism: &str) {
    script("send.py", address, &["smtp", mechanism, SENDER, RECIPIENT], &[path.to_owned()]);
}

/// Fails if the log has anything that a client sent to log in, as it is or decoded, or if it finds fault with anybody.
fn nothing_of_the_login_is_logged(outcome: &Outcome) {
    let mut seen = 0;
    for record in &outcome.records {
        let text = record.client_text();
        let mut lines = text.lines().skip_while(|line| !line.to_uppercase().starts_with("AUTH "));
        let first = lines.next().expect("a login");
        let first = first.split(' ').nth(2);
        for secret in first.into_iter().chain(lines.take_while(|line| !line.to_uppercase().starts_with("MAIL "))) {
            assert!(!outcome.log.contains(secret), "'{secret}' is hidden:\n{}", tail(&outcome.log));
            let decoded = String::from_utf8(STANDARD.decode(secret).expect("base64")).expect("UTF-8");
            // The name of the user may be told.
            let digest = decoded.rsplit([' ', '\0']).next().expect("a last word");
            assert!(
                digest == "alice" || !outcome.log.contains(digest),
                "'{digest}' is hidden:\n{}",
                tail(&outcome.log)
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "somebody logged in");
    outcome.blameless();
}

#[test]
fn clients_log_in_with_each_mechanism_and_nothing_of_it_is_logged() {
    if !wanted(&["dovecot", "swaks", "msmtp", "curl", "python3"]) {
        return;
    }
    let logins = Dovecot::serving("imap", &[], "auth_mechanisms = plain login cram-md5\n");
    let server = Postfix::with_login(&[&[]], &logins.login_socket());
    let letter = letters().remove(1);
    for (client, mechanism, send) in CLIENTS {
        let stand = Stand::between("submission", &[], server.address(), ());
        send(stand.address(), &files(stand.folder(), std::slice::from_ref(&letter))[0], mechanism);
        assert!(server.take("bob", 1) == [letter.clone()], "{client} delivers after AUTH {mechanism}");
        let outcome = stand.finish();
        assert!(outcome.sent(&format!("AUTH {mechanism}")), "{client} uses {mechanism}");
        nothing_of_the_login_is_logged(&outcome);
        for text in [&format!("AUTH {mechanism}"), "235 2.7.0", "answers AUTH", "(message, "] {
            if (client, text) != ("python3", "(message, ") {
                outcome.logged(text);
            }
        }
    }
}

#[test]
fn a_mechanism_that_is_hidden_is_not_used() {
    if !wanted(&["dovecot", "curl", "python3"]) {
        return;
    }
    let logins = Dovecot::serving("imap", &[], "auth_mechanisms = plain login cram-md5\n");
    let server = Postfix::with_login(&[&[]], &logins.login_socket());
    let letter = letters().remove(0);
    let rows: [(&'static [&'static str], &str, &str); 3] = [
        (&[], "CRAM-MD5", "CRAM-MD5"),
        (&["AUTH=CRAM-MD5"], "PLAIN", "PLAIN"),
        (&["AUTH=CRAM-MD5", "AUTH=PLAIN"], "LOGIN", "LOGIN"),
    ];
    for (row, by_curl, by_smtplib) in rows {
        let stand = Stand::between("submission", row, server.address(), ());
        let path = &files(stand.folder(), std::slice::from_ref(&letter))[0];
        sent(&curl(stand.address(), path, &["--user", LOGIN]));
        script("smtplib_send.py", stand.address(), &["login", SENDER, RECIPIENT], &[path.to_owned()]);
        server.take("bob", 2);
        let outcome = stand.finish();
        let [first, second] = &outcome.records[..] else { panic!("two connections") };
        assert!(first.client_text().contains(&format!("AUTH {by_curl}")), "curl, {row:?}");
        assert!(second.client_text().contains(&format!("AUTH {by_smtplib}")), "smtplib, {row:?}");
        nothing_of_the_login_is_logged(&outcome);
    }
}

#[test]
fn dovecot_takes_mail_and_passes_it_on() {
    if !wanted(&["dovecot", "python3"]) {
        return;
    }
    let relay = Postfix::start(&[&[]]);
    let mut letters = letters();
    letters.sort();
    // Dovecot's submission knows nothing of SMTPUTF8.
    letters.retain(|letter| letter.iter().position(|octet| !octet.is_ascii()).is_none_or(|at| at > 200));
    let rows: [&'static [&'static str]; 4] = [&[], &["CHUNKING"], &["PIPELINING"], &["CHUNKING", "PIPELINING"]];
    for row in rows {
        let settings = format!(
            "hostname = submit.example.org\nsubmission_relay_host = 127.0.0.1\nsubmission_relay_port = {}\n\
             submission_relay_ssl = no\n",
            relay.address().port()
        );
        let server = Dovecot::serving("submission", &[], &settings);
        let stand = Stand::between("submission", row, server.address, server);
        let paths = files(stand.folder(), &letters);
        script("send.py", stand.address(), &["smtp", "PLAIN", SENDER, RECIPIENT], &paths);
        assert!(relay.take("bob", letters.len()) == letters, "all arrives as it was sent, {row:?}");
        let outcome = stand.finish();
        assert_eq!(outcome.sent("BDAT "), !row.contains(&"CHUNKING"), "{row:?}");
        assert_eq!(outcome.at_once("MAIL FROM", "RCPT TO"), !row.contains(&"PIPELINING"), "{row:?}");
        nothing_of_the_login_is_logged(&outcome);
        outcome.logged("answers RCPT");
    }
}
