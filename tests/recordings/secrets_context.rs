//! No secret is shown where the context is not what was expected: a log or a capture that begins within a login, lacks a line
//! of either peer or a segment, or in which the server refuses what it accepted. Every mechanism and login command of every
//! protocol, through every output, and through what is said of the input. The canary is searched in five bytes at a time, as
//! it is and in base64 at every place in its group of three, in any case.

use std::io::Cursor;

use crate::lanes::log::log;
use crate::lanes::{Step, c, s};
use crate::segment::{self, ACK, CLIENT, SYN, Spelling};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imapscope::event::{Culprit, NoteKind, Peer, What};
use imapscope::explain::Explainer;
use imapscope::foreign::{self, Kind};
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::recording::Writer;
use imapscope::rules::Rules;
use imapscope::sink::Sink;
use imapscope::sink::html::Html;
use imapscope::sink::json::Json;
use imapscope::sink::pcapng::Pcapng;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::raw::RawStream;
use imapscope::sink::style::{Body, Look};
use imapscope::verb::foreign::{Came, Passages};

/// A password that occurs nowhere else.
const CANARY: &str = "kanarie77";

/// What a protocol says around a login: the greeting, a harmless command with its reply, what asks for a message, consent and
/// refusal (`TAG` is the tag of the login), and what follows a login.
struct Manners {
    protocol: &'static str,
    opening: &'static [(&'static str, &'static str)],
    go: &'static str,
    yes: &'static str,
    no: &'static str,
    after: &'static [(&'static str, &'static str)],
}

static MANNERS: [Manners; 7] = [
    Manners {
        protocol: "imap",
        opening: &[("", "* OK [CAPABILITY IMAP4rev1] hi"), ("a0 NOOP", "a0 OK")],
        go: "+ ",
        yes: "a1 OK in",
        no: "a1 NO no",
        after: &[("a2 SELECT INBOX", "a2 OK"), ("a3 NOOP", "a3 OK")],
    },
    Manners {
        protocol: "smtp",
        opening: &[("", "220 mx"), ("EHLO me", "250-mx\r\n250 AUTH PLAIN LOGIN")],
        go: "334 ",
        yes: "235 in",
        no: "535 no",
        after: &[("MAIL FROM:<a@b>", "250 ok"), ("RSET", "250 ok"), ("QUIT", "221 bye")],
    },
    Manners {
        protocol: "lmtp",
        opening: &[("", "220 mx"), ("LHLO me", "250-mx\r\n250 AUTH PLAIN LOGIN")],
        go: "334 ",
        yes: "235 in",
        no: "535 no",
        after: &[("RSET", "250 ok"), ("QUIT", "221 bye")],
    },
    Manners {
        protocol: "pop3",
        opening: &[("", "+OK hi"), ("CAPA", "+OK\r\nUSER\r\nSASL PLAIN\r\n.")],
        go: "+ ",
        yes: "+OK in",
        no: "-ERR no",
        after: &[("STAT", "+OK 1 2"), ("QUIT", "+OK")],
    },
    Manners {
        protocol: "managesieve",
        opening: &[("", "\"SASL\" \"PLAIN\"\r\nOK"), ("NOOP", "OK")],
        go: "\"\"",
        yes: "OK",
        no: "NO \"no\"",
        after: &[("LISTSCRIPTS", "OK"), ("LOGOUT", "OK")],
    },
    Manners {
        protocol: "nntp",
        opening: &[("", "200 hi"), ("CAPABILITIES", "101 list\r\nVERSION 2\r\nAUTHINFO USER SASL\r\n.")],
        go: "383 =",
        yes: "281 in",
        no: "481 no",
        after: &[("DATE", "111 20260101000000"), ("QUIT", "205 bye")],
    },
    Manners {
        protocol: "irc",
        opening: &[("", ":irc NOTICE * :hi"), ("CAP LS 302", ":irc CAP * LS :sasl")],
        go: "AUTHENTICATE +",
        yes: ":irc 903 me :in",
        no: ":irc 904 me :no",
        after: &[("JOIN #a", ":me!me@host JOIN #a"), ("QUIT", "ERROR :bye")],
    },
];

