//! `lint`, and `--deny` of `proxy` and `read`, as a user runs them: each exit code, form and flag.

use std::fs;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use crate::program::scope::{Scope, line, server};
use crate::program::{imapscope, output, refused, run, text};

/// A session in which nothing is wrong.
const FINE: &str = "\
S: * OK [CAPABILITY IMAP4rev1 IDLE] hi
C: a1 LOGIN alice geheim77
S: a1 OK done
C: a2 LOGOUT
S: * BYE bye
S: a2 OK done
";

/// Two violations of the server's (a tag that nobody used, twice), and one of the client's.
const WRONG: &str = "\
S: * OK [CAPABILITY IMAP4rev1] hi
C: a1 LOGIN alice geheim77
S: a1 OK [CAPABILITY IMAP4rev1] done
C: b1 SELECT INBOX
S: * 3 EXISTS
S: b1 OK done
C: a2 MOVE 1 x
S: a7 OK what
S: a2 OK done
C: a3 NOOP
S: a8 OK what
S: a3 OK done
C: a4 LOGOUT
S: * BYE bye
S: a4 OK done
";

/// Files in a folder that lasts as long as it.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("a file");
        }
        Files(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Lints these files, with these flags: exit code, standard output, standard error.
    fn lint(&self, names: &[&str], flags: &[&str]) -> (Option<i32>, String, String) {
        let paths: Vec<String> = names.iter().map(|name| self.path(name)).collect();
        let mut arguments = vec!["lint"];
        arguments.extend(paths.iter().map(String::as_str));
        arguments.extend(flags);
        let output = run(&arguments);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn json(&self, names: &[&str], flags: &[&str]) -> Value {
        let (_, out, err) = self.lint(names, &[flags, &["--format", "json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
    }
}

/// The checks of a report.
fn checks(report: &Value) -> Vec<&str> {
    report["findings"].as_array().expect("a list").iter().filter_map(|it| it["check"].as_str()).collect()
}

#[test]
fn each_exit_code_has_its_reason() {
    let files =
        Files::new(&[("fine.txt", FINE), ("wrong.txt", WRONG), ("empty.txt", ""), ("else.txt", "\x01\x02what\n")]);
    for (names, flags, code, last) in [
        (&["fine.txt"][..], &[][..], 0, "exit 0: nothing found"),
        (&["wrong.txt"], &[], 3, "exit 3: 3 findings denied (--deny must)"),
        (&["wrong.txt"], &["--deny", "should"], 3, "exit 3: 3 findings denied (--deny should)"),
        (&["wrong.txt"], &["--deny", "none"], 0, "exit 0: nothing denied (--deny none)"),
        (&["wrong.txt"], &["--deny", "bare-lf"], 0, "exit 0: nothing denied (--deny bare-lf)"),
        (
            &["wrong.txt"],
            &["--deny", "bare-lf,tag-unknown"],
            3,
            "exit 3: 2 findings denied (--deny bare-lf,tag-unknown)",
        ),
        (&["wrong.txt"], &["--allow", "tag-unknown,capability-not-offered"], 0, "exit 0: nothing denied (--deny must)"),
        (&["empty.txt"], &[], 1, "exit 1: 1 file not read, or not all of it"),
        (&["else.txt", "fine.txt"], &[], 1, "exit 1: 1 file not read, or not all of it"),
        (
            &["nowhere.txt", "wrong.txt"],
            &[],
            1,
            "exit 1: 1 file not read, or not all of it; 3 findings denied (--deny must)",
        ),
    ] {
        let (found, out, err) = files.lint(names, flags);
        assert_eq!((found, out.lines().last()), (Some(code), Some(last)), "{names:?} {flags:?}: {out}{err}");
        assert_eq!(code == 1, err.contains("error: "), "{err}");
    }
    let (code, out, err) = files.lint(&["fine.txt", "nowhere.txt", "wrong.txt"], &[]);
    assert!(code == Some(1) && err.contains("nowhere.txt") && out.contains("not read, or not all of it: "), "{out}");
    assert!(
        out.contains("wrong.txt#1") && out.contains("3 files, 2 connections: 3 must"),
        "the others are judged: {out}"
    );
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_read() {
    let files = Files::new(&[("fine.txt", FINE), ("base.json", "{}")]);
    let fine = files.path("fine.txt");
    let base = files.path("base.json");
    for (flags, said) in [
        (&["--deny", "tag-unknwon"][..], "did you mean tag-unknown?"),
        (&["--deny", "mustt"], "did you mean must?"),
        (&["--allow", "bare-fl"], "did you mean bare-lf?"),
        (&["--allow", "must"], "unknown check \"must\""),
        (&["--deny", "none,must"], "none excludes everything else"),
        (&["--deny", "bare-cr", "--allow", "bare-cr"], "denied and allowed"),
        (&["--baseline", "/nowhere/at/all"], "--baseline /nowhere/at/all: the file cannot be read"),
        (&["--baseline", &base], "not a baseline"),
        (&["--write-baseline", "/nowhere/at/all"], "--write-baseline /nowhere/at/all"),
        (&["--write-baseline", &fine], "the file exists and is not a baseline"),
        (&["--format", "xml"], "sarif"),
        (&["--protocol", "imapp"], "--protocol"),
        (&["--state", "selectedd"], "did you mean selected?"),
        (&["-f", "check == bare-rc"], "bare-cr"),
        (&["--list"], "cannot be used with"),
    ] {
        let said_of_it = refused(&[&["lint", &fine], flags].concat());
        assert!(said_of_it.contains(said), "{flags:?}: {said_of_it}");
    }
    assert!(refused(&["lint"]).contains("FILE"));
    assert!(refused(&["lint", "--list", "--format", "sarif"]).contains("--format json"));
    for (verb, place) in [("proxy", "imap://h"), ("read", fine.as_str())] {
        assert!(refused(&[verb, "--deny", "wombat", place]).contains("lint --list"), "{verb}");
        assert!(refused(&[verb, "--allow", "bare-cr", place]).contains("requires --deny"), "{verb}");
        assert!(refused(&[verb, "--baseline", &base, place]).contains("not a baseline"), "{verb}");
    }
}

#[test]
fn a_report_says_what_is_wrong_where_and_what_to_do() {
    let files = Files::new(&[("wrong.txt", WRONG)]);
    let (_, out, _) = files.lint(&["wrong.txt"], &[]);
    for part in [
        "must: a rule with MUST, or the grammar, is broken\n",
        "\n  tag-unknown  RFC 9051 section 2.2.2, 2 times\n    server: ",
        "wrong.txt#1\n    | S: a7 OK what\n",
        "\n    why    The client waits for its own tag.",
        "\n    fix    server: Answer each command once, with its tag.\n",
        "\n    also   1 more\n",
        "\n  capability-not-offered  RFC 9051 section 6.1.1\n    client: ",
        "\n    | C: a2 MOVE 1 x\n",
        "\n    try    --add-cap NAME\n",
        "1 file, 1 connection: 3 must, 0 should, 0 quirk\n",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let client = out.find("fix    client: Use only").expect("of the culprit");
    assert!(out.find("fix    server: List").is_some_and(|server| client < server), "the culprit's side first: {out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80 || line.contains("wrong.txt")), "{out}");
    assert!(!out.contains("geheim77") && !out.contains('\x1b'));
    let (_, coloured, _) = files.lint(&["wrong.txt"], &["--color", "always"]);
    assert!(coloured.contains("\x1b["), "{coloured}");
}

#[test]
fn what_is_allowed_is_marked_and_not_removed() {
    let files = Files::new(&[("wrong.txt", WRONG)]);
    let (code, out, _) = files.lint(&["wrong.txt"], &["--allow", "tag-unknown"]);
    assert!(code == Some(3) && out.contains("tag-unknown [allowed]") && out.contains("; 2 allowed"), "{out}");
    let report = files.json(&["wrong.txt"], &["--allow", "tag-unknown"]);
    let standing = |check: &str| {
        let all = report["findings"].as_array().expect("a list");
        let found = all.iter().find(|it| it["check"] == check).expect(check);
        (found["standing"].as_str().map(str::to_owned), found["denied"].as_bool())
    };
    assert_eq!(standing("tag-unknown"), (Some("allowed".to_owned()), Some(false)));
    assert_eq!(standing("capability-not-offered"), (Some("new".to_owned()), Some(true)));
}

#[test]
fn a_baseline_knows_what_was_wrong_before() {
    let files = Files::new(&[("wrong.txt", WRONG), ("fine.txt", FINE)]);
    let base = files.path("base.json");
    let (code, _, err) = files.lint(&["wrong.txt"], &["--write-baseline", &base]);
    assert_eq!((code, err.as_str()), (Some(3), ""), "what it is worth is another question");
    assert_eq!(fs::metadata(&base).expect("a file").permissions().mode() & 0o777, 0o600);
    let written = fs::read_to_string(&base).expect("a file");
    let whole: Value = serde_json::from_str(&written).expect("JSON");
    let entries = whole["findings"].as_array().expect("a list");
    assert_eq!(
        entries.iter().filter_map(|it| it["check"].as_str()).collect::<Vec<_>>(),
        ["capability-not-offered", "tag-unknown"]
    );
    assert_eq!(written.lines().count(), 2 + entries.len(), "an entry a line: {written}");
    let (code, out, _) = files.lint(&["wrong.txt"], &["--baseline", &base]);
    assert!(code == Some(0) && out.contains("tag-unknown [known]") && out.contains("; 3 known"), "{out}");
    // Other tags, numbers and names; and something new.
    let other = WRONG.replace("a7 ", "xyz99 ").replace("MOVE 1 x", "MOVE 77 elsewhere").replace("a8 ", "q ");
    let files = Files::new(&[("other.txt", &other), ("new.txt", &other.replace("C: a3 NOOP", "C: a3 UNSELECT"))]);
    assert_eq!(files.lint(&["other.txt"], &["--baseline", &base]).0, Some(0));
    let (code, out, _) = files.lint(&["new.txt"], &["--baseline", &base]);
    assert!(code == Some(3) && out.contains("UNSELECT"), "{out}");
    // It may be written again in the same run.
    let (code, ..) = files.lint(&["new.txt"], &["--baseline", &base, "--write-baseline", &base]);
    assert_eq!(code, Some(3));
    assert_eq!(files.lint(&["new.txt"], &["--baseline", &base]).0, Some(0));
}

#[test]
fn every_form_has_the_findings() {
    let files = Files::new(&[("wrong.txt", WRONG)]);
    let report = files.json(&["wrong.txt"], &[]);
    assert_eq!((checks(&report), report["exit"].as_u64()), (vec!["capability-not-offered", "tag-unknown"], Some(3)));
    let place = &report["findings"][1]["places"][0];
    assert_eq!(
        (place["line"].as_str(), place["conn"].as_u64(), place["time"].as_str()),
        (Some("S: a7 OK what"), Some(1), None)
    );
    let (code, sarif, _) = files.lint(&["wrong.txt"], &["--format", "sarif", "--allow", "tag-unknown"]);
    let sarif: Value = serde_json::from_str(&sarif).expect("JSON");
    let results = &sarif["runs"][0]["results"];
    assert_eq!((code, sarif["version"].as_str()), (Some(3), Some("2.1.0")));
    assert_eq!(
        (results[1]["ruleId"].as_str(), results[1]["suppressions"][0]["kind"].as_str()),
        (Some("tag-unknown"), Some("external"))
    );
    assert_eq!(
        (results[0]["level"].as_str(), results[0]["suppressions"].as_array().map(Vec::len)),
        (Some("error"), Some(0))
    );
    let (code, junit, _) = files.lint(&["wrong.txt"], &["--format", "junit", "--allow", "tag-unknown"]);
    assert_eq!(code, Some(3));
    assert!(junit.contains("<failure type=\"must\" message=\"client: "), "{junit}");
    assert!(junit.contains("name=\"tag-unknown\" time=\"0\">\n      <skipped message=\"allowed\"/>"), "{junit}");
    assert!(junit.contains("name=\"bare-cr\" time=\"0\"/>") && !junit.contains("smtp-smuggling"), "{junit}");
    assert!(junit.contains("failures=\"1\" errors=\"0\" skipped=\"1\""), "{junit}");
}

#[test]
fn what_is_judged_can_be_chosen() {
    let files = Files::new(&[("wrong.txt", &format!("{WRONG}\n{FINE}")), ("fine.txt", FINE)]);
    for (flags, found) in [
        (&["--side", "client"][..], &["capability-not-offered"][..]),
        (&["-f", "command == MOVE"], &["capability-not-offered"]),
        (&["-f", "check == tag-unknown"], &["tag-unknown"]),
        (&["-f", "severity == should"], &[]),
        (&["--conn", "1"], &["capability-not-offered", "tag-unknown"]),
        (&["--state", "greeting"], &["capability-not-offered", "tag-unknown"]),
    ] {
        assert_eq!(checks(&files.json(&["wrong.txt"], flags)), found, "{flags:?}");
    }
    let (code, _, err) = files.lint(&["fine.txt"], &["--conn", "7"]);
    assert!(code == Some(1) && err.contains("there is no connection of this number"), "{err}");
}

/// A recording in which the server closes while it owes an answer.
fn abandoned(path: &str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(b"* PREAUTH hi\r\n").expect("sent");
        BufReader::new(stream).read_line(&mut String::new()).expect("a line");
    });
    let scope = Scope::start(address, &["-w", path]);
    let mut reader = BufReader::new(scope.connect());
    line(&mut reader);
    reader.get_mut().write_all(b"a1 NOOP\r\n").expect("sent");
    assert_eq!(line(&mut reader), "", "it closes");
    drop(reader);
    assert_eq!(scope.interrupt().0, Some(0));
}

#[test]
fn what_only_the_end_of_a_connection_shows_is_found_and_filtered() {
    let files = Files::new(&[]);
    abandoned(&files.path("x.imapscope"));
    let (code, out, _) = files.lint(&["x.imapscope"], &[]);
    assert!(
        code == Some(3) && out.contains("server: the server closed the connection without answering a1 NOOP"),
        "{out}"
    );
    for (condition, found) in [
        ("check == closed-without-answer", 1),
        ("check ~ \"^closed\"", 1),
        ("severity == must", 1),
        ("from == server", 1),
        ("conn == 1", 1),
        ("check == bare-cr", 0),
        ("severity == should", 0),
        ("from == client", 0),
        ("command == FETCH", 0),
        ("conn == 2", 0),
    ] {
        let report = files.json(&["x.imapscope"], &["-f", condition]);
        assert_eq!(checks(&report).len(), found, "{condition}: {report}");
    }
}

#[test]
fn parts_of_a_recording_are_one_file_and_other_recordings_are_not() {
    let answer = |line: &str| format!("{} OK {}\r\n", line.split(' ').next().unwrap_or_default(), "x".repeat(400));
    let server = server("* OK hi\r\n", answer);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("long.imapscope").display().to_string();
    let scope = Scope::start(server, &["-w", &path, "--rotate", "1k"]);
    let mut reader = BufReader::new(scope.connect());
    line(&mut reader);
    for nth in 0..8 {
        reader.get_mut().write_all(format!("a{nth} NOOP\r\n").as_bytes()).expect("sent");
        line(&mut reader);
    }
    drop(reader);
    assert_eq!(scope.interrupt().0, Some(0));
    let files = Files(folder);
    let mut names: Vec<String> = vec!["long.imapscope".to_owned()];
    names.extend(
        (1..99).map(|part| format!("long.imapscope.{part}")).take_while(|name| Path::new(&files.path(name)).exists()),
    );
    assert!(names.len() > 2, "{names:?}");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let report = files.json(&names, &[]);
    assert_eq!((report["exit"].as_u64(), report["files"].as_array().map(Vec::len)), (Some(0), Some(1)), "{report}");
    let twice = files.json(&[names[0], names[0]], &[]);
    assert_eq!(twice["files"].as_array().map(Vec::len), Some(2));
}

#[test]
fn standard_input_is_a_file() {
    let mut child = imapscope(&["lint", "-", "--format", "json"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(WRONG.as_bytes()).expect("sent");
    let output = child.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), report["files"][0]["file"].as_str()), (Some(3), Some("standard input")));
    let mut child = imapscope(&["lint", "-", "-", "--format", "json"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(WRONG.as_bytes()).expect("sent");
    let report: Value = serde_json::from_slice(&child.wait_with_output().expect("it ends").stdout).expect("JSON");
    assert_eq!((report["files"][0]["failed"].as_str(), report["files"].as_array().map(Vec::len)), (None, Some(2)));
}

#[test]
fn all_checks_are_listed() {
    let (table, lines) =
        (text(&run(&["lint", "--list"]).stdout), text(&run(&["lint", "--list", "--format", "json"]).stdout));
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let ids: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert!(ids.len() >= 40);
    for object in &ids {
        for (key, is) in
            [("id", "string"), ("severity", "string"), ("protocols", "list"), ("rules", "list"), ("rfc", "list")]
        {
            let value = &object[key];
            assert!(if is == "list" { value.is_array() } else { value.is_string() }, "{key}: {object}");
        }
        assert!(table.contains(object["id"].as_str().expect("an id")) && object["summary"].is_string());
    }
}

/// A server that answers LOGOUT with the wrong tag.
fn liar() -> std::net::SocketAddr {
    server("* OK hi\r\n", |line| {
        let tag = line.split(' ').next().unwrap_or_default();
        format!("zz OK what\r\n* BYE bye\r\n{tag} OK done\r\n")
    })
}

/// The proxy in front of it, with these flags, and a client that ends with this code.
fn gated(flags: &[&str], code: u8) -> (Option<i32>, String) {
    let own = std::env::current_exe().expect("a program").display().to_string();
    let script = format!("\"$0\" --exact command::a_client --ignored >&2; exit {code}");
    let mut command = imapscope(&["proxy", &format!(":0=imap://{}", liar())]);
    let output = output(command.args(flags).args(["--", "sh", "-c", &script, &own]));
    (output.status.code(), text(&output.stderr))
}

#[test]
fn a_command_behind_the_proxy_fails_if_something_denied_is_found() {
    assert_eq!(gated(&[], 0).0, Some(0), "without --deny nothing changes");
    let (code, err) = gated(&["--deny", "must"], 0);
    assert!(code == Some(3) && err.contains("error: 1 finding denied by --deny must: tag-unknown"), "{err}");
    assert_eq!(gated(&["--deny", "must"], 7).0, Some(7), "the command's own failure goes before");
    assert_eq!(gated(&["--deny", "bare-lf"], 0).0, Some(0));
    assert_eq!(gated(&["--deny", "must", "--allow", "tag-unknown"], 0).0, Some(0));
    assert_eq!(gated(&["--deny", "must", "-f", "command == NOOP"], 0).0, Some(3), "a filter is for eyes");
}

#[test]
fn an_interrupted_proxy_and_a_recording_that_is_read_are_judged_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.imapscope").display().to_string();
    let scope = Scope::start(liar(), &["--deny", "tag-unknown", "-w", &path]);
    let mut reader = BufReader::new(scope.connect());
    line(&mut reader);
    reader.get_mut().write_all(b"a1 LOGOUT\r\n").expect("sent");
    (0..3).for_each(|_| drop(line(&mut reader)));
    drop(reader);
    let (code, _, err) = scope.interrupt();
    assert!(code == Some(3) && err.contains("denied by --deny tag-unknown"), "{err}");
    assert_eq!(run(&["read", &path]).status.code(), Some(0));
    assert_eq!(run(&["read", &path, "--deny", "must"]).status.code(), Some(3));
    assert_eq!(run(&["read", &path, "--deny", "must", "--side", "client"]).status.code(), Some(0));
    let base = folder.path().join("base.json").display().to_string();
    let output = run(&["lint", &path, "--write-baseline", &base]);
    assert!(output.status.code() == Some(3) && text(&output.stdout).contains(" at "), "{}", text(&output.stdout));
    assert_eq!(run(&["read", &path, "--deny", "must", "--baseline", &base]).status.code(), Some(0));
}

#[test]
fn the_object_is_described() {
    let schema: Value = serde_json::from_str(&text(&run(&["lint", "--json-schema"]).stdout)).expect("JSON");
    assert!(schema["properties"]["findings"]["description"].is_string());
}
