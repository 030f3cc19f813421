//! Real clients, and real servers, with imapscope between them; IMAP here, the other protocols beside: run with `IMAPSCOPE_REAL=1` where they are installed.
//! Every session is recorded on both sides of the proxy, and must be the same but for what a rule takes away.
//! `IMAPSCOPE_KEEP_LOGS=FOLDER` keeps the logs to be looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::peer::client::{Neomutt, curl, mbsync, offlineimap, python};
use crate::peer::mail::{crlf, maildir, messages, titles};
use crate::peer::server::Dovecot;
use crate::peer::stand::{MATRIX, Stand, commands, offered, tail, without_proxy};
use crate::peer::tee::{Record, Tee};
use crate::peer::{self, wait_until, wanted};

fn same(one: &BTreeSet<Vec<u8>>, other: &BTreeSet<Vec<u8>>) {
    assert!(one == other, "the mailboxes are the same:\n{:#?}\n{:#?}", titles(one), titles(other));
}

#[test]
fn curl_lists_fetches_searches_and_appends() {
    if !wanted(&["dovecot", "curl"]) {
        return;
    }
    for dropped in MATRIX {
        let messages = messages();
        let stand = Stand::start(dropped, &messages);
        let (near, direct) = (stand.address(), stand.server.address);
        let listed = curl(near, "", &[]);
        assert!(String::from_utf8_lossy(&listed).contains("INBOX"));
        assert_eq!(listed, curl(direct, "", &[]), "the same as without a proxy");
        let mut found = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let fetched = curl(near, &format!("INBOX;MAILINDEX={}", index + 1), &[]);
            assert!(fetched == crlf(message), "message {} is fetched whole", index + 1);
            found.push(index + 1);
            // curl has no way to announce a literal without waiting.
            let file = stand.folder().join("message");
            fs::write(&file, crlf(message)).expect("a file");
            curl(near, "INBOX", &["--upload-file", &file.display().to_string()]);
            let again = curl(direct, &format!("INBOX;MAILINDEX={}", messages.len() + index + 1), &[]);
            assert!(again == crlf(message), "message {} arrives whole", index + 1);
        }
        let arguments = ["-X", "SEARCH SUBJECT looks-like-protocol"];
        let hits = String::from_utf8_lossy(&curl(near, "INBOX", &arguments)).into_owned();
        assert_eq!(hits.trim_end(), "* SEARCH 6 12");
        let outcome = stand.finish();
        assert!(outcome.announced("}") && !outcome.announced("+}"), "curl waits at each literal");
        for text in ["AUTHENTICATE PLAIN", " LIST ", " FETCH ", " APPEND INBOX", "SEARCH SUBJECT looks-like-protocol"] {
            outcome.logged(text);
        }
    }
}

#[test]
fn mbsync_synchronises_both_ways() {
    if !wanted(&["dovecot", "mbsync"]) {
        return;
    }
    for dropped in MATRIX {
        let mut theirs = messages();
        let stand = Stand::start(dropped, &theirs);
        let near = stand.folder().join("near/INBOX");
        for name in ["new", "cur", "tmp"] {
            fs::create_dir_all(near.join(name)).expect("a folder");
        }
        let ours = theirs.iter().map(|message| renamed(message)).collect::<Vec<_>>();
        for (index, message) in ours.iter().enumerate() {
            fs::write(near.join(format!("cur/{index}.near.test:2,S")), message).expect("a file");
        }
        mbsync(stand.address(), stand.folder());
        let all = theirs.drain(..).chain(ours).collect::<BTreeSet<_>>();
        same(&maildir(&stand.server.inbox()), &all);
        same(&maildir(&near), &all);
        // One of theirs goes here, one of ours gets a flag; both must arrive there.
        let gone = drop_message(&near, "Subject: plain\n");
        mbsync(stand.address(), stand.folder());
        let left = all.into_iter().filter(|message| *message != gone).collect::<BTreeSet<_>>();
        same(&maildir(&stand.server.inbox()), &left);
        same(&maildir(&near), &left);
        let offered = !stand.drops("LITERAL+");
        let outcome = stand.finish();
        assert_eq!(outcome.announced("+}"), offered, "literals that do not wait need LITERAL+");
        // Even where it need not, mbsync waits before it sends very much.
        assert!(outcome.announced("}"));
    }
}

