//! The raw outputs: the files hold what the peers sent, to the octet, however it came, and bodies what was meant.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use imapscope::event::{Batch, Data, Layer, Oddity, Peer, What};
use imapscope::exchange::Explained;
use imapscope::explain::Explainer;
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::sink::Sink;
use imapscope::sink::raw::body::Bodies;
use imapscope::sink::raw::folder::Folder;
use imapscope::sink::raw::{Raw, RawStream};

use crate::dialogue::{Dialogue, Step, play};

/// Chunks in which the dialogues come.
const SIZES: [usize; 3] = [usize::MAX, 1, 7];

/// What a peer sends in a dialogue.
fn said(dialogue: &Dialogue, by: Peer) -> Vec<u8> {
    let octets = dialogue.steps.iter().filter_map(|step| match step {
        Step::Send { from, bytes, .. } if *from == by => Some(bytes.as_slice()),
        _ => None,
    });
    octets.collect::<Vec<_>>().concat()
}

/// A folder that is made, or is empty.
fn empty(path: &Path) -> Folder {
    Folder::new(imapscope::file::Folder::fresh(path, false).expect("an empty folder"))
}

/// The files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|it| (it.file_name().into_string().expect("our name"), fs::read(it.path()).expect("a file"))).collect()
}

/// Notices whether a lane was compressed, for then the files have what was compressed.
#[derive(Default)]
struct Apart(bool);

