//! A mailbox is read through imapscope with POP3, by real clients: every message must come octet for octet.

use std::collections::BTreeSet;
use std::fs;

use crate::peer::client::{curl_pop3, mpop, python};
use crate::peer::mail::{crlf, letters, maildir};
use crate::peer::server::Dovecot;
use crate::peer::stand::{Stand, tail};
use crate::peer::wanted;

/// The rules of the matrix: none, each alone, a mechanism, all.
const MATRIX: [&[&str]; 7] =
    [&[], &["PIPELINING"], &["UIDL"], &["TOP"], &["SASL"], &["AUTH=PLAIN"], &["PIPELINING", "UIDL", "TOP", "SASL"]];

fn stand(row: &[&str]) -> Stand {
    let server = Dovecot::serving("pop3", &letters(), "");
    Stand::between("pop3", row, server.address, server)
}

#[test]
fn poplib_reads_octet_for_octet() {
    if !wanted(&["dovecot", "python3"]) {
        return;
    }
    let mut told = BTreeSet::new();
    for row in MATRIX {
        let stand = stand(row);
        let messages = stand.folder().join("messages");
        fs::create_dir(&messages).expect("a folder");
        told.insert(python("pop.py", stand.address(), &[&messages.display().to_string()]));
        for (index, letter) in letters().iter().enumerate() {
            let read = fs::read(messages.join((index + 1).to_string())).expect("a message");
            assert!(read == *letter, "message {} is read whole, {row:?}", index + 1);
        }
        let outcome = stand.finish();
        let offered = |name| !row.contains(&name);
        assert_eq!(outcome.sent("UIDL"), offered("UIDL"), "{row:?}");
        assert_eq!(outcome.sent("TOP "), offered("TOP"), "{row:?}");
        assert_eq!(outcome.sent("AUTH PLAIN"), offered("SASL") && offered("AUTH=PLAIN"), "{row:?}");
        assert_eq!(outcome.sent("AUTH LOGIN"), !offered("AUTH=PLAIN"), "{row:?}");
        assert_eq!(outcome.at_once("STAT\r\n", "RETR 1\r\n"), offered("PIPELINING"), "{row:?}");
        outcome.blameless();
        for text in ["CAPA", "PASS <hidden>", "RETR 1", "(message, ", "answers RETR", "+OK"] {
            outcome.logged(text);
        }
    }
    assert_eq!(told.len(), 1, "the content does not depend on what is dropped: {told:#?}");
}

#[test]
fn curl_reads_octet_for_octet() {
    if !wanted(&["dovecot", "curl"]) {
        return;
    }
    for row in MATRIX {
        let stand = stand(row);
        let (near, direct) = (stand.address(), stand.server.address);
        for (index, letter) in letters().iter().enumerate() {
            let read = curl_pop3(near, &(index + 1).to_string(), &[]);
            assert!(read == crlf(letter), "message {} is read whole, {row:?}", index + 1);
        }
        for arguments in [&["-X", "UIDL"][..], &["-X", "TOP 2 3"], &["-X", "STAT", "--head"]] {
            assert_eq!(curl_pop3(near, "", arguments), curl_pop3(direct, "", arguments), "the same as without a proxy");
        }
        assert_eq!(curl_pop3(near, "", &[]), curl_pop3(direct, "", &[]), "the same as without a proxy");
        let outcome = stand.finish();
        assert_eq!(outcome.sent("USER "), row.contains(&"SASL"), "curl prefers SASL:\n{}", tail(&outcome.log));
        outcome.logged("answers RETR");
    }
}

#[test]
fn mpop_fetches_all() {
    if !wanted(&["dovecot", "mpop"]) {
        return;
    }
    for row in MATRIX {
        let stand = stand(row);
        let here = mpop(stand.address(), stand.folder());
        let expected = letters().into_iter().collect::<BTreeSet<_>>();
        assert!(maildir(&here) == expected, "all is fetched, {row:?}");
        let outcome = stand.finish();
        assert_eq!(outcome.sent("UIDL"), !row.contains(&"UIDL"), "{row:?}");
        outcome.blameless();
        outcome.logged("answers RETR");
    }
}
