//! Rules, capabilities and filters as a user gives them: on the command line, in files, and in files that change.

use std::io::BufReader;
use std::net::Ipv4Addr;

use crate::program::scope::{Scope, line, nobody, server};
use crate::program::{first_lines, imapscope, refused, run, text};

#[test]
fn what_hides_a_layer_fits_every_protocol_without_a_warning() {
    for scheme in ["imap", "smtp", "pop3", "sieve", "nntp"] {
        let route = format!("127.0.0.1:0={scheme}://127.0.0.1:9");
        let said = first_lines(imapscope(&["proxy", &route, "--starttls", "hide", "--compress", "hide"]), 1);
        assert!(said[0].starts_with("listening on "), "{said:?}");
    }
    assert!(refused(&["proxy", "imap://mail.example.org", "--compress", "off"]).contains("decode, hide"));
}

#[test]
fn a_wrong_rule_is_refused_with_its_place_and_remedy() {
    let said = refused(&["proxy", "imap://h", "--rule", "drop-capability IDLE when form == server"]);
    assert!(said.contains("--rule 1:") && said.contains('^') && said.contains("from"), "{said}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.txt");
    std::fs::write(&file, "# fine so far\ndrop-capability IDLE\n\ns/(/x/\n").expect("a file");
    let said = refused(&["proxy", "imap://h", "--rules", &file.display().to_string()]);
    assert!(said.contains("rules.txt:4"), "{said}");
    let said = refused(&["proxy", "imap://h", "--rules", "/nonexistent/rules"]);
    assert!(said.contains("/nonexistent/rules") && said.contains("cannot be read"), "{said}");
}

#[test]
fn an_unknown_capability_is_a_warning() {
    let (_held, nobody) = nobody();
    let route = format!(":0=imap://{nobody}");
    let said = first_lines(imapscope(&["proxy", &route, "--drop-cap", "CONSTORE"]), 1);
    assert!(said[0].contains("CONSTORE") && said[0].contains("did you mean CONDSTORE"), "{said:?}");
}

#[test]
fn a_filter_shows_what_matches_and_a_wrong_one_is_refused() {
    let output = run(&["demo", "-f", "command == SELECT && from == server", "--time", "none"]);
    let log = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("#1 S") || line.starts_with("#1 C")).collect();
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[3].ends_with("a2 OK [READ-WRITE] Select completed"), "{log}");
    assert!(log.contains("not shown: ") && log.contains("| LOGOUT "), "the summary is whole: {log}");
    let said = refused(&["proxy", "imap://mail.example.org", "-f", "latency > 200"]);
    assert!(said.contains("--filter:11") && said.contains("^^^") && said.contains("200ms"), "{said}");
    assert!(refused(&["demo", "-f", "size >"]).contains("--filter:7"));
    let said = refused(&["proxy", "imap://mail.example.org", "--rule", "drop when latency > 1s"]);
    assert!(said.contains("is not known when a rule runs"), "{said}");
    let (_held, nobody) = nobody();
    let route = format!("127.0.0.1:0=imap://{nobody}");
    let said = first_lines(imapscope(&["proxy", &route, "-f", "protocol == imaps || route == 2"]), 2);
    assert!(said[0].contains("did you mean imap?") && said[1].contains("no route 2"), "{said:?}");
}

#[test]
fn another_server_s_capabilities_come_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a, b.log");
    let path = file.to_str().expect("UTF-8");
    std::fs::write(&file, b"\xff\n* CAPABILITY IMAP4rev1 IDLE CONSTORE\n").expect("a file");
    let (_held, nobody) = nobody();
    let route = format!("127.0.0.1:0=imap://{nobody}");
    let said = first_lines(imapscope(&["proxy", &route, "--caps-like", path, "--add-cap", "X-A"]), 3);
    assert!(said[0].contains("no capability CONSTORE is known"), "{said:?}");
    assert!(said[1].starts_with("warning: --add-cap X-A: a server that does not have X-A"), "{said:?}");
    assert!(said[2].starts_with("listening"), "{said:?}");
    let recording = concat!(
        r#"{"imapscope":1,"protocols":{"imap":"imap"}}"#,
        "\n",
        r#"{"at":1,"conn":1,"from":"server","frame":1,"line":"* CAPABILITY IMAP4rev1 IDEL"}"#,
        "\n"
    );
    std::fs::write(&file, recording).expect("a file");
    let said = first_lines(imapscope(&["proxy", &route, "--caps-like", path]), 1);
    assert!(said[0].contains("no capability IDEL is known"), "{said:?}");
    for (content, what) in [("{\"imapscope\":1}\n", "there is no name in"), ("# none\n", "there is no name in")] {
        std::fs::write(&file, content).expect("a file");
        let said = refused(&["proxy", "imap://mail.example.org", "--caps-like", path]);
        assert!(said.contains("--caps-like") && said.contains(what), "{said}");
    }
    assert!(refused(&["proxy", "imap://h", "--caps-like", "/nowhere/x"]).contains("/nowhere/x cannot be read"));
    // What has no end is not read to it, whichever flag names it.
    let (proxy, probe) = (&["proxy", "imap://h"][..], &["probe", "imap://h"][..]);
    for command in [
        [proxy, &["--caps-like"]].concat(),
        [proxy, &["--rules"]].concat(),
        [proxy, &["--grammar"]].concat(),
        [proxy, &["--server-ca"]].concat(),
        [&["proxy", "imaps://h", "--key", "/dev/zero"], &["--cert"][..]].concat(),
        [probe, &["--server-ca"]].concat(),
        vec!["read", "x", "--grammar"],
        vec!["grammar", "check"],
    ] {
        let said = refused(&[&command[..], &["/dev/zero"]].concat());
        assert!(said.contains("longer than 16 MiB"), "{command:?}: {said}");
    }
    std::fs::write(&file, b"drop\n# \xff\n").expect("a file");
    assert!(refused(&["proxy", "imap://h", "--rules", path]).contains("line 2 is not UTF-8"));
}