/// Logins of each protocol: what the client sends, part by part; after each the server says what stands behind `=>`, or `go`, or
/// `yes` after the last.
fn logins(protocol: &str) -> Vec<Vec<String>> {
    let (plain, coded) = (STANDARD.encode(format!("\0alice\0{CANARY}")), STANDARD.encode(CANARY));
    let rows: &[&[&str]] = match protocol {
        "imap" => &[
            &["a1 LOGIN alice SECRET"],
            &["a1 LOGIN \"alice\" \"two words SECRET\""],
            &["a1 LOGIN {5}", "alice {9}", "SECRET"],
            &["a1 LOGIN {5}", "alice {15}", "more\x20SECRET x"],
            &["a1 LOGIN alice {9}", "SECRET"],
            &["a1 LOGIN {5+}\r\nalice {9+}\r\nSECRET"],
            &["a1 LOGIN alice SECRET\r\na2 NOOP"],
            &["a1 AUTHENTICATE PLAIN", "PLAIN64"],
            &["a1 AUTHENTICATE PLAIN PLAIN64"],
            &["a1 AUTHENTICATE LOGIN", "YWxpY2U=", "SECRET64"],
            &["a1 XAUTHENTICATE PLAIN", "PLAIN64"],
            &["a1 AUHTENTICATE PLAIN", "PLAIN64"],
            &["a1 LOGN alice SECRET"],
            &["LOGIN alice SECRET"],
            &["LGIN alice SECRET"],
            &["a1 alice SECRET"],
            &["a1 NOOP LOGIN alice SECRET"],
            &["USER alice PASS SECRET"],
            &["PASS SECRET"],
            &["a1 LOGIN", "alice SECRET"],
            &["a1 AUTHENTICATE SCRAM-SHA-256", "biwsbj1hbGljZSxyPWFiYw== => + PROOF64", "="],
        ],
        "smtp" | "lmtp" => &[
            &["AUTH PLAIN PLAIN64"],
            &["AUTH PLAIN", "PLAIN64"],
            &["AUTH LOGIN", "YWxpY2U=", "SECRET64"],
            &["AUTH LOGIN YWxpY2U=", "SECRET64"],
            &["AUHT PLAIN PLAIN64"],
            &["AUHT PLAIN", "PLAIN64"],
            &["XAUTH alice SECRET"],
            &["MAIL FROM:<a@b>", "AUHT PLAIN PLAIN64"],
            &["HELP AUTH PLAIN PLAIN64"],
            &["USER alice", "PASS SECRET"],
            &["LOGIN alice SECRET"],
            &["SECRET"],
            &["SECRET64 more"],
            &["AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWFiYw== => 334 PROOF64", "="],
        ],
        "pop3" => &[
            &["USER alice", "PASS SECRET"],
            &["USER alice", "PASS two words SECRET"],
            &["USER alice PASS SECRET"],
            &["USER alice SECRET"],
            &["APOP alice SECRET"],
            &["AUTH PLAIN PLAIN64"],
            &["AUTH PLAIN", "PLAIN64"],
            &["AUTH LOGIN", "YWxpY2U=", "SECRET64"],
            &["PSAS SECRET"],
            &["CAPA PASS SECRET"],
            &["XLOGIN alice SECRET"],
            &["USER alice", "SECRET"],
            &["AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWFiYw== => + PROOF64", "="],
        ],
        "managesieve" => &[
            &["AUTHENTICATE \"PLAIN\" \"PLAIN64\""],
            &["AUTHENTICATE \"PLAIN\"", "\"PLAIN64\""],
            &["AUTHENTICATE \"PLAIN\"", "{28+}\r\nPLAIN64"],
            &["AUTHENTICATE \"PLAIN\" {28+}\r\nPLAIN64"],
            &["AUTHENTICATE \"LOGIN\"", "\"YWxpY2U=\"", "\"SECRET64\""],
            &["AUTHENTIACTE \"PLAIN\" \"PLAIN64\""],
            &["LOGIN \"alice\" \"SECRET\""],
            &["NOOP \"LOGIN\" \"alice\" \"SECRET\""],
            &["AUTHENTICATE \"SCRAM-SHA-256\"", "\"biwsbj1hbGljZSxyPWFiYw==\" => OK (SASL \"PROOF64\")"],
        ],
        "nntp" => &[
            &["AUTHINFO USER alice", "AUTHINFO PASS SECRET"],
            &["AUTHINFO USER alice PASS SECRET"],
            &["AUTHINFO SASL PLAIN PLAIN64"],
            &["AUTHINFO SASL PLAIN", "PLAIN64"],
            &["AUTHINOF PASS SECRET"],
            &["MODE READER AUTHINFO PASS SECRET"],
            &["PASS SECRET"],
            &["AUTHINFO USER alice", "SECRET"],
        ],
        _ => &[
            &["PASS SECRET\r\nNICK me\r\nUSER me 0 * :me"],
            &["AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN64"],
            &["AUTHENTICATE PLAIN", "PLAIN64"],
            &["OPER alice SECRET"],
            &["PRIVMSG NickServ :IDENTIFY alice SECRET"],
            &["PRIVMSG nickserv@services.host :REGISTER SECRET a@b"],
            &["PRIVMSG Q@CServe.quakenet.org :AUTH alice SECRET"],
            &["NOTICE NickServ :SET PASSWORD SECRET"],
            &["PRIVMSG #a :/msg NickServ IDENTIFY SECRET"],
            &["SQUERY NickServ :IDENTIFY SECRET"],
            &["NS IDENTIFY SECRET"],
            &["JOIN #a SECRET"],
            &["NICK me PASS SECRET"],
            &["PSAS SECRET"],
            &[
                "AUTHENTICATE SCRAM-SHA-256",
                "AUTHENTICATE biwsbj1hbGljZSxyPWFiYw== => AUTHENTICATE PROOF64",
                "AUTHENTICATE +",
            ],
        ],
    };
    let proof = STANDARD.encode(format!("v={CANARY}"));
    let fill = |line: &&str| {
        let line = line.replace("PLAIN64", &plain).replace("SECRET64", &coded).replace("PROOF64", &proof);
        line.replace("SECRET", CANARY)
    };
    rows.iter().map(|row| row.iter().map(fill).collect()).collect()
}

