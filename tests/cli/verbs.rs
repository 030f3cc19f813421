//! The program as a user runs it: flags, messages, exit codes, and whole sessions through the built binary. Rules and
//! filters: `rules.rs`.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::program::scope::{Scope, answer, line, nobody, server};
use crate::program::{first_lines, imapscope, refused, run, text};

#[test]
fn a_wrong_route_is_refused_before_a_socket_opens() {
    let said = refused(&["proxy", "mail.example.org"]);
    assert!(said.contains("route 'mail.example.org'") && said.contains("imap://mail.example.org"), "{said}");
    assert!(refused(&["proxy", "irc+starttls://irc.example.org"]).contains("does not say how TLS begins"));
    assert!(refused(&["proxy", "gopher://mail.example.org"]).contains("not known"));
    assert!(refused(&["proxy"]).contains("ROUTE"));
}

#[test]
fn every_protocol_has_its_scheme() {
    let said = refused(&["proxy", "pop3://"]);
    assert!(said.contains("pop3://HOST[:PORT]"), "{said}");
    let said = refused(&["proxy", "smtps+starttls://mail.example.org"]);
    assert!(said.contains("'smtps+starttls' is not known") && said.contains("submissions"), "{said}");
    let said = refused(&["proxy", "smtpp://mail.example.org"]);
    assert!(
        said.contains("did you mean smtp?") && said.contains("lmtp, pop3, managesieve, sieve, nntp, irc"),
        "{said}"
    );
    let said = refused(&["proxy", "submission://one.example", ":1587=smtp://two.example"]);
    assert!(said.contains("'submission://one.example' listens on 127.0.0.1:1587 already"), "{said}");
}

#[test]
fn routes_are_printed_with_the_scheme_that_was_written() {
    let (_held, nobody) = nobody();
    let routes = ["submission", "sieve", "pop3"].map(|scheme| format!("127.0.0.1:0={scheme}://{nobody}"));
    let flags = ["proxy", &routes[0], &routes[1], &routes[2], "--drop-cap", "SIZE,UIDL,NOTIFY,AUTH=PLAIN"];
    let lines = first_lines(imapscope(&flags), 3);
    for (line, scheme) in lines.iter().zip(["submission", "sieve", "pop3"]) {
        assert!(
            line.starts_with(&format!("listening on {scheme}://127.0.0.1:")),
            "no warning, and in order: {lines:?}"
        );
        assert!(line.ends_with(&format!(" -> {scheme}://{nobody}")), "{lines:?}");
    }
}

#[test]
fn a_description_of_ones_own_is_a_protocol() {
    let (_held, nobody) = nobody();
    let ftp = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ftp.toml");
    let route = format!(":0=ftp://{nobody}");
    let lines = first_lines(imapscope(&["proxy", "--grammar", ftp, &route]), 1);
    assert!(
        lines[0].starts_with("listening on ftp://127.0.0.1:") && lines[0].ends_with(&nobody.to_string()),
        "{lines:?}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("more.toml");
    std::fs::write(&file, "extends = \"imap\"\n[capability.X-NOTES]\ndoes = \"Notes.\"\nrfc = \"vendor: Us\"\n")
        .expect("a file");
    let (file, route) = (file.display().to_string(), format!(":0=imap://{nobody}"));
    let lines = first_lines(imapscope(&["proxy", "--grammar", &file, &route, "--drop-cap", "X-NOTES"]), 1);
    assert!(lines[0].starts_with("listening on imap://"), "the capability is known: {lines:?}");
    let output = run(&["explain", "X-NOTES", "--grammar", &file]);
    assert!(output.status.success() && text(&output.stdout).contains("Notes."), "{}", text(&output.stdout));
    let output = run(&["explain", "--grammar", ftp, "PASV"]);
    assert!(output.status.success() && text(&output.stdout).contains("command of FTP"), "{}", text(&output.stdout));
}

#[test]
fn a_wrong_description_is_told_in_full_before_a_socket_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    let path = file.display().to_string();
    let with = |content: &str| {
        std::fs::write(&file, content).expect("a file");
        refused(&["proxy", "--grammar", &path, "imap://h"])
    };
    let said = with("extends = \"imap\"\n[command.XYZ]\ndose = \"x\"\n[command.ABC]\nthen = \"dance\"\n");
    for expected in ["mine.toml:3:1", "dose", "mine.toml:5:", "dance", "problems"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let own = "title = \"Mine\"\nport = 7000\n";
    let said = with(&format!("name = \"pop3\"\n{own}"));
    assert!(said.contains("'pop3'") && said.contains("another name") && said.contains("extends"), "{said}");
    assert!(with(&format!("name = \"sieve\"\n{own}")).contains("another name"));
    let said = refused(&["proxy", "--grammar", "/nonexistent/x.toml", "imap://h"]);
    assert!(said.contains("/nonexistent/x.toml") && said.contains("cannot be read"), "{said}");
}

#[test]
fn a_port_that_has_none_above_it_needs_an_explicit_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("far.toml");
    std::fs::write(&file, "name = \"far\"\ntitle = \"Far\"\nport = 65000\n").expect("a file");
    let said = refused(&["proxy", "--grammar", &file.display().to_string(), "far://h"]);
    assert!(said.contains("65000") && said.contains("=far://h"), "{said}");
}

