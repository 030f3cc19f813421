//! `--summary`, and what a run of several connections comes to: from recordings and live, in every output.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::process::Stdio;

use crate::program::scope::{self, Scope, answer, line};
use crate::program::{Started, imapscope, lines, run, text, until};

/// 2026-03-02T10:00:00Z, in seconds.
const TEN: u64 = 1_772_445_600;

/// A recording of three connections, of which two are open at once.
fn made() -> String {
    let opened = |conn: u64| {
        format!(
            r#""event":{{"opened":{{"protocol":"imap","form":"imap","client":"127.0.0.1:5000{conn}","server":"imap://one.example.org:143","route":{{"number":1,"written":"imap://one.example.org"}},"edit":[false,false],"rules":[]}}}}"#
        )
    };
    let closed = r#""event":{"closed":{"by":{"peer":"client"},"why":null,"received":[20,40],"sent":[40,20],"inflated":[[0,0],[0,0]]}}"#;
    let line = |frame: u32, state: &str, text: &str| format!(r#""frame":{frame},"state":"{state}","line":"{text}""#);
    let answer = |frame: u32, text: &str| format!(r#"{},"answers":{}"#, line(frame, "authenticated", text), frame - 1);
    let events = [
        (1, "client", opened(1)),
        (1, "server", line(1, "greeting", "* PREAUTH one")),
        (2, "client", opened(2)),
        (2, "server", line(1, "greeting", "* PREAUTH two")),
        (1, "client", line(2, "authenticated", "a1 NOOP")),
        (1, "server", answer(3, "a1 OK idle one")),
        (2, "client", line(2, "authenticated", "b1 NOOP")),
        (2, "server", answer(3, "b1 OK idle two")),
        (1, "client", closed.to_owned()),
        (2, "client", closed.to_owned()),
        (3, "client", opened(3)),
        (3, "server", line(1, "greeting", "* PREAUTH three")),
        (3, "client", closed.to_owned()),
    ];
    let head = r#"{"imapscope":1,"program":"0.1.0","routes":[],"protocols":{"imap":"imap"},"secrets":false}"#;
    let mut all = head.to_owned() + "\n";
    for (second, (conn, from, rest)) in events.iter().enumerate() {
        let at = TEN + second as u64;
        all += &format!("{{\"at\":{at}000000000,\"conn\":{conn},\"from\":\"{from}\",{rest}}}\n");
    }
    all
}

/// What `read` makes of a file with this content.
fn read(content: &str, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made.imapscope");
    fs::write(&path, content).expect("a file");
    let output = run(&[&["read", &path.display().to_string()], flags].concat());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{flags:?}");
    text(&output.stdout)
}

/// Which connections begin and end in a log, in its order.
fn ends(log: &str) -> Vec<&str> {
    let lines = log.lines().map(str::trim_start).filter(|line| line.starts_with('#') && line.contains(" == "));
    lines.map(|line| if line.contains("->") { &line[..4] } else { &line[..2] }).collect()
}

#[test]
fn only_the_ends_of_connections_are_shown_each_with_its_opening() {
    let all = read(&made(), &["--summary", "--time", "none"]);
    assert_eq!(ends(&all), ["#1 =", "#1", "#2 =", "#2", "#3 =", "#3"], "{all}");
    assert!(all.contains("20 octets from the client") && all.contains("NOOP"), "summaries are whole: {all}");
    for absent in ["#1 C:", "#1 S:", "logged in from the start", "answers", "not shown"] {
        assert!(!all.contains(absent), "{absent}: {all}");
    }
    let part = read(&made(), &["--summary", "--time", "none", "--conn", "2"]);
    assert_eq!(ends(&part), ["#2 =", "#2"], "{part}");
    let part = read(&made(), &["--summary", "--time", "none", "-f", "conn != 2 && command == NOOP"]);
    assert_eq!(ends(&part), ["#1 =", "#1", "#3 =", "#3"], "{part}");
    assert!(!part.contains("not shown"), "nothing is said of what --summary leaves out: {part}");
}

/// A program that was killed, or goes on: what the file has is judged all the same, and nobody is accused.
#[test]
fn connections_that_a_recording_does_not_end_are_judged_at_its_end() {
    let mut cut: String = made().lines().take(6).map(|line| format!("{line}\n")).collect();
    cut +=
        &format!("{{\"at\":{}000000000,\"conn\":2,\"from\":\"client\",\"frame\":2,\"line\":\"b1 NOOP\"}}\n", TEN + 30);
    let all = read(&cut, &["--summary", "--time", "none"]);
    assert_eq!(ends(&all), ["#1 =", "#1", "#2 =", "#2"], "{all}");
    for part in [
        "#1 == its end is not in the file after 30.00 s",
        "verdict: waiting: the client for the server's reply to a1 NOOP, since 26.00 s; then the file ends",
        "9 octets from the client, 15 octets from the server",
        "== 2 connections in 30.00 s; 2 have no recorded end",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(!all.contains('!'), "nobody is accused: {all}");
    // A copy is the same, and so is what is left of a part.
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.imapscope").display().to_string();
    read(&cut, &["-o", &format!("record:{copy}")]);
    let copy = fs::read_to_string(&copy).expect("a recording");
    assert_eq!(read(&copy, &[]), read(&cut, &[]));
    let early = read(&made(), &["--until", "10:00:05"]);
    assert!(!early.contains("not in the file"), "the file goes on: {early}");
}

#[test]
fn json_and_pages_have_only_the_ends_and_recordings_everything() {
    let lines = read(&made(), &["--summary", "-o", "json"]);
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<(u64, &str)> =
        lines.iter().filter_map(|line| Some((line["conn"].as_u64()?, line["kind"].as_str()?))).collect();
    let expected = [1, 2, 3].map(|conn| [(conn, "opened"), (conn, "closed")]).concat();
    assert_eq!(kinds, expected);
    let page = read(&made(), &["--summary", "-o", "html"]);
    assert_eq!(page.matches("<li id=e").count(), 6, "{page}");
    assert!(page.contains("NOOP") && page.contains("<section class=conn id=c3"), "accounts are whole: {page}");
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept.imapscope").display().to_string();
    read(&made(), &["--summary", "-w", &kept]);
    let kept = fs::read_to_string(&kept).expect("a recording");
    assert_eq!(kept.lines().count(), made().lines().count());
}

/// The last block of a log.
fn last(log: &str) -> &str {
    log.rsplit_once("\n\n").map_or("", |(_, last)| last)
}

#[test]
fn a_log_of_several_connections_ends_with_what_they_come_to() {
    for flags in [&["--time", "none"][..], &["--time", "none", "--summary"]] {
        let log = read(&made(), flags);
        let run = last(&log);
        assert!(run.trim_start().starts_with("== 3 connections in 12.00 s\n"), "{run}");
        assert!(run.contains("2 commands; 60 bytes from clients, 120 bytes from servers"), "{run}");
        let part = read(&made(), &[&["--conn", "2"], flags].concat());
        assert!(!part.contains("connections in"), "one connection has said all: {part}");
        let part = read(&made(), &[&["--conn", "3", "--conn", "2"], flags].concat());
        assert!(last(&part).contains(" == 2 connections in 10.00 s\n"), "it is of what is shown: {part}");
        let part = read(&made(), &[&["-f", "conn > 1"], flags].concat());
        assert!(last(&part).contains(" == 2 connections in "), "it is of what is shown: {part}");
    }
}

/// A proxy in front of a server that has three ways: it answers, it breaks a rule, it refuses. The last connection is still open when
/// it is interrupted.
fn live(flags: &[&str]) -> String {
    let server = scope::server("* OK [CAPABILITY IMAP4rev1] hi\r\n", |line| match line.split(' ').nth(1) {
        Some("NOOP\r\n") => "zz9 OK whose answer is this?\r\n".to_owned() + &answer(line, "OK done"),
        Some("SELECT") => answer(line, "NO [NONEXISTENT] no such mailbox"),
        Some("LOGOUT\r\n") => "* BYE\r\n".to_owned() + &answer(line, "OK bye"),
        _ => answer(line, "OK done"),
    });
    let scope = Scope::start(server, flags);
    let mut open = None;
    for commands in [&["a LOGIN u p", "b LOGOUT"][..], &["a NOOP"], &["a LOGIN u p", "b SELECT x"], &["a LOGIN u p"]] {
        let mut stream = scope.connect();
        let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
        line(&mut reader);
        for command in commands {
            stream.write_all(format!("{command}\r\n").as_bytes()).expect("it is read");
            while !line(&mut reader).starts_with(&command[..1]) {}
        }
        open = Some(stream);
    }
    let (code, log, said) = scope.interrupt();
    assert_eq!(code, Some(0), "{said}");
    drop(open);
    log
}

#[test]
fn a_recording_ends_with_what_the_live_log_ended_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (kept, json, page) = (path("kept"), path("json"), path("page"));
    let log = live(&["-w", &kept, "-o", "pretty", "-o", &format!("json:{json}"), "-o", &format!("html:{page}")]);
    let run = last(&log);
    assert!(run.contains(" == 4 connections in "), "{run}");
    let at = |part: &str| run.find(part).unwrap_or_else(|| panic!("{part}: {run}"));
    assert!(at("server at fault") < at("refused: ") && at("refused: ") < at("no problems found"), "{run}");
    assert!(at("(#2)") < at("(#3)") && at("(#3)") < at("(#1, #4)"), "{run}");
    let file = fs::read_to_string(&kept).expect("a recording");
    assert_eq!(read(&file, &[]), log);
    let words = |log: &str| last(log).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&read(&file, &["--summary"])), words(&log), "it is the same, whatever lies before");
    let whole = |path: &str| {
        let mut text = String::new();
        fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).expect("it was written");
        text
    };
    let lines = whole(&json);
    assert_eq!(read(&file, &["-o", "json"]), lines);
    let run: serde_json::Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&run["kind"], &run["run"]["kinds"]["server"]), (&"run".into(), &1.into()), "{run}");
    assert_eq!(run["run"]["connections"], 4, "{run}");
    let run = |page: &str| {
        page.split("<section id=run ").nth(1).map(|rest| rest.split("</section>").next().map(str::to_owned))
    };
    assert!(run(&whole(&page)).is_some() && run(&read(&file, &["-o", "html"])) == run(&whole(&page)));
}

/// Ctrl-C ends the reading of a file that grows, and not the program in the middle of it.
#[test]
fn a_recording_that_is_followed_is_summed_up_when_that_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (kept, page) = (path("kept"), path("page"));
    let begun: String = made().lines().take(12).map(|line| format!("{line}\n")).collect();
    fs::write(&kept, &begun).expect("a file");
    let flags = ["read", "--follow", &kept, "--time", "none", "-o", "pretty", "-o", &format!("html:{page}")];
    let mut child = Started(imapscope(&flags).stdout(Stdio::piped()).spawn().expect("it starts"));
    let log = lines(child.0.stdout.take().expect("a pipe"));
    let mut seen = until(&log, "127.0.0.1:50003");
    child.signal("-INT");
    seen.extend(log.iter());
    assert_eq!(child.code(), Some(0));
    let end = seen.iter().position(|line| line.contains("== 3 connections in ")).expect("it is told");
    assert!(seen[end].contains("; 1 has no recorded end"), "{seen:?}");
    assert!(fs::read_to_string(&page).expect("a page").contains("<section id=run "));
}