/// The login by every mechanism: its name first, then a message.
fn by_mechanism(protocol: &str) -> Vec<Vec<String>> {
    let plain = STANDARD.encode(format!("\0alice\0{CANARY}"));
    // With these, the message is a name.
    let named = ["ANONYMOUS", "EXTERNAL", "OTP"];
    let names = imapscope::grammar::mechanisms().iter().map(|it| it.name.replace('*', "SHA-1"));
    let names = names.filter(|name| !named.contains(&name.as_str()));
    let line = |name: String| match protocol {
        "imap" => vec![format!("a1 AUTHENTICATE {name}"), plain.clone()],
        "smtp" | "lmtp" | "pop3" => vec![format!("AUTH {name}"), plain.clone()],
        "managesieve" => vec![format!("AUTHENTICATE \"{name}\""), format!("\"{plain}\"")],
        "nntp" => vec![format!("AUTHINFO SASL {name}"), plain.clone()],
        _ => vec![format!("AUTHENTICATE {name}"), format!("AUTHENTICATE {plain}")],
    };
    names.map(line).collect()
}

/// A whole session with this login.
fn session(manners: &Manners, login: &[String]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut say = |client: &str, server: &str| {
        if !client.is_empty() {
            steps.push(c(format!("{client}\r\n")));
        }
        steps.push(s(format!("{server}\r\n")));
    };
    manners.opening.iter().for_each(|(client, server)| say(client, server));
    for (at, part) in login.iter().enumerate() {
        let usual = if at + 1 == login.len() { manners.yes } else { manners.go };
        let (part, reply) = part.split_once(" => ").unwrap_or((part, usual));
        say(part, reply);
    }
    manners.after.iter().for_each(|(client, server)| say(client, server));
    steps
}