/// The same message with another subject and identity.
fn renamed(message: &[u8]) -> Vec<u8> {
    let at = message.windows(9).position(|part| part == b"Subject: ").expect("a subject") + 9;
    let mut other = [&message[..at], b"our ", &message[at..]].concat();
    let at = other.windows(13).position(|part| part == b"Message-ID: <").expect("an identity") + 13;
    other.splice(at..at, *b"our-");
    other
}

/// Marks the message with this in it as deleted, as a client of the Maildir does; returns it without what mbsync added.
fn drop_message(folder: &Path, line: &str) -> Vec<u8> {
    for entry in
        fs::read_dir(folder.join("cur")).expect("a Maildir").chain(fs::read_dir(folder.join("new")).expect("a Maildir"))
    {
        let path = entry.expect("it can be read").path();
        let message = fs::read(&path).expect("a message");
        if String::from_utf8_lossy(&message).contains(line) {
            fs::remove_file(&path).expect("it can go");
            return peer::mail::without_x_tuid(&message);
        }
    }
    panic!("no message has {line:?}");
}

#[test]
fn offlineimap_fetches_all() {
    if !wanted(&["dovecot", "offlineimap"]) {
        return;
    }
    for dropped in MATRIX {
        let stand = Stand::start(dropped, &messages());
        let here = offlineimap(stand.address(), stand.folder());
        same(&maildir(&here), &messages().into_iter().collect());
        stand.finish();
    }
}

#[test]
fn python_appends_fetches_copies_and_idles() {
    if !wanted(&["dovecot", "python3"]) {
        return;
    }
    let mut told = BTreeSet::new();
    for dropped in MATRIX {
        let stand = Stand::start(dropped, &messages());
        let names = ["idle", "literal+", "condstore"];
        let offered = names.into_iter().filter(|name| !stand.drops(&name.to_uppercase())).collect::<Vec<_>>();
        told.insert(python("session.py", stand.address(), &offered));
        let outcome = stand.finish();
        assert_eq!(outcome.sent(" IDLE\r\n"), offered.contains(&"idle"));
        assert_eq!(outcome.announced("+}"), offered.contains(&"literal+"));
        assert_eq!(outcome.sent("CHANGEDSINCE"), offered.contains(&"condstore"));
        assert_eq!(outcome.logged_command(" IDLE"), offered.contains(&"idle"), "{}", tail(&outcome.log));
        assert_eq!(
            outcome.logged_command("ENABLE CONDSTORE"),
            offered.contains(&"condstore"),
            "{}",
            tail(&outcome.log)
        );
    }
    assert_eq!(told.len(), 1, "the content does not depend on what is dropped: {told:#?}");
}

#[test]
fn neomutt_reads_waits_and_saves() {
    if !wanted(&["dovecot", "neomutt", "script", "python3"]) {
        return;
    }
    for dropped in MATRIX {
        let stand = Stand::start(dropped, &messages());
        // NeoMutt takes QRESYNC at its word, which implies CONDSTORE.
        let (idle, condstore) = (!stand.drops("IDLE"), !stand.drops("CONDSTORE") || !stand.drops("QRESYNC"));
        let settings = "set imap_idle=yes\nset imap_condstore=yes";
        let mut mutt = Neomutt::start(stand.address(), stand.folder(), settings);
        wait_until("NeoMutt has the index", || stand.near().client_sent("FETCH 1:6 (UID FLAGS"));
        let waits = if idle { " IDLE\r\n" } else { " NOOP\r\n" };
        wait_until("NeoMutt waits for mail", || stand.near().client_sent(waits));
        // New mail, while it waits: it must learn of it and fetch its head.
        python("session.py", stand.server.address, &["idle", "literal+", "condstore"]);
        wait_until("NeoMutt sees new mail", || stand.near().client_sent("FETCH 7:"));
        // Opens the first message.
        mutt.press("1\r\r");
        wait_until("NeoMutt opens a message", || stand.near().client_sent("BODY.PEEK[]"));
        mutt.press("qq");
        mutt.wait();
        let outcome = stand.finish();
        assert_eq!(outcome.sent(" IDLE\r\n"), idle);
        assert_eq!(outcome.logged_command(" IDLE"), idle, "{}", tail(&outcome.log));
        assert_eq!(outcome.sent("(CONDSTORE)"), condstore);
        assert_eq!(outcome.logged_command("(CONDSTORE)"), condstore, "{}", tail(&outcome.log));
    }
}

