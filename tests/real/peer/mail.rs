//! Messages that are hard to carry, and Maildirs to compare.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn head(name: &str) -> String {
    format!(
        "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: {name}\nMessage-ID: <{name}@example.org>\n\
         Date: Mon, 2 Feb 2026 10:00:00 +0000\n"
    )
}

fn text(name: &str, body: &[u8]) -> Vec<u8> {
    [head(name).as_bytes(), b"\n", body].concat()
}

/// Messages with LF line ends, as they lie in a Maildir. Some hold what a proxy could take for protocol.
pub fn messages() -> Vec<Vec<u8>> {
    let mut octets = b"Caf\xe9 na\xefve in Latin-1, ".to_vec();
    octets.extend((0x80..=0xff).collect::<Vec<u8>>());
    octets.extend_from_slice("\nund UTF-8: größer, \u{1f4e8}\n".as_bytes());
    let long = "0123456789abcdef".repeat(6250) + "\nand after it\n";
    let attachment = "MIME-Version: 1.0\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
        .to_owned()
        + &"TG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQsIGNvbnNldGV0dXIgc2FkaXBzY2luZyBlbGl0ciwg\n".repeat(2600);
    vec![
        text("plain", b"Hello,\nthis is a line.\n"),
        text("octets", &octets),
        text("long-line", long.as_bytes()),
        (head("attachment") + &attachment).into_bytes(),
        text("empty", b""),
        text(
            "looks-like-protocol",
            b"* OK [CAPABILITY IMAP4rev1 IDLE LITERAL+ CONDSTORE] not a greeting\n\
              * CAPABILITY IMAP4rev1 IDLE LITERAL+ CONDSTORE ENABLE\na1 OK done {12}\na2 COPY x {5+}\n)\n.\n",
        ),
    ]
}

/// The messages of a Maildir, without the header that mbsync adds to find again what it has stored.
pub fn maildir(folder: &Path) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for name in ["cur", "new"] {
        for entry in fs::read_dir(folder.join(name)).expect("a Maildir") {
            let message = fs::read(entry.expect("it can be read").path()).expect("a message");
            assert!(found.insert(without_x_tuid(&message)), "no message is there twice");
        }
    }
    found
}

/// A message as it was before mbsync put a header of its own into it.
pub fn without_x_tuid(message: &[u8]) -> Vec<u8> {
    let head = message.windows(2).position(|pair| pair == b"\n\n").map_or(message.len(), |at| at + 1);
    let mut kept = Vec::with_capacity(message.len());
    for line in message[..head].split_inclusive(|octet| *octet == b'\n') {
        if !line.starts_with(b"X-TUID: ") {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(&message[head..]);
    kept
}

/// Messages as text that fits a failure report: their subjects and lengths.
pub fn titles(messages: &BTreeSet<Vec<u8>>) -> Vec<String> {
    let title = |message: &Vec<u8>| {
        let text = String::from_utf8_lossy(message);
        let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or("?").to_owned();
        format!("{subject} ({} octets)", message.len())
    };
    messages.iter().map(title).collect()
}

/// What a message becomes on the wire.
pub fn crlf(message: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => sent.extend_from_slice(&[line, b"\r\n"].concat()),
            None => sent.extend_from_slice(line),
        }
    }
    sent
}

/// Messages to send with SMTP, with LF line ends: no line is longer than its limit. Some hold what a proxy could take for
/// protocol.
pub fn letters() -> Vec<Vec<u8>> {
    let mut octets =
        b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n".to_vec();
    octets.extend_from_slice("größer, \u{1f4e8}, and in Latin-1 caf".as_bytes());
    octets.extend((0xa0..=0xff).collect::<Vec<u8>>());
    octets.push(b'\n');
    let mut names = head("names").replace("names\n", "größer\n").into_bytes();
    names.extend_from_slice(b"\nA header in UTF-8.\n");
    let long = "0123456789abcdef".repeat(63)[..998].to_owned();
    let large = "The quick brown fox jumps over the lazy dog, again and again and again.\n".repeat(2900);
    vec![
        text("plain", b"Hello,\nthis is a line.\n"),
        text("dots", b".\n..\n...\n.a\n. \n\n.\n\n.end\n"),
        text("empty-end", b"The last line is empty.\n\n"),
        text("long-lines", format!("{long}\n.{}\nand after it\n", &long[..900]).as_bytes()),
        [head("octets").as_bytes(), &octets].concat(),
        names,
        text("large", large.as_bytes()),
        text(
            "looks-like-protocol",
            b"250-PIPELINING\n250 CHUNKING\nQUIT\nRCPT TO:<carol@example.org>\n354 go on\n.\nMAIL FROM:<x@example.org>\n\
              bdat 5 last\n+OK\nCAPA\nPIPELINING\nUIDL\n.\nQUIT\n",
        ),
    ]
}
