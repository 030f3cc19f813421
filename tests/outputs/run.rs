//! What a run of several connections comes to, in every output that says so.

use std::collections::BTreeSet;

use imapscope::event::Closer;
use imapscope::sink::Sink;
use imapscope::sink::html::Html;
use imapscope::sink::json::{Json, SCHEMA};
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::Look;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::dialogue::Written;
use crate::markup;
use crate::sample::{Made, closed, opened, put_all, several};
use crate::schema::Schema;

/// What a sink writes of these events.
fn written<S: Sink>(events: &[Made], sink: impl FnOnce(Written) -> S) -> String {
    let written = Written::default();
    let mut sink = sink(written.clone());
    put_all(events, &mut sink);
    sink.end().expect("memory has room");
    written.text()
}

fn log(events: &[Made]) -> String {
    written(events, |out| Pretty::with_zone(out, Look { width: Some(80), ..Look::default() }, TimeZone::UTC))
}

fn page(events: &[Made]) -> String {
    written(events, |out| Html::with_zone(out, Look::default(), TimeZone::UTC))
}

fn last(events: &[Made]) -> Value {
    let lines = written(events, Json::new);
    serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn the_log_ends_with_the_worst_verdicts_and_totals() {
    let log = log(&several("NIL"));
    let (_, run) = log.rsplit_once("\n\n").expect("a block of its own");
    assert_eq!(run, RUN);
}

const RUN: &str = "\
12:00:09.900    == 9 connections in 8.90 s
                | server at fault: BODYSTRUCTURE at byte 61: expected a string,
                |   found NIL (#2, #6)
                | client at fault: uses IDLE, which it was not offered (#7)
                | refused by policy: a7 NO NIL (#5)
                | a limit: the mailbox is full (#8)
                | no problems found (#1, #4)
                | other connections: 1 waiting, 1 client stopped
                | 10,890 commands, 18 refused, 9 unanswered; 11,106 bytes from
                |   clients, 511,101 bytes from servers
                ! broken rules: 9 by clients, 0 by servers
                | capabilities used: IDLE, NIL
                | used, not advertised: COMPRESS=DEFLATE
                | hidden by a rule, tried all the same: IDLE
";

#[test]
fn json_ends_with_all_verdicts() {
    let run = last(&several("NIL"));
    let mut seen = BTreeSet::new();
    Schema::read(SCHEMA).check(&run, &mut seen).expect("it fits");
    assert_eq!((&run["kind"], &run["conn"], &run["from"]), (&json!("run"), &Value::Null, &Value::Null));
    assert_eq!(run["time"], "2026-11-24T12:00:09.900000000Z");
    let run = &run["run"];
    let kinds = json!({"server": 2, "client": 1, "refused": 1, "limit": 1, "waiting": 1, "stopped": 1, "none": 2});
    assert_eq!((&run["connections"], &run["ended"], &run["kinds"]), (&json!(9), &json!(9), &kinds));
    let verdicts = run["verdicts"].as_array().expect("a list");
    let worst = json!({
        "kind": "server", "culprit": "server", "check": "tag-unknown", "count": 2, "conn": 2,
        "text": "server at fault: BODYSTRUCTURE at byte 61: expected a string, found NIL",
    });
    assert_eq!(verdicts[0], worst);
    let order: Vec<&str> = verdicts.iter().filter_map(|it| it["kind"].as_str()).collect();
    assert_eq!(order, ["server", "client", "refused", "limit", "waiting", "stopped", "none"]);
    assert_eq!(run["used"][0], json!({"name": "IDLE", "count": 9}));
    assert_eq!((&run["received"]["client"], &run["lasted"]), (&json!(9 * 1_234), &json!(8.9)));
}

#[test]
fn a_page_begins_with_it_and_leads_to_the_connections() {
    let page = page(&several("NIL"));
    let read = markup::read(&page);
    assert!(read.open.is_empty(), "{:?}", read.open);
    let run =
        page.split("<section id=run ").nth(1).and_then(|rest| rest.split("</section>").next()).expect("it is there");
    assert!(
        run.contains("9 connections in 8.90 s")
            && run.contains("found NIL <a href=\"#c2\">#2</a>, <a href=\"#c6\">#6</a></li>"),
        "{run}"
    );
    assert!(run.find("server at fault") < run.find("client at fault"), "{run}");
    assert!(run.contains("no problems found") && run.contains("the mailbox is full"), "{run}");
    assert!(page.find("<section id=run ") < page.find("<section id=wrong "), "it stands above the findings");
    for number in 1..=9 {
        assert!(page.contains(&format!("<section class=conn id=c{number}>")), "{number}");
    }
}

#[test]
fn one_connection_has_said_all_by_itself() {
    let one: Vec<Made> = several("NIL").into_iter().take(2).collect();
    assert!(!log(&one).contains("connection in") && !log(&one).contains("1 connection"), "{}", log(&one));
    assert_eq!(last(&one)["kind"], "closed");
    assert!(!page(&one).contains("id=run"));
    assert_eq!(log(&[]), "");
}

#[test]
fn what_a_peer_said_is_escaped_in_it() {
    let events = several("\x1b[2J<script>x</script>\u{202e}");
    let (log, page) = (log(&events), page(&events));
    assert!(log.contains("found \\x1b[2J<script>") && !log.contains(['\x1b', '\u{202e}']), "{log}");
    assert!(page.contains("&lt;script&gt;x&lt;/script&gt;") && !page.contains("<script>x"), "{page}");
    markup::read(&page);
    assert!(last(&events)["run"]["verdicts"][0]["text"].as_str().is_some_and(|text| text.contains("\x1b[2J")));
}

/// However many connections there are, and whatever differs: what is said at the end stays short.
#[test]
fn ten_thousand_connections_with_verdicts_of_their_own_end_in_a_few_lines() {
    let mut events = Vec::new();
    for number in 0..1_112_u64 {
        let words: String = number.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
        let other = several(&(words + &"x".repeat(300)));
        events.extend(other.into_iter().map(|made| Made { connection: made.connection + 9 * number, ..made }));
    }
    let log = log(&events);
    let (_, run) = log.rsplit_once("\n\n").expect("a block of its own");
    assert!(run.contains("10,008 connections"), "{run}");
    for kind in ["| server at fault: ", "| client at fault: ", "| refused by policy: ", "| no problems found "] {
        assert_eq!(run.matches(kind).count(), 1, "each kind has its turn: {kind}: {run}");
    }
    assert!(run.lines().count() <= 40 && run.len() < 4_000, "{run}");
    let json = last(&events).to_string();
    assert!(json.len() < 32_000, "{} bytes", json.len());
    let page = page(&events);
    let run =
        page.split("<section id=run ").nth(1).and_then(|rest| rest.split("</section>").next()).expect("it is there");
    assert!(run.len() < 32_000, "{} bytes", run.len());
}

#[test]
fn connections_without_an_end_are_counted() {
    let ends = |made: Vec<u64>| {
        let ends = made
            .into_iter()
            .flat_map(|number| [opened(number, number, [false; 2]), closed(number + 3, number, Closer::Unseen)]);
        ends.collect::<Vec<_>>()
    };
    assert!(log(&ends(vec![1, 2])).contains(" == 2 connections in 4.0 ms; 2 have no recorded end\n"));
    let run = last(&ends(vec![1, 2]));
    assert_eq!((&run["run"]["connections"], &run["run"]["ended"]), (&json!(2), &json!(0)));
    let mixed: Vec<Made> = ends(vec![1]).into_iter().chain(several("NIL")).collect();
    assert!(log(&mixed).contains(" == 10 connections in 9.89 s; 1 has no recorded end\n"), "{}", log(&mixed));
}