#[test]
fn words_of_rules_are_explained_with_an_example() {
    for (word, expected) in [
        ("drop-capability", "drop-capability IDLE AUTH=* enforced"),
        ("chance", "chance 10%"),
        ("client", "without its port"),
        ("s/a/b/", "RECENT/ when from == server"),
    ] {
        let output = run(&["explain", word]);
        assert_eq!(output.status.code(), Some(0), "{word}");
        assert!(text(&output.stdout).contains(expected), "{word}: {}", text(&output.stdout));
    }
    assert!(text(&run(&["explain", "insert-befor"]).stdout).contains("insert-before"));
}

#[test]
fn rules_that_come_with_a_hangup_are_warned_about_and_their_seed_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules");
    std::fs::write(&file, "").expect("a file");
    let address = (Ipv4Addr::LOCALHOST, 9).into();
    let scope = Scope::start(address, &["--rules", file.to_str().expect("UTF-8")]);
    std::fs::write(&file, "drop-capability IDEL\nrefuse NOPO chance 50%\n").expect("a file");
    scope.hang_up();
    scope.told("the rules were read again");
    scope.told("the chances of rules have the seed ");
    assert!(scope.told("warning: no capability IDEL").contains("did you mean IDLE?"));
    assert!(scope.told("warning: no command NOPO").contains("did you mean NOOP?"));
}

#[test]
fn a_hangup_reads_the_rules_again_and_wrong_ones_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, names) = (folder.path().join("rules"), folder.path().join("names"));
    let (rules, names_path) = (file.to_str().expect("UTF-8"), names.to_str().expect("UTF-8"));
    std::fs::write(&names, "A # the first\n").expect("a file");
    std::fs::write(&file, format!("drop-capability @{names_path}\ns/never/x/ chance 1%\n")).expect("a file");
    let server = server("* OK [CAPABILITY A B] hi\r\n", |_| String::new());
    let scope = Scope::start(server, &["--rules", rules, "--seed", "7"]);
    let greeting = |scope: &Scope| line(&mut BufReader::new(scope.connect()));
    assert_eq!(greeting(&scope), "* OK [CAPABILITY B] hi\r\n");
    std::fs::write(&names, "B\n").expect("a file");
    scope.hang_up();
    scope.told("the rules were read again");
    scope.told("warning: no capability B is known");
    assert_eq!(greeting(&scope), "* OK [CAPABILITY A] hi\r\n");
    std::fs::write(&file, "drop-capabilty A\n").expect("a file");
    scope.hang_up();
    let problem = scope.told("error: ");
    assert!(problem.contains(":1:1: `drop-capabilty` is no action"), "{problem}");
    scope.told("  the old rules stay");
    assert_eq!(greeting(&scope), "* OK [CAPABILITY A] hi\r\n");
    let (code, log, said) = scope.interrupt();
    assert_eq!(code, Some(0), "{said}");
    assert!(log.contains("rule `s/never/x/ chance 1%`: never applied"), "{log}");
    assert!(!said.contains("--seed"), "the seed was given: {said}");
}

#[test]
fn the_seed_of_chances_is_told() {
    let (_held, nobody) = nobody();
    let route = format!("127.0.0.1:0=imap://{nobody}");
    let lines = first_lines(imapscope(&["proxy", &route, "--rule", "s/a/b/ chance 10%"]), 1);
    assert!(lines[0].starts_with("the chances of rules have the seed ") && lines[0].contains("; --seed "), "{lines:?}");
}
