//! Reports of `lint`: what the log finds is in them, whatever it is, in every form; each form is sound; nothing that a peer sends is
//! markup, steers a terminal, or shows a secret; and a finding has the same fingerprint in another run.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use imapscope::check::{self, Check, concluded};
use imapscope::event::*;
use imapscope::exchange::Explained;
use imapscope::sink::lint::policy::Policy;
use imapscope::sink::lint::report::{MAX_OF_CHECK, MAX_PLACES, Report};
use imapscope::sink::lint::{self, SCHEMA, Shared, baseline};
use imapscope::sink::style::Look;
use imapscope::sink::{Sink, Sinks};
use proptest::prelude::*;
use regex::bytes::Regex;
use serde_json::Value;

use crate::canary::Parts;
use crate::dialogue::{Dialogue, Step, play};
use crate::sample::{self, Made};
use crate::schema::Schema;

/// The part of SARIF 2.1.0 that is used, with what the standard demands of it.
const SARIF: &str = include_str!("../data/sarif.schema.json");

/// Findings of the log, by check.
#[derive(Default)]
struct Found(BTreeMap<&'static str, u64>);

impl Sink for Found {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        for note in event.notes.iter().filter(|note| matches!(note.kind, NoteKind::Finding(_))) {
            *self.0.entry(note.check).or_default() += 1;
        }
        if let Some(cause) = event.summary.and_then(|summary| concluded(&summary.verdict)) {
            *self.0.entry(cause.check).or_default() += 1;
        }
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Two sinks as one.
struct Both<'a>(&'a mut dyn Sink, &'a mut dyn Sink);

impl Sink for Both<'_> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        self.0.put(event)?;
        self.1.put(event)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn shared(deny: &[&str], allow: &[&str]) -> Shared {
    Shared::new(Report::new(Policy::read(&words(deny), &words(allow)).expect("it can be meant")))
}

/// A report on these events.
fn of(events: &[Made], deny: &[&str]) -> Shared {
    let shared = shared(deny, &[]);
    sample::put_all(events, &mut shared.sink("made.txt", true));
    shared
}

/// The report on all dialogues, each a file; a part of it allowed and a part of it known.
fn everything() -> Shared {
    let first = shared(&[], &[]);
    let known = first_of_all(&first);
    let policy = Policy::read(&[], &words(&["bare-lf", "cut-off"])).expect("ids").knowing([known]);
    let shared = Shared::new(Report::new(policy));
    play_all(&shared);
    sample::put_all(&consequences(), &mut shared.sink("made.txt", true));
    sample::put_all(&flood(200), &mut shared.sink("flood.txt", false));
    let mut report = shared.lock();
    let number = report.begin("gone/\u{1b}[1m <x>.txt", false);
    report.files[number].failed = Some("no such file".to_owned());
    drop(report);
    shared
}

/// The fingerprint of a finding that dialogues have.
fn first_of_all(shared: &Shared) -> String {
    play_all(shared);
    let report = shared.lock();
    report.findings.iter().find(|finding| finding.check.id == "tag-unknown").expect("one").fingerprint.clone()
}

fn play_all(shared: &Shared) {
    for (path, dialogue, grammar) in play::all() {
        let name = path.strip_prefix(play::root()).expect("below it").display().to_string();
        play::play(&dialogue, &grammar, (1, usize::MAX, false), &mut shared.sink(&name, true));
    }
}

fn forms(report: &Report) -> [String; 5] {
    let text = |color| String::from_utf8(lint::text(report, Look { color, ..Look::default() })).expect("UTF-8");
    [text(false), lint::json(report), lint::sarif(report), lint::junit(report), baseline::write(report)]
}

/// A line of the server's with a finding of this check.
fn finding(millisecond: u64, frame: u64, line: &str, check: &Check, said: &str) -> Made {
    let mut made = sample::server(millisecond, State::Authenticated, line);
    if let What::Text(text) = &mut made.event.what {
        text.frame = frame;
    }
    made.notes.push(check.found(Peer::Server, said, check::Standard::Imap));
    made
}

/// A first cause and what follows from it, twice.
fn consequences() -> Vec<Made> {
    let first = finding(1, 5, "a7 OK\r\n", &check::imap::TAG_UNKNOWN, "the first cause");
    let mut events = vec![sample::opened(0, 1, [false, false]), first];
    for frame in [6, 7] {
        let mut later = finding(2, frame, "+ go\r\n", &check::session::CONTINUATION_UNASKED, "what follows from it");
        later.notes[0].consequence = Some(Consequence { frame: 5, check: "tag-unknown" });
        later.notes[0].span = Some(Span::new(0, 1));
        events.push(later);
    }
    let mut lost = finding(3, 9, "+ go\r\n", &check::session::CONTINUATION_UNASKED, "its cause is not here");
    lost.notes[0].consequence = Some(Consequence { frame: 1, check: "bare-cr" });
    events.push(lost);
    events
}

/// Findings of one kind that all differ.
fn flood(count: u32) -> Vec<Made> {
    let letters = |nth: u32| nth.to_string().bytes().map(|digit| char::from(digit + b'A' - b'0')).collect::<String>();
    let lines = (0..count).map(|nth| {
        let mut made = finding(1, u64::from(nth) + 1, "x\r\n", &check::line::NOT_UNDERSTOOD, "what is this");
        made.notes[0].about = Some(letters(nth));
        made
    });
    lines.collect()
}

#[test]
fn every_dialogue_has_the_findings_of_its_log_and_healthy_ones_have_none() {
    let mut healthy = 0;
    for (path, dialogue, grammar) in play::all() {
        let (mut found, shared) = (Found::default(), shared(&["quirk"], &[]));
        let mut lint = shared.sink("x", true);
        play::play(&dialogue, &grammar, (1, 40, false), &mut Both(&mut found, &mut lint));
        let report = shared.lock();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for finding in &report.findings {
            *counts.entry(finding.check.id).or_default() += finding.count;
        }
        assert_eq!(counts, found.0, "{}", path.display());
        let ours = report.findings.iter().all(|finding| !report.is_denied(finding));
        assert_eq!(report.code(), if ours { 0 } else { 3 }, "{}", path.display());
        healthy += u32::from(found.0.is_empty() && report.code() == 0);
    }
    assert!(healthy > 100, "{healthy}");
}

#[test]
fn the_object_fits_its_schema_all_of_which_occurs() {
    let shared = everything();
    let object: Value = serde_json::from_str(&lint::json(&shared.lock())).expect("JSON");
    let (schema, mut seen) = (Schema::read(SCHEMA), BTreeSet::new());
    assert_eq!(schema.check(&object, &mut seen), Ok(()));
    let missing: Vec<String> = schema.fields().into_iter().filter(|field| !seen.contains(field)).collect();
    assert!(missing.is_empty(), "described, and never seen: {missing:?}");
    let mut other = object.clone();
    other["findings"][0]["surplus"] = 1.into();
    assert!(schema.check(&other, &mut BTreeSet::new()).is_err());
}

#[test]
fn sarif_is_what_the_standard_demands() {
    let shared = everything();
    let report = shared.lock();
    let log: Value = serde_json::from_str(&lint::sarif(&report)).expect("JSON");
    let (schema, mut seen) = (Schema::read(SARIF), BTreeSet::new());
    assert_eq!(schema.check(&log, &mut seen), Ok(()));
    let missing: Vec<String> = schema.fields().into_iter().filter(|field| !seen.contains(field)).collect();
    assert!(missing.is_empty(), "described, and never seen: {missing:?}");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("a list");
    let results = run["results"].as_array().expect("a list");
    assert_eq!(results.len(), report.findings.len(), "what is allowed or known is there");
    for (result, finding) in results.iter().zip(&report.findings) {
        let number = result["ruleIndex"].as_u64().expect("a number") as usize;
        assert_eq!((&rules[number]["id"], result["ruleId"].as_str()), (&result["ruleId"], Some(finding.check.id)));
        let level = if finding.consequence.is_some() {
            "none"
        } else {
            ["note", "warning", "error"][finding.check.severity as usize]
        };
        assert_eq!(result["level"], level);
        // A result that has a level of its own is a failure (3.27.9), unless it is no result.
        assert_eq!(result["kind"].as_str(), finding.consequence.map(|_| "informational"));
        let suppressed = finding.standing != lint::policy::Standing::New;
        assert_eq!(result["suppressions"].as_array().map(Vec::is_empty), Some(!suppressed));
    }
    // A URI has no blank, control or bracket.
    let uri =
        run["invocations"][0]["toolExecutionNotifications"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
            ["uri"]
            .as_str();
    assert_eq!(uri, Some("gone/%1B%5B1m%20%3Cx%3E.txt"));
}

/// An element's name, and its attributes.
type Element = (String, Vec<(String, String)>);

/// Reads a document strictly: elements that are closed in their order, attributes in quotation marks, no bare markup, no character
/// that XML 1.0 does not have. Returns each element with its attributes, and all that is text.
fn document(text: &str) -> (Vec<Element>, String) {
    assert!(text.chars().all(|c| c == '\n' || c >= ' ' && !('\u{7f}'..='\u{9f}').contains(&c) && c != '\u{fffe}' && c != '\u{ffff}'));
    let mut rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("it says what it is");
    let (mut open, mut all, mut said) = (Vec::<String>::new(), Vec::new(), String::new());
    while let Some(at) = rest.find('<') {
        said += &plain(&rest[..at]);
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let inner = tag.strip_suffix('/').unwrap_or(tag);
        let (name, mut attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        let mut pairs: Vec<(String, String)> = Vec::new();
        while !attributes.is_empty() {
            let (key, value) = attributes.split_once("=\"").expect("a value in quotation marks");
            let (value, others) = value.split_once('"').expect("it is closed");
            assert!(pairs.iter().all(|(other, _)| other != key), "twice: {key}");
            pairs.push((key.to_owned(), plain(value)));
            attributes = others.trim_start();
        }
        all.push((name.to_owned(), pairs));
        if inner == tag {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty());
    (all, said)
}

/// A text without its entities.
fn plain(text: &str) -> String {
    assert!(!text.contains(['<', '>']), "{text}");
    let mut out = String::new();
    for (nth, part) in text.split('&').enumerate() {
        let known = [("amp;", "&"), ("lt;", "<"), ("gt;", ">"), ("quot;", "\""), ("apos;", "'")];
        let entity = known.iter().find(|(name, _)| part.starts_with(name));
        match entity {
            _ if nth == 0 => out += part,
            Some((name, c)) => out += &format!("{c}{}", &part[name.len()..]),
            None => panic!("an ampersand: {part}"),
        }
    }
    out
}

#[test]
fn junit_is_sound_and_counts_right() {
    let shared = everything();
    let report = shared.lock();
    let (elements, _) = document(&lint::junit(&report));
    let count = |wanted: &str| elements.iter().filter(|(name, _)| name == wanted).count().to_string();
    for suite in elements.iter().filter(|(name, _)| name.starts_with("testsuite")) {
        let value = |key: &str| suite.1.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        for (key, of) in [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
            assert_eq!(value(key), Some(count(of)), "{key}");
            assert_ne!(value(key).as_deref(), Some("0"), "{key}");
        }
    }
    let cases = elements.iter().filter(|(name, _)| name == "testcase");
    let names: BTreeSet<String> = cases.map(|(_, pairs)| format!("{}.{}", pairs[0].1, pairs[1].1)).collect();
    assert_eq!(names.len().to_string(), count("testcase"), "each once");
}

#[test]
fn what_follows_from_a_finding_is_under_it_and_does_not_count() {
    let shared = of(&consequences(), &["must"]);
    let report = shared.lock();
    assert_eq!((report.code(), report.denied.get("tag-unknown"), report.denied.len()), (3, Some(&1), 1));
    let [text, json, ..] = forms(&report);
    let first = text.find("  tag-unknown").expect("the first cause");
    let then = text.find("    then   server: what follows from it (continuation-unasked, 2 times)").expect("under it");
    assert!(first < then && text.matches("what follows from it").count() == 1, "{text}");
    assert!(text.contains("continuation-unasked [follows from bare-cr]"), "{text}");
    assert!(text.contains(": 1 must, 0 should, 0 quirk; 3 consequences\n"), "{text}");
    let object: Value = serde_json::from_str(&json).expect("JSON");
    let later = &object["findings"][1];
    assert_eq!(
        (&later["consequence"]["check"], later["denied"].as_bool()),
        (&object["findings"][0]["check"], Some(false))
    );
    assert_eq!(later["consequence"]["fingerprint"], object["findings"][0]["fingerprint"]);
    let alone = of(&[consequences().remove(0), consequences().remove(2)], &["must"]);
    assert_eq!(alone.lock().code(), 0, "a consequence does not count by itself");
}

#[test]
fn a_flood_is_counted_and_judged_and_hides_no_other() {
    let mut events = flood(5_000);
    events.push(finding(9, 9_999, "a1 OK\r\n", &check::imap::TAG_UNKNOWN, "another one"));
    events.extend((0..5_000).map(|_| finding(9, 10_000, "a1 OK\r\n", &check::imap::TAG_UNKNOWN, "another one")));
    let shared = of(&events, &["must"]);
    let report = shared.lock();
    assert_eq!(report.findings.len(), MAX_OF_CHECK + 1);
    assert!(report.findings.iter().all(|finding| finding.places.len() <= MAX_PLACES));
    assert_eq!((report.denied["not-understood"], report.denied["tag-unknown"]), (5_000, 5_001));
    let text = &forms(&report)[0];
    assert!(text.contains("not-understood: 4,936 more, of other lines or commands, left out here"), "{text}");
    assert!(text.contains("and 4,996 more"), "{text}");
    // What there is no room for is judged by the baseline, too.
    let again = Policy::read(&[], &[]).expect("fine").knowing(report.findings.iter().map(|it| it.fingerprint.clone()));
    let other = Shared::new(Report::new(again));
    sample::put_all(&events, &mut other.sink("x", true));
    assert_eq!(other.lock().denied.get("not-understood"), Some(&4_936));
}

#[test]
fn a_report_is_as_wide_as_a_terminal() {
    let shared = everything();
    let report = shared.lock();
    for width in [80, 100] {
        let text = lint::text(&report, Look { width: Some(width), ..Look::default() });
        for line in String::from_utf8(text).expect("UTF-8").lines() {
            // What has no blank is not broken.
            let longest = line.split(' ').map(str::len).max().unwrap_or_default();
            let wide = line.chars().count();
            assert!(wide <= usize::from(width) || longest > 50 || line.starts_with("    | "), "{wide}: {line}");
        }
    }
}

/// A run of a dialogue under other tags, message numbers and UIDs.
fn renamed(steps: &[Step]) -> Vec<Step> {
    let tag = Regex::new(r"(?-u)^([a-z]+)([0-9]+) ").expect("a pattern");
    let number = Regex::new(r"(?-u)(UID |^\* )([1-9][0-9]*)( EXISTS| RECENT|\))").expect("a pattern");
    let other = |bytes: &[u8]| {
        let bytes = tag.replace(bytes, &b"Q${1}7${2} "[..]);
        number.replace_all(&bytes, &b"${1}7${2}${3}"[..]).into_owned()
    };
    let step = |step: &Step| match step {
        Step::Send { from, bytes, .. } => {
            Step::Send { from: *from, bytes: other(bytes), becomes: None, answer: Vec::new() }
        }
        Step::Tls { from, name } => Step::Tls { from: *from, name: name.clone() },
        Step::Close { from } => Step::Close { from: *from },
        Step::Pause(time) => Step::Pause(*time),
    };
    steps.iter().map(step).collect()
}

#[test]
fn a_finding_has_the_same_fingerprint_in_another_run() {
    let (mut compared, mut all) = (0, BTreeMap::new());
    for (path, dialogue, grammar) in play::all() {
        let text = std::fs::read_to_string(&path).expect("a dialogue");
        // What is compressed cannot be renamed, and rules may name tags.
        if text.contains("COMPRESS") || text.contains("\n! ") {
            continue;
        }
        let run = |steps: &[Step], number: u64| {
            let shared = shared(&[], &[]);
            let mut sink = shared.sink("x", true);
            play::play_cut(&dialogue, steps, &grammar, (number, false), &|bytes| vec![bytes], &mut sink);
            let report = shared.lock();
            report.findings.iter().map(|it| (it.check.id, it.fingerprint.clone(), it.count)).collect::<Vec<_>>()
        };
        let (one, other) = (run(&dialogue.steps, 1), run(&renamed(&dialogue.steps), 77));
        assert_eq!(one, other, "{}", path.display());
        compared += one.len();
        for (check, fingerprint, _) in one {
            assert_eq!(*all.entry(fingerprint).or_insert(check), check);
        }
    }
    assert!(compared > 100 && all.len() > 60, "{compared} of {}", all.len());
}

/// Nothing of a form steers a terminal or is read in another direction.
fn harmless(form: &str) -> bool {
    form.chars().all(|c| c == '\n' || !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c) && c != '\u{200b}')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_bytes_are_text_in_every_form(
        line in proptest::collection::vec(any::<u8>(), 1..120), said in ".{0,80}", name in ".{0,40}", at in 0usize..120,
    ) {
        let mut made = sample::text(1, 1, Peer::Server, State::Authenticated, &line);
        let start = at.min(line.len() - 1);
        let said = format!("{said}\u{1b}[2J\u{202e}</failure><script>\"&'\r\n");
        let mut note = check::line::NUL_BYTE.found_at(Peer::Server, Span::new(start, start + 1), said.as_str(), check::Standard::Imap);
        note.about = Some(name.clone());
        made.notes.push(note);
        let shared = shared(&[], &[]);
        sample::put_all(&[made], &mut shared.sink(&format!("{name}\u{1b}]0;x\u{7}.txt"), true));
        let report = shared.lock();
        for form in forms(&report) {
            prop_assert!(harmless(&form), "{form:?}");
        }
        let [_, json, sarif, junit, base] = forms(&report);
        let object: Value = serde_json::from_str(&json).expect("JSON");
        prop_assert_eq!(object["findings"][0]["text"].as_str(), Some(said.as_str()));
        prop_assert!(serde_json::from_str::<Value>(&sarif).is_ok());
        prop_assert_eq!(baseline::read(base.as_bytes()).map(|known| known.len()), Ok(1));
        let (elements, text) = document(&junit);
        prop_assert!(elements.iter().all(|(name, _)| name != "script") && text.contains("</failure><script>"));
    }
}

/// What stands for secrets.
const CANARY: &str = "Zwq7Kanarie9Xv";

/// Logins in which something is wrong, in the line that has the secret or beside it.
const LOGINS: [&str; 12] = [
    "C: a1 LOGIN alice CANARY\\x00",
    "C: a1 LOGIN alice CANARY\\x0d!",
    "C: a1 LOGIN alice \"CANARY",
    "C: a1 LOGIN alice {14",
    "C: a1 LOGIN alice {14+}\nC: CANARY",
    "C: a1 AUTHENTICATE PLAIN AENBTkFSWQBaD3E3S2FuYXJpZTlYdg==",
    "C: a1 AUTHENTICATE PLAIN\nS: + \nC: AENBTkFSWQBaD3E3S2FuYXJpZTlYdg==\nS: a1 OK done",
    "C: a1 LOGIN alice CANARY\nS: a9 NO CANARY is wrong\nS: a1 OK done",
    "C: a1 LOGIN alice CANARY\nS: a1 OK done\nC: a2 LOGIN alice CANARY",
    "C: a1 LOGINN alice CANARY\nS: a1 BAD what is LOGINN CANARY\nC: a2 LOGIN alice CANARY\nS: a2 OK",
    "C: LOGIN alice CANARY\nS: LOGIN BAD CANARY",
    "C: a1 LOGIN alice CANARY\nS: CANARY",
];

#[test]
fn no_secret_is_in_a_report_that_the_log_hides() {
    let parts = Parts::of(&[CANARY]);
    let (mut hidden, mut found) = (0, 0);
    for login in LOGINS {
        let text = format!(
            "# A login.\nS: * OK [CAPABILITY IMAP4rev1 LITERAL-] hi\n{}\n---\n",
            login.replace("CANARY", CANARY)
        );
        let dialogue = Dialogue::parse(&text).unwrap_or_else(|problem| panic!("{login}: {problem}"));
        let grammar = imapscope::grammar::Grammar::builtin("imap").expect("built in");
        let (shared, mut log) = (shared(&[], &[]), Vec::new());
        {
            let mut pretty = imapscope::sink::pretty::Pretty::new(&mut log, Look::default());
            let mut lint = shared.sink("x", true);
            play::play(&dialogue, &grammar, (1, usize::MAX, false), &mut Both(&mut pretty, &mut lint));
            pretty.end().expect("room");
        }
        let report = shared.lock();
        found += report.findings.len();
        if parts.are_in(&log) {
            continue;
        }
        hidden += 1;
        for form in forms(&report) {
            assert!(!parts.are_in(form.as_bytes()), "{login}: {form}");
        }
    }
    assert!(hidden >= 9 && found >= 8, "{hidden} hide it, {found} findings");
}

#[test]
fn a_message_is_never_in_a_report() {
    let mut data = sample::data(1, Peer::Client, DataKind::Message, 21, b"Subject: Kanarie\r\n");
    data.notes.push(check::line::BARE_LF.found(Peer::Client, "a line of a message ends in LF", check::Standard::Smtp));
    let shared = of(&[data], &[]);
    let [text, ..] = forms(&shared.lock());
    assert!(text.contains("| C: (message, 21 octets)"), "{text}");
    assert!(forms(&shared.lock()).iter().all(|form| !form.contains("Kanarie")));
}

#[test]
fn sinks_of_a_report_are_sinks() {
    let shared = shared(&[], &[]);
    let mut sinks = Sinks::default();
    sinks.add("findings", Box::new(shared.sink("x", true)));
    sample::put_all(&sample::session(), &mut sinks);
    assert!(sinks.flush().is_ok() && sinks.end().is_ok() && !sinks.is_empty());
    assert_eq!(shared.lock().files[0].connections, 1);
}