#[test]
fn compressed_mail_is_read_as_it_passes() {
    if !wanted(&["dovecot", "python3"]) {
        return;
    }
    let plugins = "mail_plugins = zlib\nprotocol imap {\n  mail_plugins = zlib imap_zlib\n}\n";
    let all: usize = messages().iter().map(|message| crlf(message).len()).sum();
    for dropped in [&[][..], &["IDLE"], &["COMPRESS=DEFLATE"]] {
        let server = Dovecot::serving("imap", &messages(), plugins);
        let address = server.address;
        let stand = Stand::between("imap", dropped, address, server);
        let plain = stand.drops("COMPRESS=DEFLATE");
        let octets = python("compress.py", stand.address(), if plain { &["plain"] } else { &[] });
        assert_eq!(octets.trim(), all.to_string(), "every message is fetched whole");
        wait_until("the session is over", || stand.log().contains("closed by the"));
        let log = stand.log();
        for text in ["COMPRESS DEFLATE", "DEFLATE begins", "of them compressed"] {
            assert_eq!(log.contains(text), !plain, "{text}\n{}", tail(&log));
        }
        assert!(log.contains("BODY.PEEK[]") && log.contains("LOGOUT"), "{}", tail(&log));
        assert!(!log.lines().any(|line| line.trim_start().starts_with("! ")), "{log}");
        // Where a rule acts, the octets are others, and what is in them is the same.
        if !stand.drops("IDLE") {
            stand.finish();
        }
    }
}

/// What a proxy hides, and what a server really lacks, must make the same difference to a client.
fn hidden_is_absent(matrix: &[&'static [&'static str]], client: impl Fn(&Tee, &Path)) {
    let mut told = BTreeSet::new();
    for dropped in matrix {
        let stand = Stand::start(dropped, &messages());
        client(stand.near(), stand.folder());
        let hidden = stand.finish().records;
        let absent = without_proxy(&offered(&hidden), &messages(), &client);
        assert_eq!(commands(&hidden), commands(&absent), "{dropped:?} hidden, and absent");
        told.insert(commands(&hidden));
    }
    assert!(told.len() > 1, "the client makes a difference between servers: {told:#?}");
}

#[test]
fn mbsync_cannot_tell_hidden_from_absent() {
    if !wanted(&["dovecot", "mbsync"]) {
        return;
    }
    hidden_is_absent(&MATRIX, |near, folder| {
        let inbox = folder.join("near/INBOX");
        for name in ["new", "cur", "tmp"] {
            fs::create_dir_all(inbox.join(name)).expect("a folder");
        }
        fs::write(inbox.join("cur/1.near.test:2,S"), renamed(&messages()[0])).expect("a file");
        mbsync(near.address, folder);
        mbsync(near.address, folder);
    });
}

#[test]
fn neomutt_cannot_tell_hidden_from_absent() {
    if !wanted(&["dovecot", "neomutt", "script"]) {
        return;
    }
    hidden_is_absent(&[MATRIX[0], MATRIX[5]], |near, folder| {
        let settings = "set imap_idle=yes\nset imap_condstore=yes";
        // The second time it has a cache, and with CONDSTORE asks for changes only.
        for round in 1..=2 {
            let mut mutt = Neomutt::start(near.address, folder, settings);
            let waits = |record: &Record| {
                let text = record.client_text();
                text.contains(" IDLE\r\n") || text.contains(" NOOP\r\n")
            };
            wait_until("NeoMutt waits for mail", || near.records().len() == round && near.records().iter().all(waits));
            mutt.press("q");
            mutt.wait();
        }
    });
}