/// The session with each of its contexts: whole, without each of its beginnings, without each of its texts, with each reply of
/// the server turned into a refusal.
fn contexts(manners: &Manners, steps: &[Step]) -> Vec<Vec<Step>> {
    let mut all = vec![steps.to_vec()];
    all.extend((1..steps.len()).map(|from| steps[from..].to_vec()));
    for at in 0..steps.len() {
        let mut less = steps.to_vec();
        less.remove(at);
        all.push(less);
        if steps[at].0 == Peer::Server {
            let mut refused = steps.to_vec();
            refused[at] = s(format!("{}\r\n", manners.no));
            all.push(refused);
        }
    }
    all
}

/// The canary in capitals, and what base64 makes of it behind none, one or two other bytes, in capitals too.
fn needles() -> Vec<Vec<u8>> {
    let shifted = |by: usize| {
        let text = STANDARD.encode([&b"xx"[..by], CANARY.as_bytes()].concat());
        text[(by * 8).div_ceil(6)..(by + CANARY.len()) * 8 / 6].to_ascii_uppercase().into_bytes()
    };
    vec![CANARY.to_ascii_uppercase().into_bytes(), shifted(0), shifted(1), shifted(2)]
}

/// True if five bytes of a needle stand in these bytes, in any case.
fn leaks(needles: &[Vec<u8>], bytes: &[u8]) -> bool {
    let upper = bytes.to_ascii_uppercase();
    needles.iter().flat_map(|it| it.windows(5)).any(|it| memchr::memmem::find(&upper, it).is_some())
}

fn has(needles: &[Vec<u8>], steps: &[Step]) -> bool {
    steps.iter().any(|(_, bytes)| leaks(needles, bytes))
}

#[track_caller]
fn clean(needles: &[Vec<u8>], what: &str, shown: &str, steps: &[Step]) {
    let line = |(from, bytes): &Step| format!("  {}: {}\n", from.word(), bytes.escape_ascii());
    let sent = || steps.iter().map(line).collect::<String>();
    assert!(!leaks(needles, shown.as_bytes()), "{what}:\n{shown}\nsent as:\n{}", sent());
}

/// All that comes of a file: each output, and what is said of it.
fn read(file: Vec<u8>, kind: Kind, protocol: &str) -> String {
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let Ok(pieces) = foreign::read(Cursor::new(file), kind, "file", Some(protocol)) else { return String::new() };
    let [mut log, mut lines, mut octets, mut recording, mut page, mut packets] = [(); 6].map(|()| Vec::new());
    let mut told = String::new();
    let mut sinks: Vec<Box<dyn Sink + '_>> = vec![
        Box::new(Pretty::new(&mut log, Look { body: Body::All, ..Look::default() })),
        Box::new(Json::new(&mut lines)),
        Box::new(RawStream::new(&mut octets, None)),
        Box::new(Writer::new(&mut recording, Default::default())),
        Box::new(Html::new(&mut page, Default::default())),
        Box::new(Pcapng::new(&mut packets)),
    ];
    let grammar = Grammar::builtin(protocol).expect("it is built in");
    let mut explainer = Explainer::new(grammar, false);
    let mut passages = Passages::new(grammars);
    let mut came = |came: Came| match came {
        Came::Told(text, _) => told.push_str(&format!("{text}\n")),
        Came::Events(mut batch) => explainer.explain(&mut batch, &mut |event| {
            sinks.iter_mut().for_each(|sink| sink.put(event).expect("memory takes all"));
        }),
    };
    pieces.for_each(|piece| passages.take(piece, &mut came));
    passages.finish(&mut came);
    sinks.iter_mut().for_each(|sink| sink.end().expect("memory takes all"));
    drop(sinks);
    let all = [log, lines, octets, recording, page, packets].concat();
    format!("{}{told}", String::from_utf8_lossy(&all))
}

