//! Mail is delivered through imapscope with LMTP to a real Dovecot: each recipient has an answer of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::peer::mail::letters;
use crate::peer::postfix::without_trace;
use crate::peer::sender::{SENDER, files, script, sent, swaks};
use crate::peer::server::Dovecot;
use crate::peer::stand::Stand;
use crate::peer::wanted;

const MATRIX: [&[&str]; 5] =
    [&[], &["CHUNKING"], &["PIPELINING"], &["8BITMIME"], &["CHUNKING", "PIPELINING", "8BITMIME"]];

/// Two are known; of the third the server does not like the name.
const RECIPIENTS: &str = "bob@example.org,c_arol@example.org,dave@example.org";

fn stand(row: &[&str]) -> Stand {
    let server = Dovecot::serving("lmtp", &[], "auth_username_chars = abcdefghijklmnopqrstuvwxyz.@\n");
    Stand::between("lmtp", row, server.address, server)
}

/// What lies in a Maildir that has been delivered to.
fn delivered(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.join("new")).expect("a Maildir") {
        found.push(without_trace(&fs::read(entry.expect("it can be read").path()).expect("a message")));
    }
    found.sort();
    found
}

#[test]
fn two_of_three_recipients_get_it_and_each_has_an_answer() {
    if !wanted(&["dovecot", "python3"]) {
        return;
    }
    let mut letters = letters();
    letters.sort();
    let mut told = BTreeSet::new();
    for row in MATRIX {
        let stand = stand(row);
        let paths = files(stand.folder(), &letters);
        let answers = script("send.py", stand.address(), &["lmtp", "-", SENDER, RECIPIENTS], &paths);
        assert_eq!(answers.matches("message 250 250\n").count(), letters.len(), "{answers}");
        told.insert(answers);
        for name in ["bob", "dave"] {
            assert!(delivered(&stand.server.mailbox(name)) == letters, "{name} gets all as it was sent, {row:?}");
        }
        let outcome = stand.finish();
        let offered = |name| !row.contains(&name);
        assert_eq!(outcome.sent("BDAT "), offered("CHUNKING"), "{row:?}");
        assert_eq!(outcome.at_once("MAIL FROM", "RCPT TO"), offered("PIPELINING"), "{row:?}");
        assert_eq!(outcome.sent("BODY=8BITMIME"), offered("8BITMIME"), "{row:?}");
        for text in ["LHLO client.example.org", "550 5.1.1", "answers RCPT"] {
            outcome.logged(text);
        }
        outcome.logged(if offered("CHUNKING") { "answers BDAT" } else { "answers DATA for bob@example.org" });
        outcome.blameless();
    }
    assert_eq!(told.len(), 1, "the answers do not depend on what is dropped: {told:#?}");
}

#[test]
fn swaks_delivers_to_two_of_three() {
    if !wanted(&["dovecot", "swaks"]) {
        return;
    }
    let letter = letters().remove(1);
    for row in MATRIX {
        let stand = stand(row);
        let path = &files(stand.folder(), std::slice::from_ref(&letter))[0];
        sent(&swaks(stand.address(), path, &["--protocol", "LMTP", "--pipeline", "--to", RECIPIENTS]));
        for name in ["bob", "dave"] {
            assert!(delivered(&stand.server.mailbox(name)) == [letter.clone()], "{name} gets it, {row:?}");
        }
        let outcome = stand.finish();
        assert_eq!(outcome.at_once("MAIL FROM", "RCPT TO"), !row.contains(&"PIPELINING"), "{row:?}");
        for text in ["354", "(message, ", "answers DATA for bob@example.org", "answers DATA for dave@example.org"] {
            outcome.logged(text);
        }
        outcome.blameless();
    }
}