#[test]
fn two_routes_cannot_have_one_port() {
    let said = refused(&["proxy", "imap://one.example", "imap://two.example:1430"]);
    assert!(said.contains("'imap://one.example' listens on 127.0.0.1:1143 already"), "{said}");
    assert!(said.contains(":1144=imap://two.example:1430"), "{said}");
}

#[test]
fn a_wrong_output_is_refused() {
    assert!(refused(&["proxy", "imap://h", "-o", "petty:x"]).contains("pcapng"));
    assert!(refused(&["proxy", "imap://h", "-o", "pretty", "-o", "pretty:-"]).contains("same place"));
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.log");
    std::fs::write(&kept, "an older log").unwrap();
    let output = format!("pretty:{}", kept.display());
    assert!(refused(&["proxy", "imap://h", "-o", &output, "-o", &output]).contains("same place"));
    let again = format!("pretty:{}", kept.with_file_name(".").join(kept.file_name().expect("a name")).display());
    assert!(refused(&["proxy", "imap://h", "-o", &output, "-o", &again]).contains("same place"));
    assert!(refused(&["proxy", "imap://h", "-o", &output, "-o", "petty"]).contains("petty"));
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "an older log", "a wrong command line empties nothing");
    assert!(refused(&["proxy", "imap://h", "--color", "sometimes"]).contains("always"));
    assert!(refused(&["proxy", "imap://h", "--body", "some"]).contains("--body"));
    assert!(refused(&["proxy", "imap://h", "--idle-timeout", "soon"]).contains("30s"));
    assert!(
        refused(&["proxy", "imap://h", "-o", "pretty:/nonexistent/folder/log"]).contains("/nonexistent/folder/log")
    );
}