/// A transcript; one of the lines has lost its mark.
fn transcript(steps: &[Step], unmarked: Option<usize>) -> Vec<u8> {
    let mut text = Vec::new();
    for (at, (from, bytes)) in steps.iter().enumerate() {
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            if unmarked != Some(at) {
                text.extend_from_slice(if *from == Peer::Client { b"C: " } else { b"S: " });
            }
            text.extend_from_slice(line);
        }
    }
    text
}

/// A capture without its beginning, or without the segment of one step.
fn capture(steps: &[Step], port: u16, lost: Option<usize>, begun: bool) -> Vec<u8> {
    let server = format!("10.0.0.2:{port}");
    let mut frames = Vec::new();
    let mut next = [1_u32, 1];
    if begun {
        frames.push(segment::ip(CLIENT, &server, &segment::tcp(CLIENT, &server, 0, 0, SYN, b"")));
        frames.push(segment::ip(&server, CLIENT, &segment::tcp(&server, CLIENT, 0, 1, SYN | ACK, b"")));
    }
    for (at, (from, bytes)) in steps.iter().enumerate() {
        let me = from.index();
        let (from, to) = if *from == Peer::Client { (CLIENT, &*server) } else { (&*server, CLIENT) };
        if lost != Some(at) {
            frames.push(segment::ip(from, to, &segment::tcp(from, to, next[me], next[1 - me], ACK, bytes)));
        }
        next[me] += bytes.len() as u32;
    }
    segment::pcap(Spelling::PLAIN, 101, &frames)
}

fn check(manners: &Manners, login: &[String], files: bool) {
    let (protocol, needles) = (manners.protocol, needles());
    let steps = session(manners, login);
    for steps in contexts(manners, &steps) {
        // Without the canary there is nothing to find.
        if !has(&needles, &steps) {
            continue;
        }
        clean(&needles, protocol, &log(protocol, Rules::default(), &steps, usize::MAX), &steps);
    }
    if !files {
        return;
    }
    let port = Grammar::builtin(protocol).expect("it is built in").port;
    for at in (0..steps.len()).filter(|&at| has(&needles, &steps[at..])) {
        let what = |what: &str| format!("{protocol}, {what} at {at}");
        let shown = read(transcript(&steps, Some(at)), Kind::Transcript, protocol);
        clean(&needles, &what("a line without its mark"), &shown, &steps);
        let shown = read(transcript(&steps[at..], None), Kind::Transcript, protocol);
        clean(&needles, &what("a transcript that begins"), &shown, &steps);
        let shown = read(capture(&steps[at..], port, None, false), Kind::Pcap, protocol);
        clean(&needles, &what("a capture that begins"), &shown, &steps);
        let shown = read(capture(&steps, port, Some(at), true), Kind::Pcap, protocol);
        clean(&needles, &what("a capture without the segment"), &shown, &steps);
        // The first segment of a capture is only the end of one.
        let (from, bytes) = &steps[at];
        if !leaks(&needles, bytes) {
            continue;
        }
        for cut in 1..bytes.len() {
            let mut rest = steps[at..].to_vec();
            rest[0] = (*from, bytes[cut..].to_vec());
            let shown = read(capture(&rest, port, None, false), Kind::Pcap, protocol);
            clean(&needles, &what("a capture that begins within a line"), &shown, &rest);
        }
    }
}

/// Fails if the canary is in anything that comes of a capture of these steps.
#[track_caller]
pub fn is_clean(file: Vec<u8>, protocol: &str, what: &str, steps: &[Step]) {
    clean(&needles(), what, &read(file, Kind::Pcap, protocol), steps);
}

