//! Filters: every field in one conversation, what goes on with a line, and what is wrong in a condition.

use std::sync::Arc;

use imapscope::event::{Batch, Closed, Closer, Opened, Peer, RouteName, Time, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::rules::filter::{Filter, FilterState};
use imapscope::rules::{Options, Rules, Source};
use imapscope::session::{Outbox, Session};
use proptest::prelude::*;

/// What happens; 10 ms pass before each line of the server's.
const LINES: &[(Peer, &str)] = &[
    (Peer::Server, "* OK [CAPABILITY IMAP4rev1 IDLE] hi\r\n"),
    (Peer::Client, "a1 LOGIN bob secret\r\n"),
    (Peer::Server, "a1 OK in\r\n"),
    (Peer::Client, "a2 SELECT INBOX\r\n"),
    (Peer::Server, "* 3 EXISTS\r\n"),
    (Peer::Server, "a2 OK [READ-WRITE] done\r\n"),
    (Peer::Client, "a3 UID FETCH 1 BODY[]\r\n"),
    (Peer::Server, "* 1 FETCH (BODY[] {3}\r\nabc)\r\n"),
    (Peer::Server, "a3 OK fetched\r\n"),
    (Peer::Client, "a4 NOOP\n"),
    (Peer::Server, "a4 NO [UNAVAILABLE] later\r\n"),
];

/// The driver of a connection: session, explainer and filter, as they are live.
struct Scope {
    explainer: Explainer,
    watch: FilterState,
    now: u64,
    shown: Vec<String>,
}

impl Scope {
    fn carry(&mut self, out: &mut Outbox) {
        let mut batch: Batch = std::mem::take(&mut out.batch);
        out.clear();
        (batch.connection, batch.at) = (7, Time(self.now));
        let Scope { explainer, watch, shown, .. } = self;
        explainer.explain(&mut batch, &mut |event| {
            if watch.shows(event) {
                let bytes = String::from_utf8_lossy(event.bytes).trim_end().to_owned();
                shown.push(match &event.event.what {
                    What::Text(_) | What::Data(_) => bytes,
                    What::Opened(_) => "(opened)".to_owned(),
                    What::Tls(_) => "(tls)".to_owned(),
                    What::Lag { .. } => "(lag)".to_owned(),
                    What::HalfClosed => "(half)".to_owned(),
                    What::Closed(_) => "(closed)".to_owned(),
                    other => format!("{other:?}"),
                });
            }
        });
    }
}

/// What a filter lets through.
fn shown(condition: &str) -> Vec<String> {
    let filter = Filter::read(condition).unwrap_or_else(|problem| panic!("{problem}"));
    let rules = Rules::compile(&[Source::rule(1, "drop-capability IDLE")]).expect("a rule");
    let grammar = Grammar::builtin("imap").expect("it is built in");
    let mut session = Session::new(7, grammar.clone(), Arc::new(rules));
    let mut scope =
        Scope { explainer: Explainer::new(grammar, false), watch: FilterState::new(filter), now: 0, shown: Vec::new() };
    let mut out = Outbox::default();
    let route = Arc::new(RouteName { number: 2, written: ":0=imap://two.example.org".to_owned() });
    let opened = Opened { protocol: "imap".into(), client: "[::1]:40000".into(), route, ..Opened::default() };
    out.report(Peer::Client, What::Opened(Box::new(opened)));
    out.report(Peer::Server, What::Tls(Box::default()));
    scope.carry(&mut out);
    for (from, line) in LINES {
        scope.now += if *from == Peer::Server { 10_000_000 } else { 0 };
        assert_eq!(session.receive(*from, line.as_bytes(), &mut out), line.len());
        scope.carry(&mut out);
    }
    out.report(Peer::Client, What::Lag { events: 1, bytes: 10 });
    session.closed(Peer::Client, &mut out);
    let end = Closed { by: Closer::Ours, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
    session.ended(Peer::Client, end, &mut out);
    scope.carry(&mut out);
    scope.shown
}

/// The same without what concerns the connection as a whole.
fn lines(condition: &str) -> Vec<String> {
    shown(condition).into_iter().filter(|line| !line.starts_with('(')).collect()
}

#[test]
fn every_field_is_known() {
    let cases: &[(&str, &[&str])] = &[
        ("from == client && state == selected", &["a3 UID FETCH 1 BODY[]", "a4 NOOP"]),
        ("from == client && state == not-authenticated", &["a1 LOGIN bob ******"]),
        ("conn == 7 && tag == a1", &["a1 LOGIN bob ******", "a1 OK in"]),
        ("conn == 8", &[]),
        ("protocol == imap && tag == a1 && from == server", &["a1 OK in"]),
        ("protocol == smtp", &[]),
        ("command == FETCH", &["a3 UID FETCH 1 BODY[]", "* 1 FETCH (BODY[] {3}", "abc", ")", "a3 OK fetched"]),
        ("command == \"UID FETCH\" && from == client", &["a3 UID FETCH 1 BODY[]"]),
        ("command == SELECT", &["a2 SELECT INBOX", "* 3 EXISTS", "a2 OK [READ-WRITE] done"]),
        ("tag == * && state == selected", &["* 1 FETCH (BODY[] {3}", "abc", ")"]),
        ("status == NO", &["a4 NO [UNAVAILABLE] later"]),
        ("code in {READ-WRITE, UNAVAILABLE}", &["a2 OK [READ-WRITE] done", "a4 NO [UNAVAILABLE] later"]),
        ("text ~ \"^[*] [0-9] E\"", &["* 3 EXISTS"]),
        ("text ~ secret", &[]),
        ("text == abc", &["abc", ")"]),
        ("latency > 15ms", &["a2 OK [READ-WRITE] done", "a3 OK fetched"]),
        ("latency < 10001us", &["a1 OK in", "a4 NO [UNAVAILABLE] later"]),
        ("latency > 1s || latency > 2m", &[]),
        ("size == 3", &["abc", ")"]),
        ("capability == IMAP4rev1", &["* OK [CAPABILITY IMAP4rev1 IDLE] hi"]),
        ("capability == SORT", &[]),
        ("tls == server && tag == a4", &["a4 NOOP", "a4 NO [UNAVAILABLE] later"]),
        ("tls == none", &[]),
        ("rule ~ \"IDLE$\"", &["* OK [CAPABILITY IMAP4rev1 IDLE] hi"]),
        ("rule == any", &["* OK [CAPABILITY IMAP4rev1 IDLE] hi"]),
        ("rule == \"drop-capability MOVE\"", &[]),
        ("check == any", &["a4 NOOP"]),
        ("check == client && check ~ LF", &["a4 NOOP"]),
        ("check == server", &[]),
        ("check != client", &[]),
        ("user == bob && command == LOGIN", &["a1 OK in"]),
        ("user == alice", &[]),
        ("client == ::1 && command == LOGIN && from == client", &["a1 LOGIN bob ******"]),
        ("client ~ 40000", &[]),
        ("route == 2 && command == NOOP && from == client", &["a4 NOOP"]),
        ("route ~ two && command == NOOP && from == client", &["a4 NOOP"]),
        ("route == 1", &[]),
        ("!(command ~ .) || !(status ~ .) && command == NOOP", &["* OK [CAPABILITY IMAP4rev1 IDLE] hi", "a4 NOOP"]),
        ("!(text ~ FETCH) && state == selected && from == server", &["a3 OK fetched", "a4 NO [UNAVAILABLE] later"]),
    ];
    for (condition, expected) in cases {
        assert_eq!(lines(condition), *expected, "{condition}");
    }
}

#[test]
fn what_concerns_the_connection_is_shown_unless_it_contradicts() {
    let around = |condition: &str| -> Vec<String> {
        shown(condition).into_iter().filter(|line| line.starts_with('(')).collect()
    };
    let all = ["(opened)", "(tls)", "(lag)", "(half)", "(closed)"];
    for condition in [
        "command == FETCH",
        "!(command == FETCH)",
        "latency > 1s",
        "check == any",
        "rule ~ x",
        "conn == 7",
        "user == bob",
    ] {
        assert_eq!(around(condition), all, "{condition}");
    }
    for condition in ["conn == 8", "protocol == smtp && command == FETCH", "route == 1", "client ~ 192", "!(conn == 7)"]
    {
        assert_eq!(around(condition), [""; 0], "{condition}");
    }
    assert_eq!(around("from == server"), ["(opened)", "(tls)", "(lag)", "(closed)"]);
    assert_eq!(around("user == alice"), ["(opened)", "(tls)"], "nobody was known yet");
}

#[test]
fn a_command_that_is_never_answered_is_forgotten_at_last() {
    let filter = Filter::read("command == NOOP").expect("a condition");
    let grammar = Grammar::builtin("imap").expect("it is built in");
    let mut session = Session::new(1, grammar.clone(), Arc::default());
    let mut scope =
        Scope { explainer: Explainer::new(grammar, false), watch: FilterState::new(filter), now: 0, shown: Vec::new() };
    let mut out = Outbox::default();
    session.receive(Peer::Server, b"* PREAUTH hi\r\n", &mut out);
    session.receive(Peer::Client, b"a NOOP\r\n", &mut out);
    scope.carry(&mut out);
    for _ in 0..1024 {
        session.receive(Peer::Client, b"b CHECK\r\n", &mut out);
        scope.carry(&mut out);
    }
    assert_eq!(scope.shown, ["a NOOP"]);
    session.receive(Peer::Server, b"* 1 EXISTS\r\n", &mut out);
    scope.carry(&mut out);
    assert_eq!(scope.shown.len(), 1, "CHECK is the oldest that is known");
}

#[test]
fn mistakes_have_their_place() {
    for (condition, place, what, help) in [
        ("", "--filter:1", "here a comparison is missing", "from == server"),
        ("comand == FETCH", "--filter:1", "`comand` is no field", "did you mean `command`?"),
        ("size > 1 && latncy > 1ms", "--filter:13", "`latncy` is no field", "did you mean `latency`?"),
        ("latency > 200", "--filter:11", "`200` is no time", "200ms"),
        ("latency > 5h", "--filter:11", "`5h` is no time", "200ms"),
        ("latency == 200ms", "--filter:9", "is a time, which is never met exactly", "latency > 200ms"),
        ("latency >= 200ms", "--filter:9", "there is no >=", "latency > 200ms"),
        ("from == me", "--filter:9", "`me` is no value of `from`", "client server"),
        ("from == client once", "--filter:16", "`once` does not belong here", "&& and ||"),
        ("(from == client))", "--filter:17", "`)` does not belong here", "no ( for this )"),
        ("when from == client", "--filter:1", "`when` is no field", "the fields are from conn"),
    ] {
        let problem = Filter::read(condition).expect_err(condition);
        assert_eq!(problem.origin, place, "{problem}");
        assert!(problem.what.contains(what) && problem.help.contains(help), "{problem}");
        assert!(problem.what.contains('^') && problem.help.contains(help), "{problem}");
    }
    assert!(Filter::read("from == client\n").expect_err("a line break").what.contains("line break"));
}

proptest! {
    #[test]
    fn no_string_is_too_odd_to_be_a_filter(
        line in ".*",
        near in "(latency|text|route|check|from)( |==|!=|<|>|~|in |[{}(),\"/µs0-9m]|any|&&|!){0,20}",
    ) {
        for line in [line, near] {
            if let Err(problem) = Filter::read(&line) {
                prop_assert!(problem.origin.starts_with("--filter:"), "{}", problem);
                prop_assert!(!problem.to_string().contains(['\0', '\x1b', '\r']), "{}", problem);
            }
        }
    }

    #[test]
    fn no_file_is_too_odd_to_have_capabilities(
        content in "([*] CAPABILITY |CAPA|[+]OK|250[- ]|\"SASL\" |\"IMPLEMENTATION\" |=>|[.]| |é|\u{fffd}|AUTH|[\\[\\]{}*=a-z\"\r\n\t]){0,60}",
    ) {
        let sources = Source::options(Options { like: Some("a file"), ..Options::default() });
        let found = Rules::compile_with(&sources, &|_| Ok(content.clone()));
        if let Err(problem) = found {
            prop_assert!(!problem.to_string().contains(['\0', '\x1b', '\r']), "{}", problem);
        }
    }
}
