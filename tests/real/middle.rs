//! Commands that are refused in the middle of others that are sent with them: every command has its answer in its turn, the
//! server does what is not refused, and octets that belong to a refused command are never read as commands.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::peer::mail::{letters, maildir, messages};
use crate::peer::postfix::{self, Postfix};
use crate::peer::server::Dovecot;
use crate::peer::stand::{Both, Stand, tail};
use crate::peer::{PASSWORD, USER, wanted};

/// How many octets a client sends at a time: all, a few, one.
const PIECES: [usize; 3] = [usize::MAX, 7, 1];

/// A client without manners.
struct Raw {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    piece: usize,
}

impl Raw {
    fn connect(address: SocketAddr, piece: usize) -> Raw {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        stream.set_nodelay(true).expect("pieces leave at once");
        Raw { lines: BufReader::new(stream.try_clone().expect("a handle")), stream, piece }
    }

    fn send(&mut self, octets: &[u8]) {
        for piece in octets.chunks(self.piece) {
            self.stream.write_all(piece).expect("it is read");
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line comes in time");
        assert!(line.ends_with("\r\n"), "a whole line: {line:?}");
        line
    }

    /// The lines up to one that begins so.
    fn until(&mut self, begins: &str) -> Vec<String> {
        let mut lines = vec![self.line()];
        while !lines.last().is_some_and(|line| line.starts_with(begins)) {
            lines.push(self.line());
        }
        lines
    }

    /// What comes until the server closes.
    fn rest(mut self) -> Vec<String> {
        let mut text = Vec::new();
        self.lines.read_to_end(&mut text).expect("the connection ends in time");
        String::from_utf8_lossy(&text).split_inclusive("\r\n").map(str::to_owned).collect()
    }
}

/// Octets that would do damage if anybody read them as commands.
const TRAP: &[u8] = b"Subject: a trap\r\n\r\nx1 DELETE Other\r\nQUIT\r\nRSET\r\nDELE 1\r\nx2 LOGOUT\r\n.\r\nLOGOUT\r\n";

/// Whatever else: the proxy ends well, and nobody is told that an answer was missing or too many.
fn ended<S>(stand: Stand<S>) -> Both {
    let both = stand.end();
    for never in
        ["no command with this tag is waiting", "a reply that no command was waiting for", "too many commands wait"]
    {
        assert!(!both.log.contains(never), "{never}:\n{}", tail(&both.log));
    }
    both
}

#[test]
fn imap_goes_on_around_refused_commands() {
    if !wanted(&["dovecot"]) {
        return;
    }
    let flags =
        ["--drop-cap", "IDLE,MOVE,UIDPLUS", "--enforce", "--rule", "refuse COPY with \"NO not today\"", "--rule"];
    let flags = [&flags[..], &["refuse APPEND when text ~ Forbidden"]].concat();
    for piece in PIECES {
        let server = Dovecot::start(&messages());
        let stand = Stand::ruled("imap", &flags, server.address, ());
        let mut client = Raw::connect(stand.address(), piece);
        client.until("* OK");
        let message = b"Subject: welcome\r\n\r\na9 LOGOUT\r\n";
        let mut all = format!(
            "a1 LOGIN {USER} {PASSWORD}\r\na2 CREATE Other\r\na3 SELECT INBOX\r\na4 NOOP\r\na5 UID MOVE 1 Other\r\n\
             a6 STORE 2 +FLAGS.SILENT (\\Deleted)\r\na7 UID EXPUNGE 1:*\r\na8 COPY 1 Other\r\nb1 APPEND Other {{{}+}}\r\n",
            message.len()
        )
        .into_bytes();
        all.extend_from_slice(message);
        all.extend_from_slice(format!("\r\nb2 APPEND Forbidden {{{}+}}\r\n", TRAP.len()).as_bytes());
        all.extend_from_slice(TRAP);
        all.extend_from_slice(
            b"\r\nb3 NOOP\r\nb4 IDLE\r\nb5 SEARCH DELETED\r\nb6 STATUS Other (MESSAGES)\r\nb7 LOGOUT\r\n",
        );
        client.send(&all);
        let lines = client.rest();
        let tagged = lines.iter().filter(|line| !line.starts_with("* ")).map(|line| {
            let mut words = line.split(' ');
            let (tag, status) = (words.next().expect("a tag"), words.next().expect("a status"));
            (tag.to_owned(), status.to_owned(), line.contains("[imapscope]"))
        });
        let mut tagged = tagged.collect::<Vec<_>>();
        // Tags tell the answers apart: neither ours nor all of Dovecot's wait for those before them.
        tagged.sort();
        let row = |tag: &str, status: &str, ours| (tag.to_owned(), status.to_owned(), ours);
        let ok = |tag| row(tag, "OK", false);
        let expected = [
            ok("a1"),
            ok("a2"),
            ok("a3"),
            ok("a4"),
            row("a5", "BAD", true),
            ok("a6"),
            row("a7", "BAD", true),
            row("a8", "NO", true),
            ok("b1"),
            row("b2", "BAD", true),
            ok("b3"),
            row("b4", "BAD", true),
            ok("b5"),
            ok("b6"),
            ok("b7"),
        ];
        assert_eq!(tagged, expected, "{lines:#?}");
        assert!(lines.contains(&"* SEARCH 2\r\n".to_owned()), "a message is deleted and not expunged: {lines:#?}");
        assert!(lines.contains(&"* STATUS Other (MESSAGES 1)\r\n".to_owned()), "{lines:#?}");
        let both = ended(stand);
        assert!(!both.far[0].client_text().contains("trap"), "the literal is swallowed");
        assert!(maildir(&server.inbox()) == messages().into_iter().collect(), "all is there still");
        let other = maildir(&server.inbox().join(".Other"));
        assert!(other == [b"Subject: welcome\n\na9 LOGOUT\n".to_vec()].into(), "and nothing else came");
    }
}

#[test]
fn a_literal_that_may_not_come_at_once_is_swallowed() {
    if !wanted(&["dovecot"]) {
        return;
    }
    let message = b"Subject: welcome\r\n\r\nA line.\r\n";
    for piece in PIECES {
        let server = Dovecot::start(&[]);
        let stand = Stand::ruled("imap", &["--drop-cap", "LITERAL+", "--enforce"], server.address, ());
        let mut client = Raw::connect(stand.address(), piece);
        client.until("* OK");
        let mut all = format!("a1 LOGIN {USER} {PASSWORD}\r\na2 APPEND INBOX {{{}+}}\r\n", TRAP.len()).into_bytes();
        all.extend_from_slice(TRAP);
        all.extend_from_slice(format!("\r\na3 NOOP\r\na4 APPEND INBOX {{{}}}\r\n", message.len()).as_bytes());
        client.send(&all);
        let mut lines = client.until("+ ");
        client.send(&[message, &b"\r\na5 LOGOUT\r\n"[..]].concat());
        lines.extend(client.rest());
        let status = |tag: &str| {
            let mut found = lines.iter().filter_map(|line| line.strip_prefix(tag));
            let (one, more) = (found.next().expect("an answer"), found.next());
            assert_eq!(more, None, "{lines:#?}");
            one.split(' ').nth(1).expect("a status").to_owned()
        };
        assert_eq!(["a1", "a2", "a3", "a4", "a5"].map(status), ["OK", "BAD", "OK", "OK", "OK"], "{lines:#?}");
        ended(stand);
        assert!(maildir(&server.inbox()) == [b"Subject: welcome\n\nA line.\n".to_vec()].into());
    }
}

#[test]
fn smtp_answers_in_turn_around_refused_commands() {
    if !postfix::wanted(&[]) {
        return;
    }
    let server = Postfix::start(&[&[]]);
    let flags = ["--drop-cap", "CHUNKING", "--enforce", "--rule", "refuse VRFY", "--rule"];
    let flags = [&flags[..], &["refuse RCPT with \"550 5.1.1 not here\" when text ~ carol"]].concat();
    for piece in PIECES {
        let stand = Stand::ruled("smtp", &flags, server.address(), ());
        let mut client = Raw::connect(stand.address(), piece);
        client.until("220 ");
        client.send(b"EHLO client.example.org\r\n");
        assert!(!client.until("250 ").concat().contains("CHUNKING"));
        client.send(
            b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<carol@example.org>\r\nVRFY bob\r\nRCPT TO:<bob@example.org>\r\n\
              RCPT TO:<nobody@example.net>\r\nDATA\r\n",
        );
        let codes = |lines: &[String]| lines.iter().map(|line| line[..3].to_owned()).collect::<Vec<_>>();
        let lines = client.until("354 ");
        assert_eq!(codes(&lines), ["250", "550", "502", "250", "554", "354"], "{lines:#?}");
        assert!(lines[1].contains("[imapscope]") && lines[2].contains("[imapscope]"), "{lines:#?}");
        let chunk = format!("BDAT {} LAST\r\n", TRAP.len());
        let parts = [
            &b"Subject: kept\r\n\r\nVRFY bob\r\n..\r\n.\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\n"[..],
            chunk.as_bytes(),
            TRAP,
            b"RCPT TO:<bob@example.org>\r\nRSET\r\nVRFY bob\r\nQUIT\r\n",
        ];
        client.send(&parts.concat());
        let lines = client.rest();
        assert_eq!(codes(&lines), ["250", "250", "250", "502", "250", "250", "502", "221"], "{lines:#?}");
        assert!(lines[0].contains("queued as"), "{lines:#?}");
        let both = ended(stand);
        assert!(!both.far[0].client_text().contains("trap"), "the octets of BDAT are swallowed");
        assert_eq!(server.take("bob", 1), [b"Subject: kept\n\nVRFY bob\n.\n".to_vec()]);
        server.clear("carol");
    }
}

#[test]
fn pop3_answers_in_turn_around_refused_commands() {
    if !wanted(&["dovecot"]) {
        return;
    }
    let server = Dovecot::serving("pop3", &letters()[..2], "");
    let flags = ["--drop-cap", "UIDL", "--enforce", "--rule", "refuse DELE with \"-ERR [SYS/PERM] no\""];
    for piece in PIECES {
        let stand = Stand::ruled("pop3", &flags, server.address, ());
        let mut client = Raw::connect(stand.address(), piece);
        client.until("+OK");
        let all = format!(
            "USER {USER}\r\nPASS {PASSWORD}\r\nCAPA\r\nSTAT\r\nUIDL\r\nSTAT\r\nDELE 1\r\nRETR 1\r\nUIDL 1\r\nNOOP\r\nLIST\r\nQUIT\r\n"
        );
        client.send(all.as_bytes());
        let lines = client.rest();
        let mut rest = lines.iter();
        let mut replies = Vec::new();
        for many in [false, false, true, false, false, false, false, true, false, false, true, false] {
            let first = rest.next().expect("a reply for each command");
            let good = first.starts_with("+OK");
            let body = rest.by_ref().take(if many && good { usize::MAX } else { 0 });
            let body = body.take_while(|line| *line != ".\r\n").cloned().collect::<Vec<_>>();
            replies.push((good, first.contains("[imapscope]"), body));
        }
        assert_eq!(rest.next(), None, "and no more: {lines:#?}");
        let good = replies.iter().map(|(good, ..)| *good).collect::<Vec<_>>();
        assert_eq!(good, [true, true, true, true, false, true, false, true, false, true, true, true], "{lines:#?}");
        assert!(replies.iter().all(|(good, ours, _)| *good != *ours), "we refuse, and nobody else: {lines:#?}");
        assert!(!replies[2].2.contains(&"UIDL\r\n".to_owned()), "{lines:#?}");
        assert_eq!(replies[7].2.concat().replace("\r\n", "\n").into_bytes(), letters()[0], "{lines:#?}");
        assert_eq!(replies[10].2.len(), 2, "nothing is deleted: {lines:#?}");
        ended(stand);
    }
}

#[test]
fn managesieve_answers_in_turn_around_refused_commands() {
    if !wanted(&["dovecot"]) {
        return;
    }
    let flags =
        ["--rule", "refuse PUTSCRIPT with \"NO (QUOTA) no room\" when text ~ bad", "--rule", "refuse HAVESPACE"];
    for piece in PIECES {
        let server = Dovecot::serving("sieve", &[], "");
        let stand = Stand::ruled("sieve", &flags, server.address, ());
        let mut client = Raw::connect(stand.address(), piece);
        client.until("OK");
        let secret = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
        client.send(format!("AUTHENTICATE \"PLAIN\" {{{}+}}\r\n{secret}\r\n", secret.len()).as_bytes());
        client.until("OK");
        let mut all = format!("NOOP\r\nPUTSCRIPT \"bad\" {{{}+}}\r\n", TRAP.len()).into_bytes();
        all.extend_from_slice(TRAP);
        all.extend_from_slice(
            b"\r\nPUTSCRIPT \"good\" {5+}\r\nkeep;\r\nHAVESPACE \"x\" 10\r\nLISTSCRIPTS\r\nLOGOUT\r\n",
        );
        client.send(&all);
        let lines = client.rest();
        let words = lines.iter().map(|line| line.split([' ', '\r']).next().unwrap_or_default()).collect::<Vec<_>>();
        assert_eq!(words, ["OK", "NO", "OK", "NO", "\"good\"", "OK", "OK"], "{lines:#?}");
        assert!(lines[1].starts_with("NO (QUOTA) \"no room [imapscope]\""), "{lines:#?}");
        let both = ended(stand);
        assert!(!both.far[0].client_text().contains("trap"), "the literal is swallowed");
    }
}