impl Sink for Apart {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        self.0 |= match &event.event.what {
            What::Upgrade(layer) => *layer == Layer::Deflate,
            What::Data(Data { oddities, .. }) => oddities.contains(&Oddity::NotDeflate),
            What::Closed(closed) => closed.inflated != [(0, 0); 2],
            _ => false,
        };
        Ok(())
    }
    fn wants_octets(&self) -> bool {
        true
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_files_hold_what_the_peers_sent() {
    let place = tempfile::tempdir().expect("a folder");
    let mut compared = 0;
    for (round, size) in SIZES.into_iter().enumerate() {
        let folder = place.path().join(round.to_string());
        let mut raw = Raw::new(empty(&folder));
        let mut wanted = BTreeMap::new();
        for (number, (path, dialogue, grammar)) in play::all().into_iter().enumerate() {
            let number = number as u64 + 1;
            let mut apart = Apart::default();
            play::play(&dialogue, &grammar, (number, size, true), &mut apart);
            if apart.0 {
                continue;
            }
            play::play(&dialogue, &grammar, (number, size, true), &mut raw);
            for peer in [Peer::Client, Peer::Server] {
                let said = said(&dialogue, peer);
                let mut stream = Vec::new();
                play::play(&dialogue, &grammar, (1, size, true), &mut RawStream::new(&mut stream, Some(peer)));
                assert!(
                    stream == said,
                    "{}: the {} said\n{}\nand the stream has\n{}",
                    path.display(),
                    peer.word(),
                    said.escape_ascii(),
                    stream.escape_ascii()
                );
                if !said.is_empty() {
                    wanted.insert(format!("{number:06}-{}.raw", peer.word()), said);
                }
            }
            compared += 1;
        }
        raw.end().expect("room");
        let found = files(&folder);
        assert!(found.keys().eq(wanted.keys()), "a file for each side that said something");
        for (name, octets) in &found {
            let wanted = &wanted[name];
            let at = octets.iter().zip(wanted).position(|(one, other)| one != other);
            assert!(octets == wanted, "{name} differs at {at:?}, {} and {} octets", octets.len(), wanted.len());
        }
    }
    assert!(compared > 500, "{compared} dialogues");
}

/// The files that a conversation leaves, the same in every chunking. A step is who sends what.
fn bodies(protocol: &str, steps: &[(Peer, &str)]) -> BTreeMap<String, String> {
    let grammar = imapscope::grammar::Grammar::builtin(protocol).expect("a protocol");
    let send = |(from, text): &(Peer, &str)| Step::Send {
        from: *from,
        bytes: text.as_bytes().to_vec(),
        becomes: None,
        answer: Vec::new(),
    };
    let dialogue = Dialogue {
        grammar: None,
        rules: std::sync::Arc::default(),
        filter: None,
        steps: steps.iter().map(send).collect(),
        log: String::new(),
    };
    let mut all: Vec<BTreeMap<String, Vec<u8>>> = Vec::new();
    for size in [usize::MAX, 1, 3, 10] {
        let place = tempfile::tempdir().expect("a folder");
        let mut sink = Bodies::new(empty(place.path()));
        play::play(&dialogue, &grammar, (1, size, false), &mut sink);
        sink.end().expect("room");
        all.push(files(place.path()));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "chunks make no difference: {all:?}");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("UTF-8");
    all.remove(0).into_iter().map(|(name, octets)| (name.replace("000001-", ""), text(octets))).collect()
}

fn wanted(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

const C: Peer = Peer::Client;
const S: Peer = Peer::Server;

#[test]
fn bodies_of_imap() {
    let found = bodies(
        "imap",
        &[
            (S, "* PREAUTH hi\r\n"),
            (C, "a APPEND {5}\r\n"),
            (S, "+ go\r\n"),
            (C, "INBOX (\\Seen) {13}\r\n"),
            (S, "+ go\r\n"),
            (C, "Subject: a\r\n\r {0}\r\n"),
            (S, "+ go\r\n"),
            (C, "\r\n"),
            (S, "a OK done\r\n"),
            (C, "b FETCH 1 (BODY[] BODY[HEADER] BODY[2])\r\n"),
            (S, "* 1 FETCH (BODY[] {4}\r\nM\r\n. BODY[HEADER] {3}\r\nH\r\n BODY[2] {2}\r\n\0\x01)\r\nb OK done\r\n"),
        ],
    );
    let expected = [
        ("client-000002-01.bin", "INBOX"),
        ("client-000002-02.eml", "Subject: a\r\n\r"),
        ("client-000002-03.eml", ""),
        ("server-000008-01.eml", "M\r\n."),
        ("server-000008-02.txt", "H\r\n"),
        ("server-000008-03.bin", "\0\x01"),
    ];
    assert_eq!(found, wanted(&expected));
}

#[test]
fn bodies_of_smtp_with_chunks_put_together() {
    let found = bodies(
        "smtp",
        &[
            (S, "220 hi\r\n"),
            (C, "EHLO a\r\n"),
            (S, "250-hi\r\n250 CHUNKING\r\n"),
            (C, "MAIL FROM:<a@b>\r\n"),
            (S, "250 ok\r\n"),
            (C, "RCPT TO:<c@d>\r\n"),
            (S, "250 ok\r\n"),
            (C, "DATA\r\n"),
            (S, "354 go\r\n"),
            (C, "Subject: x\r\n\r\n..dot\r\n..\r\nend\r\n.\r\n"),
            (S, "250 ok\r\n"),
            (C, "MAIL FROM:<a@b>\r\n"),
            (S, "250 ok\r\n"),
            (C, "RCPT TO:<c@d>\r\n"),
            (S, "250 ok\r\n"),
            (C, "BDAT 6\r\n.one\r\n"),
            (S, "250 ok\r\n"),
            (C, "BDAT 5 LAST\r\ntwo\r\n"),
            (S, "250 ok\r\n"),
            (C, "BDAT 3\r\nxyz"),
            (S, "503 no\r\n"),
            (C, "RSET\r\n"),
            (S, "250 ok\r\n"),
            (C, "BDAT 3 last\r\nabc"),
            (S, "503 no\r\n"),
        ],
    );
    let texts: Vec<&str> = found.values().map(String::as_str).collect();
    assert_eq!(texts, ["Subject: x\r\n\r\n.dot\r\n.\r\nend\r\n", ".one\r\ntwo\r\n", "xyz", "abc"], "{found:?}");
    assert!(found.keys().all(|name| name.starts_with("client-") && name.ends_with("-01.eml")), "{found:?}");
}

#[test]
fn bodies_of_pop3_and_managesieve() {
    let found = bodies(
        "pop3",
        &[
            (S, "+OK hi\r\n"),
            (C, "USER a\r\nPASS secretpw\r\n"),
            (S, "+OK\r\n+OK\r\n"),
            (C, "LIST\r\nRETR 1\r\n"),
            (S, "+OK\r\n1 20\r\n.\r\n+OK\r\nSubject: x\r\n\r\n..\r\n.\r\n"),
        ],
    );
    let texts: Vec<(&str, &str)> = found.iter().map(|(name, text)| (&name[name.len() - 3..], text.as_str())).collect();
    assert_eq!(texts, [("txt", "1 20\r\n"), ("eml", "Subject: x\r\n\r\n.\r\n")], "{found:?}");
    let found = bodies(
        "managesieve",
        &[(S, "\"SIEVE\" \"x\"\r\nOK\r\n"), (C, "PUTSCRIPT \"a\" {6+}\r\nkeep;\n\r\n"), (S, "OK\r\n")],
    );
    assert_eq!(found.values().map(String::as_str).collect::<Vec<_>>(), ["keep;\n"], "{found:?}");
    assert!(found.keys().all(|name| name.ends_with(".txt")), "{found:?}");
}

#[test]
fn bodies_of_a_message_in_which_another_was_smuggled() {
    let opening = [
        (S, "220 hi\r\n"),
        (C, "EHLO a\r\n"),
        (S, "250 hi\r\n"),
        (C, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
        (S, "250 ok\r\n250 ok\r\n354 go\r\n"),
    ];
    let inner = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
    let replies = (S, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n");
    // All of it: it stands in one file, the whole message's.
    let message = format!("A: b\r\n\r\n\n.\n{inner}C: d\r\n\r\nin\r\n.\r\n");
    let found = bodies("smtp", &[&opening[..], &[(C, &*message), replies]].concat());
    assert_eq!(found.into_values().collect::<Vec<_>>(), [message.strip_suffix(".\r\n").expect("its end")]);
    // Half of it, and the rest came later: no octet stands in both.
    let half = format!("A: b\r\n\r\n\n.\n{inner}C: d");
    let steps = [(C, &*half), (S, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"), (C, "\r\n\r\nin\r\n.\r\n")];
    let found = bodies("smtp", &[&opening[..], &steps].concat());
    assert_eq!(found.into_values().collect::<Vec<_>>(), [&half, "\r\n\r\nin\r\n"]);
}

/// What a recording shows is what was shown live: raw octets and bodies.
#[test]
fn a_recording_gives_the_same_files() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = |kind: &str, round: usize| place.path().join(format!("{kind}-{round}"));
    for (round, size) in [usize::MAX, 7].into_iter().enumerate() {
        let mut live = open(&folder("live-raw", round), &folder("live-bodies", round));
        let mut read = open(&folder("read-raw", round), &folder("read-bodies", round));
        for (number, (_, dialogue, grammar)) in play::all().into_iter().enumerate() {
            let mut recording = Vec::new();
            let mut writer = Writer::new(&mut recording, Head { secrets: true, ..Head::default() });
            play::play(&dialogue, &grammar, (number as u64 + 1, size, true), &mut writer);
            drop(writer);
            live.iter_mut().for_each(|sink| {
                play::play(&dialogue, &grammar, (number as u64 + 1, size, true), &mut **sink);
            });
            let mut explainer = Explainer::of_recording(grammar.clone(), true);
            let mut reader = Reader::new(&recording[..]).expect("memory can be read");
            let mut batch = Batch::default();
            while reader.next(&mut batch).expect("memory can be read") == State::Events {
                explainer.explain(&mut batch, &mut |event| {
                    read.iter_mut().for_each(|sink| sink.put(event).expect("room"));
                });
            }
            assert!(reader.finish().is_empty(), "nothing of it is damaged");
        }
        live.iter_mut().chain(&mut read).for_each(|sink| sink.end().expect("room"));
        for kind in ["raw", "bodies"] {
            let [live, read] = ["live", "read"].map(|from| files(&folder(&format!("{from}-{kind}"), round)));
            assert!(live.len() > 50 && live.keys().eq(read.keys()), "the same files of {kind}");
            for (name, octets) in &live {
                assert!(octets == &read[name], "{kind}, {name}");
            }
        }
    }
}

fn open(raw: &Path, bodies: &Path) -> [Box<dyn Sink>; 2] {
    [Box::new(Raw::new(empty(raw))), Box::new(Bodies::new(empty(bodies)))]
}

#[test]
fn secret_blocks_have_no_file() {
    let steps = [
        (S, "* OK hi\r\n"),
        (C, "a LOGIN {5}\r\n"),
        (S, "+\r\n"),
        (C, "alice {8}\r\n"),
        (S, "+\r\n"),
        (C, "hunter42\r\n"),
        (S, "a OK in\r\n"),
    ];
    let found = bodies("imap", &steps);
    assert!(found.values().all(|text| !text.contains("hunter")), "{found:?}");
}