#[test]
fn outputs_for_programs_hold_a_session_and_hide_its_secrets() {
    let server = server("* OK hi\r\n", |line| answer(line, "NO no"));
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("raw");
    let raw = format!("raw:{}", folder.display());
    let scope = Scope::start(server, &["-o", "json", "-o", &raw]);
    let mut stream = scope.connect();
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    line(&mut reader);
    stream.write_all(b"a1 LOGIN alice s3cr3t-canary\r\n").expect("sent");
    line(&mut reader);
    let (code, log, _) = scope.interrupt();
    assert_eq!(code, Some(0));
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let login = lines.iter().find(|line| line["command"] == "LOGIN").expect("the command");
    assert_eq!(login["text"], "a1 LOGIN alice <hidden>");
    let said = |side: &str| std::fs::read(folder.join(format!("000001-{side}.raw"))).expect("a file");
    assert_eq!(text(&said("client")), "a1 LOGIN alice *************\r\n");
    assert_eq!(text(&said("server")), "* OK hi\r\na1 NO no\r\n");
    assert_eq!([mode(&folder), mode(&folder.join("000001-client.raw"))], [0o700, 0o600]);
    assert!(refused(&["proxy", "imap://h", "-o", &raw]).contains("not empty"), "sessions are not mixed");
    assert!(refused(&["proxy", "imap://h", "-o", "raw"]).contains("raw:FOLDER"));
    assert!(refused(&["proxy", "imap://h", "-o", "bodies:-"]).contains("bodies:FOLDER"));
    let schema: serde_json::Value =
        serde_json::from_slice(&run(&["explain", "--json-schema"]).stdout).expect("the schema is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn a_port_in_use_is_a_clear_failure() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let route = format!("{}=imap://127.0.0.1:1", taken.local_addr().expect("it has an address"));
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept.log");
    std::fs::write(&kept, "an older log").expect("a file");
    let output = run(&["proxy", &route, "-o", &format!("pretty:{}", kept.display())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("another program has this port"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&kept).expect("it is there"), "an older log");
}

#[test]
fn a_session_is_relayed_shown_and_summed_up() {
    let server = server("* OK [CAPABILITY IMAP4rev1 IDLE MOVE] hi\r\n", |line| {
        answer(line, "OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS] done")
    });
    let scope = Scope::start(server, &["--drop-cap", "IDLE"]);
    let mut stream = scope.connect();
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    assert_eq!(line(&mut reader), "* OK [CAPABILITY IMAP4rev1 MOVE] hi\r\n");
    stream.write_all(b"a1 LOGIN alice s3cr3t-canary\r\n").expect("sent");
    assert_eq!(line(&mut reader), "a1 OK [CAPABILITY IMAP4rev1 MOVE UIDPLUS] done\r\n");
    let (code, log, said) = scope.interrupt();
    assert_eq!(code, Some(0), "{log}{said}");
    for expected in ["LOGIN alice", "--drop-cap IDLE", "IDLE", "imapscope ended"] {
        assert!(log.contains(expected), "{expected} is in the log:\n{log}");
    }
    assert!(!log.contains("s3cr3t-canary") && !said.contains("s3cr3t-canary"), "no password is shown:\n{log}");
    assert!(!log.contains('\x1b'), "no colour goes into a pipe");
}

#[test]
fn secrets_are_shown_only_on_demand_and_files_are_private() {
    let server = server("* OK hi\r\n", |line| answer(line, "NO no"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let output = format!("pretty:{}", file.display());
    let scope = Scope::start(server, &["--show-secrets", "-o", &output]);
    let mut stream = scope.connect();
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    line(&mut reader);
    stream.write_all(b"a1 LOGIN alice s3cr3t-canary\r\n").expect("sent");
    line(&mut reader);
    let (code, log, _) = scope.interrupt();
    assert_eq!(code, Some(0));
    assert!(log.is_empty(), "with -o, the log goes there only: {log}");
    assert!(std::fs::read_to_string(&file).expect("the log was written").contains("s3cr3t-canary"));
    assert_eq!(mode(&file), 0o600);
}

#[cfg(unix)]
fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).expect("the file is there").permissions().mode() & 0o777
}

#[test]
fn a_server_that_cannot_be_reached_is_named_and_nothing_ends() {
    let (_held, nobody) = nobody();
    let scope = Scope::start(nobody, &[]);
    for _ in 0..2 {
        let mut rest = Vec::new();
        // Closed or reset: what matters is that it does not hang.
        let _ = scope.connect().read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    let (code, log, _) = scope.interrupt();
    assert_eq!(code, Some(0));
    assert_eq!(log.matches(&format!("{nobody}")).count().min(2), 2, "each attempt is explained:\n{log}");
    assert!(log.contains("refused"), "{log}");
}

#[test]
fn the_demo_shows_the_main_job() {
    let output = run(&["demo"]);
    let log = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{log}{}", text(&output.stderr));
    for expected in ["LITERAL+", "LOGIN alice", "<hidden>", "IDLE", "Subject: Re: Lunch?", "--drop-cap LITERAL+"] {
        assert!(log.contains(expected), "{expected} is in the log:\n{log}");
    }
    assert!(!log.contains("correct horse"));
    assert!(!log.contains('\x1b'));
    let coloured = run(&["demo", "--color", "always"]);
    assert!(text(&coloured.stdout).contains("\x1b["));
}

#[test]
fn a_page_goes_to_a_file_or_to_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    let output = run(&["demo", "-o", "html", "-o", &format!("html:{}", path.display())]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(&path).expect("UTF-8");
    assert!(text(&output.stdout) == page, "they are the same");
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</body></html>\n"));
    for expected in ["LITERAL+", "Subject: Re: Lunch?", "&lt;hidden&gt;", "<svg class=plot", "<table class=matrix>"] {
        assert!(page.contains(expected), "{expected} is in the page");
    }
    assert!(!page.contains("correct horse"));
}

#[test]
fn words_are_explained() {
    for (word, expected) in [("qresync", "RFC 7162"), ("SELECT", "RFC 9051"), ("OVERQUOTA", "quota"), ("IDLE", "RFC")] {
        let output = run(&["explain", word]);
        assert_eq!(output.status.code(), Some(0), "{word}");
        assert!(text(&output.stdout).contains(expected), "{word}: {}", text(&output.stdout));
    }
    let output = run(&["explain", "uid", "fetch"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, run(&["explain", "UID FETCH"]).stdout, "two words are one name");
    assert!(text(&output.stdout).contains("UID FETCH"), "{}", text(&output.stdout));
    assert_eq!(run(&["explain", "-x"]).status.code(), Some(1), "a word, not a flag");
    assert!(refused(&["explain"]).contains("WORD"));
    let output = run(&["explain", "QRESINC"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("QRESYNC"), "did you mean: {}", text(&output.stdout));
}

#[test]
fn codes_of_smtp_are_explained_with_their_class() {
    for word in ["5.7.8", "[5.7.8]"] {
        let output = run(&["explain", word]);
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.starts_with("5.7.8  response code of SMTP and LMTP") && said.contains("for good"), "{said}");
        assert!(said.contains("Name, password or token") && said.lines().count() < 9, "{said}");
    }
    assert!(text(&run(&["explain", "4.4.2"]).stdout).contains("for now"));
    assert!(text(&run(&["explain", "2.1.5"]).stdout).contains("success"));
    let output = run(&["explain", "5.7.999"]);
    let said = text(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("not known") && said.contains("5.7.0"), "{said}");
    assert_eq!(run(&["explain", "3.1.1"]).status.code(), Some(1), "there is no such class");
}

#[test]
fn what_lmtp_has_from_smtp_is_told_once() {
    let said = text(&run(&["explain", "354"]).stdout);
    assert!(said.contains("response of SMTP and LMTP") && !said.contains("response of LMTP"), "{said}");
    let said = text(&run(&["explain", "250"]).stdout);
    for of in ["response of SMTP\n", "response of LMTP\n", "response of NNTP\n"] {
        assert!(said.contains(of), "LMTP has its own: {said}");
    }
    let said = text(&run(&["explain", "PUTSCRIPT"]).stdout);
    assert!(said.contains("command of ManageSieve"), "{said}");
}

#[test]
fn grammars_are_listed_shown_and_checked() {
    assert!(text(&run(&["grammar", "list"]).stdout).contains("imap"));
    assert!(text(&run(&["grammar", "show", "imap"]).stdout).contains("UIDPLUS"));
    let all = text(&run(&["grammar", "list"]).stdout);
    for name in ["smtp", "lmtp", "pop3", "managesieve", "nntp", "irc"] {
        assert!(all.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {all}");
        let shown = text(&run(&["grammar", "show", name]).stdout);
        assert!(shown.starts_with(&format!("{name}: ")) && shown.contains("commands ("), "{shown}");
    }
    assert_eq!(run(&["grammar", "show", "sieve"]).stdout, run(&["grammar", "show", "managesieve"]).stdout);
    assert!(refused(&["grammar", "show", "gopher"]).contains("known are imap"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "name = \"mine\"\nextends = \"imap\"\n[command.XYZ]\ndose = \"x\"\n").expect("a file");
    let output = run(&["grammar", "check", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("mine.toml:") && said.contains("dose"), "{said}");
}

#[test]
fn help_completions_and_manual_teach() {
    let help = text(&run(&["--help"]).stdout);
    assert!(help.contains("Examples:") && help.contains("proxy"), "{help}");
    let help = text(&run(&["proxy", "--help"]).stdout);
    assert!(help.contains("imapscope proxy imap://mail.example.org") && help.contains("--drop-cap"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&run(&["completions", shell]).stdout).contains("drop-cap"), "{shell}");
    }
    let manual = text(&run(&["man"]).stdout);
    assert!(manual.contains(".TH imapscope") && manual.contains("drop\\-cap"), "{manual}");
    assert!(manual.contains("grammar\\-check"), "pages of all verbs");
    assert_eq!(run(&[]).status.code(), Some(2));
    assert!(text(&run(&["--version"]).stdout).starts_with("imapscope "));
}