/// All sessions with a login of this file: protocol, name, steps.
pub fn sessions() -> Vec<(&'static str, String, Vec<Step>)> {
    let of = |manners: &'static Manners| {
        logins(manners.protocol)
            .into_iter()
            .map(|login| (manners.protocol, format!("{}: {login:?}", manners.protocol), session(manners, &login)))
    };
    MANNERS.iter().flat_map(of).collect()
}

fn check_all(protocol: &str) {
    let manners = MANNERS.iter().find(|it| it.protocol == protocol).expect("it is there");
    logins(protocol).iter().for_each(|login| check(manners, login, true));
    // LMTP logs in as SMTP does.
    if protocol != "lmtp" {
        by_mechanism(protocol).iter().for_each(|login| check(manners, login, false));
    }
}

#[test]
fn imap() {
    check_all("imap");
}

#[test]
fn smtp() {
    check_all("smtp");
}

#[test]
fn lmtp() {
    check_all("lmtp");
}

#[test]
fn pop3() {
    check_all("pop3");
}

#[test]
fn managesieve() {
    check_all("managesieve");
}

#[test]
fn nntp() {
    check_all("nntp");
}

#[test]
fn irc() {
    check_all("irc");
}

/// The other side of it: what cannot be a secret is shown, in the same contexts.
#[test]
fn a_healthy_session_is_shown() {
    for manners in &MANNERS {
        for login in logins(manners.protocol).iter().take(1) {
            let steps = session(manners, login);
            let shown = log(manners.protocol, Rules::default(), &steps, usize::MAX);
            for (client, server) in manners.opening.iter().chain(manners.after) {
                for line in [client, server] {
                    let last = line.lines().last().unwrap_or_default().trim_start_matches(":irc ");
                    assert!(shown.contains(last.trim_matches('"')), "{}: {last}\n{shown}", manners.protocol);
                }
            }
        }
    }
}

/// The findings against a peer in a capture, and how often its log says that something is missing.
fn blamed(file: Vec<u8>, protocol: &str) -> (Vec<String>, usize) {
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let pieces = foreign::read(Cursor::new(file), Kind::Pcap, "file", Some(protocol)).expect("it is a capture");
    let mut explainer = Explainer::new(Grammar::builtin(protocol).expect("it is built in"), false);
    let (mut found, mut said) = (Vec::new(), 0);
    let mut passages = Passages::new(grammars);
    let mut came = |came: Came| {
        let Came::Events(mut batch) = came else { return };
        explainer.explain(&mut batch, &mut |event| {
            said += usize::from(match &event.event.what {
                What::Gap { .. } => true,
                What::Opened(opened) => opened.middle.is_some(),
                _ => false,
            });
            let blames = event
                .notes
                .iter()
                .filter(|note| matches!(note.kind, NoteKind::Finding(Culprit::Client | Culprit::Server)));
            found.extend(blames.map(|note| note.text.clone()));
        });
    };
    pieces.for_each(|piece| passages.take(piece, &mut came));
    passages.finish(&mut came);
    (found, said)
}

/// A beginning that is missing from a capture of a session without a fault is nobody's fault, and the log says once that it is missing.
#[test]
fn a_beginning_that_is_missing_is_blamed_on_nobody() {
    for manners in &MANNERS {
        let port = Grammar::builtin(manners.protocol).expect("it is built in").port;
        for login in logins(manners.protocol) {
            let steps = session(manners, &login);
            // Some of the logins are mistakes.
            if !blamed(capture(&steps, port, None, true), manners.protocol).0.is_empty() {
                continue;
            }
            for at in 1..steps.len() {
                let late = blamed(capture(&steps[at..], port, None, false), manners.protocol);
                assert_eq!(late, (Vec::new(), 1), "{}: {login:?} without its first {at}", manners.protocol);
            }
        }
    }
}
