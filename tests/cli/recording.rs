//! Recording and reading as a user does it: `-w`, `imapscope read` with all its flags, what goes wrong, and what must be there
//! when the program is killed.

use std::fs;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;

use crate::program::scope::{self, answer, line};
use crate::program::{Started, imapscope, lines, output, refused, run, text, until};

/// Runs what must go well; returns what is shown.
fn shown(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Reads without a fault.
pub fn read(arguments: &[&str]) -> String {
    let arguments = [&["read"], arguments].concat();
    let output = run(&arguments);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{arguments:?}");
    text(&output.stdout)
}

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

pub fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A proxy with its standard output and error, in front of a server that answers every line with OK.
pub fn proxy(flags: &[&str]) -> (Started, SocketAddr, Receiver<String>, Receiver<String>) {
    let server = scope::server("* OK [CAPABILITY IMAP4rev1] hi\r\n", |line| answer(line, "OK done"));
    let route = format!("127.0.0.1:0=imap://{server}");
    let arguments = [&["proxy", &route], flags].concat();
    let child = imapscope(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let (log, said) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let (log, said) = (lines(log), lines(said));
    let line = until(&said, "listening on").pop().expect("a line");
    (Started(child), scope::listening(&line, server), log, said)
}

/// A client that sends commands and waits for the answer to each.
pub fn talk(address: SocketAddr, commands: &[&str]) -> TcpStream {
    let mut stream = scope::connect(address);
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    line(&mut reader);
    for command in commands {
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("it is read");
        line(&mut reader);
    }
    stream
}

/// 2026-03-02T10:00:00Z, in seconds.
const TEN: u64 = 1_772_445_600;

/// A recording of two connections, made by hand: something happens every second from ten o'clock on.
pub fn made() -> String {
    let opened = |route: u32| {
        format!(
            r#""event":{{"opened":{{"protocol":"imap","form":"imap","client":"127.0.0.1:5000{route}","server":"imap://one.example.org:143","route":{{"number":1,"written":"imap://one.example.org"}},"edit":[false,false],"rules":[]}}}}"#
        )
    };
    let closed = r#""event":{"closed":{"by":{"peer":"client"},"why":null,"received":[20,40],"sent":[40,20],"inflated":[[0,0],[0,0]]}}"#;
    let line = |frame: u32, state: &str, text: &str| format!(r#""frame":{frame},"state":"{state}","line":"{text}""#);
    let answer = |frame: u32, text: &str| format!(r#"{},"answers":{}"#, line(frame, "selected", text), frame - 1);
    let events = [
        (1, "client", opened(1)),
        (1, "server", line(1, "greeting", "* PREAUTH one")),
        (2, "client", opened(2)),
        (2, "server", line(1, "greeting", "* PREAUTH two")),
        (1, "client", line(2, "authenticated", "a1 SELECT INBOX")),
        (1, "server", answer(3, "a1 OK selected one")),
        (2, "client", line(2, "authenticated", "b1 NOOP")),
        (2, "server", answer(3, "b1 OK idle two")),
        (1, "client", line(4, "selected", "a2 CHECK")),
        (1, "server", answer(5, "a2 NO checked one")),
        (1, "client", closed.to_owned()),
        (2, "client", closed.to_owned()),
    ];
    let head = r#"{"imapscope":1,"program":"0.1.0","routes":[],"protocols":{"imap":"imap"},"secrets":false}"#;
    let mut all = head.to_owned() + "\n";
    for (second, (conn, from, rest)) in events.iter().enumerate() {
        let at = TEN + second as u64;
        all += &format!("{{\"at\":{at}000000000,\"conn\":{conn},\"from\":\"{from}\",{rest}}}\n");
    }
    all
}

pub fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> String {
    let path = path(folder, name);
    fs::write(&path, content).expect("a file");
    path
}

/// Lines of a transcript that lack their mark may be a part of a login: nothing of them is quoted, anonymised or not.
#[test]
fn what_is_said_of_a_file_quotes_nothing_of_it() {
    let folder = folder();
    let (pasted, damaged) = (path(&folder, "pasted.txt"), path(&folder, "damaged.imapscope"));
    fs::write(
        &pasted,
        "S: * OK ready\na1 LOGIN alice kanarie77\nS: a1 OK in\n* remark kanarie77\nC: a2 AUTHENTICATE PLAIN\nS: +\n\
         AGFsaWNlAGthbmFyaWU3Nw==\nS: a2 OK in\n",
    )
    .expect("a file");
    fs::write(
        &damaged,
        "{\"imapscope\":9,\"program\":\"kanarie77\",\"protocols\":{\"imap\":\"imap\"}}\n{\"at\":\"kanarie77\"}\n\
         {\"at\":1,\"conn\":1,\"from\":\"kanarie77\"}\n{\"at\":1,\"conn\":1,\"from\":\"client\",\"event\":\"kanarie77\"}\nkanarie77\n",
    )
    .expect("a file");
    for (file, said) in
        [(&pasted, "line 2: 24 bytes without a mark; expected \"C: \" or \"S: \""), (&damaged, "expected")]
    {
        for flags in [&[][..], &["--anonymise"], &["-o", "json"]] {
            let output = run(&[&["read", file.as_str()], flags].concat());
            let all = text(&output.stdout) + &text(&output.stderr);
            assert!(all.contains(said) && !all.contains("kanarie") && !all.contains("hbmFya"), "{all}");
        }
    }
}

#[test]
fn what_was_recorded_is_shown_as_it_was() {
    let folder = folder();
    let file = path(&folder, "demo");
    for flags in [
        &[][..],
        &["--color", "always"],
        &["--time", "delta"],
        &["--time", "epoch"],
        &["--time", "iso"],
        &["--time", "none", "--body", "all"],
        &["-f", "command == FETCH"],
    ] {
        let live = shown(&[&["demo", "-w", &file, "--force"], flags].concat());
        assert!(live.lines().count() > 10, "{live}");
        assert_eq!(read(&[&[file.as_str()], flags].concat()), live, "{flags:?}");
        // The recording has everything, whatever was shown.
        assert!(read(&[&file]).contains("LOGOUT"));
        // And a recording of it is the same, but for nothing.
        let copy = path(&folder, "copy");
        assert_eq!(read(&[&file, "-w", &copy, "--force", "-o", "pretty"]), read(&[&file]));
        assert_eq!(fs::read(&copy).expect("it is there"), fs::read(&file).expect("it is there"));
    }
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(read(&[&file, "-o", &format!("record:{}", path(&folder, "x"))]), "", "only what was asked for");
    assert!(shown(&["demo", "-w", &file, "--force", "-o", &format!("pretty:{}", path(&folder, "log"))]).is_empty());
}

#[test]
fn secrets_that_were_recorded_are_shown_only_on_demand() {
    let folder = folder();
    let (open, hidden, copy) = (path(&folder, "open"), path(&folder, "hidden"), path(&folder, "copy"));
    let live = shown(&["demo", "--time", "none", "--show-secrets", "-w", &open]);
    let plain = shown(&["demo", "--time", "none", "-w", &hidden]);
    let word = live.lines().find_map(|line| line.split_once("pass=")).expect("a password is shown").1;
    let word = word.trim_matches('"');
    assert!(word.len() > 4 && !plain.contains(word), "{word}");
    // In the line itself, too, and as a literal.
    assert!(live.lines().any(|line| line.contains(" LOGIN ") && line.contains(word)), "{live}");
    let talk = file(&folder, "talk", "S: * OK hi\nC: a LOGIN bob {8}\nS: + go\nC: hunter22\nS: a OK in\n");
    assert!(read(&[&talk]).contains("<hidden 8 octets>"));
    let told = read(&[&talk, "--show-secrets"]);
    assert!(told.contains("8 octets: \"hunter22\"") && !told.contains("<hidden"), "{told}");
    assert!(fs::read_to_string(&open).expect("it is there").contains(word));
    assert!(!fs::read_to_string(&hidden).expect("it is there").contains(word));
    assert!(read(&[&open, "--show-secrets"]).contains(word));
    let again = read(&[&open, "-w", &copy, "-o", "pretty"]);
    assert!(!again.contains(word) && again.contains("<hidden>"), "{again}");
    assert!(!fs::read_to_string(&copy).expect("it is there").contains(word));
    let never = read(&[&hidden, "--show-secrets"]);
    assert!(never.contains("<hidden>"), "what is not there cannot be shown: {never}");
}

#[test]
fn what_was_shown_is_in_the_recording_when_the_program_is_killed() {
    let folder = folder();
    let file = path(&folder, "killed");
    for commands in [1, 20] {
        let (mut scope, address, log, _) = proxy(&["-w", &file, "--force"]);
        let commands: Vec<String> = (0..commands).map(|nth| format!("t{nth} NOOP")).collect();
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        let _client = talk(address, &commands);
        let mut seen = until(&log, "t0 OK");
        scope.signal("-KILL");
        assert_eq!(scope.code(), None, "a signal ended it");
        seen.extend(log.iter());
        let output = run(&["read", &file]);
        let again = text(&output.stdout);
        let again: Vec<&str> = again.lines().collect();
        assert!(again.len() >= seen.len(), "{}", text(&output.stderr));
        assert_eq!(again[..seen.len()], seen[..], "{} commands", commands.len());
    }
}

#[test]
fn a_recording_that_cannot_be_written_is_told_at_once_and_the_relay_goes_on() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let (mut scope, address, log, said) = proxy(&["-w", "/dev/full"]);
    let _one = talk(address, &["a NOOP"]);
    let told = until(&said, "error: output record:/dev/full").pop().expect("a line");
    assert!(told.contains("No space left") && told.contains("the relay goes on without it"), "{told}");
    until(&log, "a OK");
    let _two = talk(address, &["b NOOP", "c NOOP"]);
    until(&log, "c OK");
    scope.signal("-INT");
    assert_eq!(scope.code(), Some(1));
    assert!(said.iter().all(|line| !line.contains("/dev/full")), "it is told once");
}

/// The texts of the hand-made recording that are shown.
fn texts(arguments: &[&str]) -> Vec<String> {
    let words = ["PREAUTH one", "PREAUTH two", "a1 SELECT", "a1 OK", "b1 NOOP", "b1 OK", "a2 CHECK", "a2 NO"];
    let log = read(arguments);
    // Remarks tell of commands, too.
    let log: String = log.lines().filter(|line| !line.trim_start().starts_with('|')).collect();
    words.iter().filter(|word| log.contains(**word)).map(|word| (*word).to_owned()).collect()
}

#[test]
fn parts_are_selected() {
    let folder = folder();
    let path = file(&folder, "made", &made());
    let texts = |flags: &[&str]| texts(&[&[path.as_str()], flags].concat());
    let all = texts(&[]);
    assert_eq!(all.len(), 8);
    assert_eq!(texts(&["--conn", "2"]), ["PREAUTH two", "b1 NOOP", "b1 OK"]);
    assert_eq!(texts(&["--conn", "1", "--conn", "2"]), all);
    assert_eq!(texts(&["--side", "client"]), ["a1 SELECT", "b1 NOOP", "a2 CHECK"]);
    assert_eq!(texts(&["--side", "server", "--conn", "2"]), ["PREAUTH two", "b1 OK"]);
    // What a reply answers is known, though the command is not shown.
    let replies = read(&[&path, "--side", "server", "-f", "command == SELECT"]);
    assert!(replies.contains("a1 OK selected one") && !replies.contains("S: selected a2 NO"), "{replies}");
    assert!(replies.contains("answers a1 SELECT, 1.00 s") || replies.contains("answers a1 SELECT"), "{replies}");
    let late = ["a2 CHECK", "a2 NO"];
    for since in
        ["8s", "10:00:08", "2026-03-02T10:00:08", "2026-03-02T10:00:08Z", "2026-03-02T11:00:08+01:00", "8000ms"]
    {
        assert_eq!(texts(&["--since", since]), late, "{since}");
    }
    for until in ["3s", "10:00:03", "2026-03-02T10:00:03", "2026-03-02T10:00:03Z"] {
        assert_eq!(texts(&["--until", until]), ["PREAUTH one", "PREAUTH two"], "{until}");
    }
    assert_eq!(texts(&["--since", "4s", "--until", "10:00:05"]), ["a1 SELECT", "a1 OK"]);
    assert_eq!(texts(&["--since", "4s", "--conn", "2", "--side", "client"]), ["b1 NOOP"]);
    assert_eq!(texts(&["-f", "status == NO"]), ["a2 NO"]);
    // A connection of which something is shown is introduced, and the summary stays whole.
    let log = read(&[&path, "--since", "8s"]);
    assert!(log.contains("127.0.0.1:50001") && log.contains("octets from the client"), "{log}");
    for (option, wrong) in [("--since", "soon"), ("--until", "25:00:00"), ("--since", "1969-13-01T00:00:00Z")] {
        assert!(refused(&["read", &path, option, wrong]).contains(option));
    }
    assert_eq!(run(&["read", &path, "--side", "nobody"]).status.code(), Some(2));
    assert!(refused(&["read", &path, "-f", "mood == good"]).contains("mood"));
}

#[test]
fn what_is_asked_for_and_is_not_there_is_told() {
    let folder = folder();
    let path = file(&folder, "made", &made());
    let ends = |flags: &[&str]| {
        let output = run(&[&["read", &path], flags].concat());
        (text(&output.stdout), text(&output.stderr), output.status.code())
    };
    let (log, told, code) = ends(&["--conn", "99", "--conn", "2"]);
    assert!(log.contains("b1 NOOP") && !log.contains("a1 SELECT"), "{log}");
    let has = format!("error: --conn 99: there is no connection of this number\n  help: {path} has connections 1, 2\n");
    assert_eq!((told, code), (has, Some(1)));
    let span = |day: &str| format!("{path} goes from {day}T10:00:00 to {day}T10:00:11 (local time)\n");
    for (flags, said) in [
        (["--since", "12s"], "--since 12s: nothing happened then or later"),
        (["--since", "10:00:12"], "--since 10:00:12: nothing happened then or later"),
        (["--since", "3000-01-01T00:00:00Z"], "--since 3000-01-01T00:00:00Z: nothing happened then or later"),
        (["--until", "09:59:59"], "--until 09:59:59: nothing had happened by then"),
        (["--until", "1969-01-01"], "--until 1969-01-01: nothing had happened by then"),
    ] {
        let told = format!("error: {said}\n  help: {}", span("2026-03-02"));
        assert_eq!(ends(&flags), (String::new(), told, Some(1)), "{flags:?}");
    }
    let (_, told, code) = ends(&["--since", "8s", "--until", "3s"]);
    assert!(
        told.contains("--since 8s: this is later than --until, and nothing is between") && code == Some(1),
        "{told}"
    );
    // That nothing of what is there is so, or happened in a while, is an answer.
    for flags in [&["-f", "tag == zz"][..], &["--since", "1500ms", "--until", "1600ms"], &["--since", "1969-01-01"]] {
        let (_, told, code) = ends(flags);
        assert_eq!((told, code), (String::new(), Some(0)), "{flags:?}");
    }
    let empty = file(&folder, "empty", made().lines().next().expect("the first line"));
    assert!(text(&run(&["read", &empty, "--conn", "1"]).stderr).contains("has none at all"));
}

#[test]
fn what_is_selected_is_a_recording_again() {
    let folder = folder();
    let (path, part) = (file(&folder, "made", &made()), path(&folder, "part"));
    for flags in [&["--conn", "2"][..], &["--since", "4s"], &["--side", "client"], &["--until", "6s", "--conn", "1"]] {
        assert_eq!(read(&[&[path.as_str(), "-o", &format!("record:{part}"), "--force"], flags].concat()), "");
        let (again, direct) = (texts(&[&part]), texts(&[&[path.as_str()], flags].concat()));
        assert_eq!(again, direct, "{flags:?}");
        assert!(!again.is_empty());
    }
}

#[test]
fn files_of_one_recording_are_read_together() {
    let folder = folder();
    let file = path(&folder, "parts");
    let live = shown(&["demo", "-w", &file, "--rotate", "1k"]);
    let mut files = vec![file.clone()];
    while Path::new(&format!("{file}.{}", files.len())).exists() {
        files.push(format!("{file}.{}", files.len()));
    }
    assert!(files.len() > 2, "{files:?}");
    let all: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(read(&all), live);
    for file in &all {
        assert!(!read(&[file]).is_empty(), "each can be read alone");
        assert_eq!(fs::metadata(file).expect("it is there").permissions().mode() & 0o777, 0o600);
    }
    // Joined, as by cat.
    let joined = |parts: &[&str]| {
        let octets = parts.iter().map(|part| fs::read_to_string(part).expect("it is there"));
        run(&["read", &self::file(&folder, "joined", &octets.collect::<String>())])
    };
    let whole = joined(&all);
    assert_eq!((text(&whole.stdout), text(&whole.stderr), whole.status.code()), (live, String::new(), Some(0)));
    let torn = joined(&[all[0], all[2]]);
    assert!(text(&torn.stderr).contains("another recording begins here"), "{}", text(&torn.stderr));
    assert_eq!(torn.status.code(), Some(1));
    // Out of order, or another recording.
    let output = run(&["read", all[0], all[2]]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains(&format!("{}: this is not the next file", all[2])),
        "{}",
        text(&output.stderr)
    );
    // A file that a longer recording of before has left there, with secrets that this one would not have.
    let stale = fs::read_to_string(all[1]).expect("it is there").replace("\"secrets\":false", "\"secrets\":true");
    let stale = [stale, fs::read_to_string(all[1]).expect("it is there").replace("\"began\":1", "\"began\":2")];
    for stale in stale {
        let stale = self::file(&folder, "stale", &stale);
        let output = run(&["read", all[0], &stale]);
        assert!(text(&output.stderr).contains("this is not the next file"), "{}", text(&output.stderr));
        let joined = joined(&[all[0], &stale]);
        assert_eq!(text(&joined.stdout), text(&output.stdout), "nothing of it is shown");
        assert_eq!((output.status.code(), joined.status.code()), (Some(1), Some(1)));
    }
    assert!(refused(&["proxy", "imap://127.0.0.1", "--rotate", "3k"]).contains("--rotate"));
    assert!(refused(&["demo", "-o", "record", "--rotate", "3k"]).contains("--rotate"));
}

#[test]
fn what_is_read_is_not_written_over() {
    let folder = folder();
    let recorded = made();
    let (kept, other) = (file(&folder, "kept", &recorded), file(&folder, "other", &recorded));
    let (soft, hard) = (path(&folder, "soft"), path(&folder, "hard"));
    symlink(&kept, &soft).expect("a link");
    fs::hard_link(&kept, &hard).expect("a link");
    for output in [&kept, &soft, &hard] {
        for kind in ["record", "pretty", "json", "html", "pcapng"] {
            let told = refused(&["read", &kept, "-o", &format!("{kind}:{output}")]);
            assert!(told.contains("this is the file that is read"), "{told}");
        }
    }
    refused(&["read", &kept, "-o", "pretty", "-w", &kept]);
    refused(&["read", &other, &kept, "-w", &kept]);
    let mut piped = imapscope(&["read", "-", "-w", &kept]);
    let output = output(piped.stdin(fs::File::open(&kept).expect("it is there")));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&kept).expect("it is there"), recorded);
    let (said, heard) = (file(&folder, "raw.in", "1 a1 NOOP\r\n"), file(&folder, "raw.out", "2 a1 OK done\r\n"));
    for (name, output) in [(&said, &heard), (&heard, &said), (&folder.path().display().to_string(), &heard)] {
        refused(&["read", name, "--protocol", "imap", "-o", &format!("pretty:{output}")]);
    }
    // A file that is not read may be any.
    read(&[&kept, "-w", &path(&folder, "new")]);
}

#[test]
fn what_is_no_recording_is_refused_before_anything_is_written() {
    let folder = folder();
    let kept = file(&folder, "kept", "as it was");
    let other = file(&folder, "other", "* OK [CAPABILITY IMAP4rev1] hi\n");
    let (empty, missing) = (file(&folder, "empty", ""), path(&folder, "missing"));
    let inside = folder.path().display().to_string();
    let output = format!("pretty:{kept}");
    for (name, said) in [
        (&other, "it is not known what this is"),
        (&empty, "the file is empty"),
        (&missing, "the file cannot be read"),
        (&inside, "raw log"),
    ] {
        let told = refused(&["read", name, "-o", &output]);
        assert!(told.contains(name.as_str()) && told.contains(said), "{told}");
        assert!(told.lines().count() > 1 || told.contains("try"), "there is a remedy: {told}");
    }
    assert_eq!(fs::read_to_string(&kept).expect("it is there"), "as it was");
    let unknown = file(&folder, "unknown", &made().replace("{\"imap\":\"imap\"}", "{\"gopher\":\"line\"}"));
    assert!(refused(&["read", &unknown]).contains("--grammar"));
    // What is damaged is shown as far as it goes, and told.
    let damaged = file(&folder, "damaged", &made().replace("\"b1 NOOP\"", "b1"));
    let output = run(&["read", &damaged]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with(&format!("{damaged}:8: column ")), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("a2 NO checked one"));
}

#[test]
fn what_others_have_written_is_read_too() {
    let folder = folder();
    let transcript = file(
        &folder,
        "talk",
        "S: * OK [CAPABILITY IMAP4rev1 IDLE] hi\nC: a1 LOGIN bob hunter22\nS: a1 OK done\nC: a2 IDLE\nS: + idling\n",
    );
    let said = read(&[&transcript]);
    assert!(said.contains("LOGIN user=\"bob\" pass=<hidden>") && !said.contains("hunter22"), "{said}");
    assert!(said.contains("its end is not in the file") && said.contains("IDLE       RFC 2177"), "{said}");
    // Without times in the file, none is shown.
    assert!(said.starts_with("#1 == client -> server\n"), "{said}");
    assert!(read(&[&transcript, "--side", "server", "-o", "raw"]).ends_with("a1 OK done\r\n+ idling\r\n"));
    // As a capture, and back.
    let capture = path(&folder, "talk.pcapng");
    read(&[&transcript, "-o", &format!("pcapng:{capture}")]);
    let again = read(&[&capture, "--time", "none"]);
    assert!(again.contains("LOGIN user=\"bob\"") && again.contains("+ idling"), "{again}");
    // As a recording, whose log is the same.
    let recording = path(&folder, "talk.imapscope");
    read(&[&transcript, "-o", &format!("record:{recording}")]);
    assert_eq!(read(&[&recording, "--time", "none"]), said);
    // A raw log, as Dovecot writes it, and its folder.
    let half = file(&folder, "raw.in", "a1 NOOP\r\n");
    file(&folder, "raw.out", "* OK hi\r\na1 OK done\r\n");
    for name in [half, folder.path().display().to_string()] {
        let output = run(&["read", &name]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("answers a1 NOOP"), "{name}");
        assert!(text(&output.stderr).contains("has no times"), "{name}");
    }
    let unnamed = file(&folder, "unnamed", "S: hello\nC: what\nS: well\n");
    let output = run(&["read", &unnamed]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--protocol"), "{}", text(&output.stderr));
    assert!(read(&[&unnamed, "--protocol", "irc"]).contains("hello"));
    assert!(refused(&["read", &transcript, "--protocol", "gopher"]).contains("--protocol"));
    assert!(refused(&["read", &transcript, &recording]).contains("read it by itself"));
    assert!(refused(&["read", &transcript, "--follow"]).contains("--follow"));
}

#[test]
fn what_a_transcript_has_behind_starttls_lies_inside_tls() {
    let folder = folder();
    let swaks = file(
        &folder,
        "swaks.out",
        "=== Trying 127.0.0.1:2525...\n<-  220 mx ESMTP\n -> EHLO x\n<-  250-mx\n<-  250 STARTTLS\n -> STARTTLS\n<-  220 go\n\
         === TLS started with cipher TLSv1.3:TLS_AES_256_GCM_SHA384:256\n ~> EHLO x\n<~  250 mx\n ~> QUIT\n<~  221 bye\n\
         === Connection closed with remote host.\n",
    );
    let output = run(&["read", &swaks]);
    // What the program says of itself is no damage.
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("-- TLS 1.3 with the server, TLS_AES_256_GCM_SHA384\n"), "{said}");
    assert!(said.contains("C~ connect  EHLO x") && said.contains("S~ ready    221 bye"), "{said}");
    assert!(said.contains("gone: STARTTLS (after TLS began)") && !said.contains(" ! "), "{said}");
    // Without times, nothing took any.
    assert!(said.contains("answers QUIT\n") && !said.contains("µs"), "{said}");
    let recording = path(&folder, "swaks.imapscope");
    assert_eq!(run(&["read", &swaks, "-o", &format!("record:{recording}")]).status.code(), Some(0));
    assert_eq!(read(&[&recording, "--time", "none"]), said);
    // Where nothing tells of TLS but the consent; and from the first octet.
    let plain = file(&folder, "plain", "S: * OK hi\nC: a STARTTLS\nS: a OK go\nC: b LOGIN bob secret99\nS: b OK in\n");
    let said = read(&[&plain]);
    assert!(said.contains("-- TLS with the server\n") && said.contains("C~ not-auth b LOGIN bob <hidden>"), "{said}");
    let curl =
        file(&folder, "curl", "* SSL connection using TLSv1.2 / ECDHE-RSA-AES128-GCM-SHA256\n< * OK hi\n> a NOOP\n");
    let said = read(&[&curl]);
    assert!(said.contains("-- TLS 1.2 with the server, ECDHE-RSA-AES128-GCM-SHA256\n"), "{said}");
    assert!(said.contains("S~ greeting * OK hi"), "{said}");
    // A server that refuses begins nothing.
    let refused = file(&folder, "refused", "S: * OK hi\nC: a STARTTLS\nS: a NO not now\nC: b NOOP\n");
    let said = read(&[&refused]);
    assert!(said.contains("C: not-auth b NOOP") && !said.contains("-- TLS"), "{said}");
}

#[test]
fn who_closes_the_pipe_has_read_enough() {
    let folder = folder();
    let path: PathBuf = folder.path().join("long");
    let made = made();
    let line = made.lines().find(|line| line.contains("a2 CHECK")).expect("it is there").to_owned() + "\n";
    fs::write(&path, made.replace(&line, &line.repeat(20_000))).expect("a file");
    let script = "\"$0\" read \"$1\" | head -n 1; echo \"code ${PIPESTATUS[0]}\"";
    let mut shell = Command::new("bash");
    let output = output(shell.args(["-c", script, env!("CARGO_BIN_EXE_imapscope")]).arg(&path));
    let said = text(&output.stdout);
    assert_eq!((said.lines().count(), said.lines().last()), (2, Some("code 0")), "{said}");
    assert_eq!(text(&output.stderr), "", "quietly");
}
