//! Rules over arbitrary texts: what does not match stays as it is, what is edited is still one text that announces
//! the same literal, and a list has the names that it should have. Any string may be given as a rule.

use crate::ruled::compile;
use imapscope::event::{Form, List, ListKind, MAX_TEXT, Peer, Reading, Span, State};
use imapscope::rules::{Edit, Options, Rules, Scene, Source};
use imapscope::wire::{self, Cut, Framer, Gather, body, imap, status};
use proptest::prelude::*;

fn edit(rules: &Rules, from: Peer, text: &[u8]) -> Option<Edit> {
    let reading: Reading = imap::read(from, text);
    rules.edit(
        &Scene {
            state: State::Selected,
            protocol: "imap",
            command: "NOOP",
            ..Scene::bare(from, text, Form::Imap, &reading, &|text| Some(imap::read(from, text)))
        },
        &mut rules.begin(1),
    )
}

/// The names in a text's list, as they stand there; `None` if it has no list.
fn names(from: Peer, text: &[u8]) -> Option<Vec<String>> {
    let list = imap::read(from, text).list?;
    Some(list.items.iter().map(|item| String::from_utf8_lossy(item.name.of(text)).into_owned()).collect())
}

const NAMES: [&str; 10] =
    ["IDLE", "idle", "IMAP4rev1", "IMAP4rev2", "AUTH=PLAIN", "AUTH=X", "UNSELECT", "UNSELECTFOO", "LITERAL+", "X"];

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(&NAMES[..]).prop_map(str::to_string)
}

/// What a list of names stands in: the peer, what is before and behind it.
fn place() -> impl Strategy<Value = (Peer, &'static str, &'static str)> {
    prop::sample::select(vec![
        (Peer::Server, "* CAPABILITY", "\r\n"),
        (Peer::Server, "* capability", "\n"),
        (Peer::Server, "* CAPABILITY", ""),
        (Peer::Server, "* CAPABILITY", " \r\n"),
        (Peer::Server, "* OK [CAPABILITY", "] IDLE is [CAPABILITY IDLE]\r\n"),
        (Peer::Server, "a1 NO [capability", "]\r\n"),
        (Peer::Server, "* PREAUTH [CAPABILITY", " ]hi\r\n"),
        (Peer::Server, "* ENABLED", "\r\n"),
        (Peer::Client, "a1 ENABLE", "\r\n"),
    ])
}

fn written(before: &str, names: &[(String, usize)], behind: &str) -> String {
    let names: String = names.iter().map(|(name, blanks)| format!("{}{name}", " ".repeat(blanks + 1))).collect();
    format!("{before}{names}{behind}")
}

fn rule() -> impl Strategy<Value = String> {
    let pattern = prop_oneof![name(), Just("AUTH=*".to_string()), Just("*".to_string()), Just("i*e*".to_string())];
    let action = prop_oneof![
        prop::collection::vec(pattern.clone(), 1..3).prop_map(|names| format!("drop-capability {}", names.join(" "))),
        prop::collection::vec(pattern.clone(), 1..3).prop_map(|names| format!("only-capabilities {}", names.join(","))),
        prop::collection::vec(name(), 1..3).prop_map(|names| format!("add-capability {}", names.join(" "))),
        (pattern, name()).prop_map(|(old, new)| format!("replace-capability {old} {new}")),
        "[a-zA-Z ]{0,8}|[0-9]{1,2}|[{][0-9][}]|[(]x[)]".prop_map(|words| format!("replace-text \"{words}\"")),
        "[A-Z0-9. ]{0,6}".prop_map(|code| format!("replace-code \"[{code}]\"")),
        ("[a-zA-Z*{}\" .?]{1,6}", "[a-zA-Z&{}\"0-9+~ ]{0,8}", "g?i?[1-3]?").prop_filter_map(
            "a regex",
            |(regex, replacement, flags)| {
                let line = format!("s/{regex}/{replacement}/{flags}");
                Rules::compile(&[Source::rule(1, &line)]).is_ok().then_some(line)
            }
        ),
    ];
    let condition = prop::sample::select(vec![
        "",
        " when from == server",
        " when !(from == server)",
        " when capability == IDLE || size > 30",
        " when status == OK",
    ]);
    (action, condition).prop_map(|(action, condition)| format!("{action}{condition}"))
}

fn text() -> impl Strategy<Value = (Peer, Vec<u8>)> {
    let list = (place(), prop::collection::vec((name(), 0usize..2), 0..6))
        .prop_map(|((from, before, behind), names)| (from, written(before, &names, behind).into_bytes()));
    let line = (
        prop::sample::select(vec![Peer::Client, Peer::Server]),
        "(a1|\\*|\\+)? ?(1 FETCH|LOGIN|OK|LIST|CAPABILITY|ENABLE)?[a-zA-Z\"\\\\ \\[\\]()]{0,20}(~?\\{[0-9]{1,3}\\+?\\})?",
        prop::sample::select(vec!["\r\n", "\n", ""]),
    )
        .prop_map(|(from, line, end)| (from, format!("{line}{end}").into_bytes()));
    let octets = (prop::sample::select(vec![Peer::Client, Peer::Server]), prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(from, mut octets)| {
            octets.retain(|&b| b != b'\n');
            octets.push(b'\n');
            (from, octets)
        });
    prop_oneof![3 => list, 2 => line, 1 => octets]
}

/// What the names of a list of lines are.
const KEYWORDS: [&str; 8] = ["SIZE", "size", "X-A", "HELP", "VERSION", "SIEVE", "STARTTLS", "8BITMIME"];
const MECHANISMS: [&str; 4] = ["PLAIN", "plain", "LOGIN", "X"];

/// A list of lines: its form, and its text.
fn block() -> impl Strategy<Value = (Form, String)> {
    let keyword = || prop::sample::select(&KEYWORDS[..]);
    let line = prop_oneof![
        4 => (keyword(), prop::sample::select(vec!["", "1000", "a b", " x "]), Just('-')),
        2 => (prop::sample::select(vec!["AUTH", "SASL"]), prop::sample::select(vec!["", "PLAIN", "X  LOGIN plain"]), Just('-')),
        1 => (Just("AUTH"), prop::sample::select(vec!["PLAIN", "LOGIN PLAIN X"]), Just('=')),
    ];
    let form = prop::sample::select(vec![Form::Codes, Form::Pop3, Form::Managesieve]);
    let end = prop::sample::select(vec!["\r\n", "\n"]);
    (form, prop::collection::vec(line, 0..7), end).prop_map(|(form, lines, end)| {
        let written = |(name, value, sign): &(&str, &str, char)| match (form, value.is_empty(), sign) {
            (Form::Managesieve, true, _) => format!("\"{name}\""),
            (Form::Managesieve, ..) => format!("\"{name}\" \"{value}\""),
            (_, true, _) => name.to_string(),
            (_, _, '=') => format!("{name}={value}"),
            _ => format!("{name} {value}"),
        };
        let mut lines: Vec<String> = lines.iter().map(written).collect();
        match form {
            Form::Codes => {
                lines.insert(0, "mx.example SIZE".to_string());
                let last = lines.len() - 1;
                let mark = |nth| if nth == last { "250 " } else { "250-" };
                lines = lines.iter().enumerate().map(|(nth, line)| format!("{}{line}", mark(nth))).collect();
            }
            Form::Pop3 => {
                lines.insert(0, "+OK SIZE".to_string());
                lines.push(".".to_string());
            }
            _ => {
                // Without a line it would be no list.
                lines.insert(0, "\"IMPLEMENTATION\" \"SIZE 1\"".to_string());
                lines.push("OK \"SIZE\"".to_string());
            }
        }
        (form, lines.iter().map(|line| format!("{line}{end}")).collect())
    })
}

/// How many octets the first text has.
fn first(form: Form, octets: &[u8]) -> usize {
    if octets.is_empty() {
        return 0;
    }
    let mut framer = Framer::default();
    framer.gather(match form {
        Form::Codes => Gather::Codes,
        Form::Pop3 => Gather::Dot,
        _ => Gather::Response,
    });
    match framer.cut(&mut &*octets) {
        Cut::Text { whole, .. } => whole.len(),
        _ => 0,
    }
}

/// The text's reading, if it is cut as one.
fn cut(form: Form, text: &[u8]) -> Option<Reading> {
    if text.is_empty() || first(form, text) != text.len() {
        return None;
    }
    let mut reading = wire::read(form, Peer::Server, text);
    if form != Form::Managesieve {
        reading.list = Some(status::list(form, text));
    }
    Some(reading)
}

/// A line of a list: the name, the mechanisms, and the whole line without what says that more follow.
type Listed = (String, Vec<String>, String);

/// The lines of a list.
fn listed(form: Form, text: &[u8]) -> Vec<Listed> {
    let reading = cut(form, text).unwrap_or_else(|| panic!("not one text: {}", String::from_utf8_lossy(text)));
    let List { items, .. } = reading.list.unwrap_or_else(empty);
    let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut lines: Vec<Listed> = Vec::new();
    for item in items {
        let name = own(item.name.of(text)).to_ascii_uppercase();
        match lines.last_mut().filter(|_| item.part) {
            Some((_, parts, _)) => parts.push(format!("AUTH={name}")),
            None => {
                let line = item.with_space.of(text);
                let from = if form == Form::Codes { 4 } else { 0 };
                lines.push((name, Vec::new(), own(&line[from..])));
            }
        }
    }
    lines
}

/// What a response of ManageSieve has that lists nothing.
fn empty() -> List {
    List { kind: ListKind::Lines(Form::Managesieve), whole: Span::default(), items: Vec::new() }
}

/// A name in a rule for lists of lines.
fn line_name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(&KEYWORDS[..]).prop_map(str::to_string),
        2 => prop::sample::select(&MECHANISMS[..]).prop_map(|name| format!("AUTH={name}")),
        1 => prop::sample::select(vec!["AUTH", "SASL", "NEW"]).prop_map(str::to_string),
        1 => prop::sample::select(vec!["SIZE 1000", "X-A a b", "NEW 1"]).prop_map(|name| format!("\"{name}\"")),
    ]
}

/// What is sent instead, with no rule refused.
fn sent(lines: &[String], form: Form, text: &str) -> Vec<u8> {
    let reading = cut(form, text.as_bytes()).unwrap_or_else(|| panic!("not one text: {text}"));
    let rules = compile(lines);
    let edit = rules.edit(
        &Scene {
            state: State::Ready,
            command: "EHLO",
            ..Scene::bare(Peer::Server, text.as_bytes(), form, &reading, &|text| cut(form, text))
        },
        &mut rules.begin(1),
    );
    let Some(edit) = edit else { return text.as_bytes().to_vec() };
    assert!(edit.refused.is_empty(), "{lines:?} on {text}: {edit:?}");
    edit.bytes.unwrap_or_default()
}

proptest! {
    #[test]
    fn no_string_is_too_odd_to_be_a_rule(line in "\\PC*", name in ".*") {
        let file = Source::file("rules", &format!("{line}\n{name}"));
        for source in file.into_iter().chain([Source::rule(1, &line), Source::rule(2, &name)]) {
            if let Err(problem) = Rules::compile(&[source]) {
                prop_assert!(!problem.to_string().contains(['\0', '\x1b', '\r']));
            }
        }
        let value = [name];
        for options in [
            Options { drop: &value, ..Options::default() },
            Options { only: &value, ..Options::default() },
            Options { add: &value, ..Options::default() },
            Options { replace: &value, ..Options::default() },
        ] {
            let _ = Rules::compile(&Source::options(options));
        }
    }

    #[test]
    fn no_near_rule_is_too_odd_either(
        line in "(drop-capability|s|add-capability)([ /\\[\\]\\\\&gé,\"*a{}0-9.]|when |from |==|~|!|\\(|\\)|&&|in ){0,24}"
    ) {
        if let Err(problem) = Rules::compile(&[Source::rule(1, &line)]) {
            prop_assert!(problem.origin.starts_with("--rule 1:"), "{}", problem);
        }
    }

    #[test]
    fn an_edited_text_is_still_one_text(
        lines in prop::collection::vec(rule(), 1..5),
        (from, text) in text(),
    ) {
        let rules = compile(&lines);
        let Some(edit) = edit(&rules, from, &text) else { return Ok(()) };
        prop_assert!(rules.touches(from));
        prop_assert_eq!(edit.bytes.is_none(), edit.fired.is_empty());
        prop_assert!(edit.bytes.is_some() || !edit.refused.is_empty());
        let Some(sent) = edit.bytes else { return Ok(()) };
        prop_assert_ne!(&sent, &text);
        prop_assert!(sent.len() <= MAX_TEXT);
        prop_assert_eq!(&sent[body(&sent).len()..], &text[body(&text).len()..]);
        for octet in [b'\r', b'\n', b'\0'] {
            let count = |text: &[u8]| text.iter().filter(|&&b| b == octet).count();
            prop_assert!(count(body(&sent)) <= count(body(&text)));
        }
        let literal = |text: &[u8]| imap::read(from, text).literal.map(|l| (l.len, l.synchronizing, l.binary));
        prop_assert_eq!(literal(&sent), literal(&text));
    }

    #[test]
    fn what_does_not_match_stays(lines in prop::collection::vec(rule(), 0..4), (from, text) in text()) {
        let never: Vec<String> = lines
            .iter()
            .map(|line| line.split(" when ").next().unwrap_or_default())
            .map(|action| format!("{action} when conn == 2 && from == {}", from.word()))
            .collect();
        prop_assert_eq!(edit(&compile(&never), from, &text), None);
        let other: Vec<String> = never.iter().map(|line| line.replace("conn == 2 &&", "conn == 1 &&")).collect();
        let other = compile(&other);
        prop_assert!(!other.touches(from.other()));
        prop_assert_eq!(edit(&other, from.other(), &text), None);
    }

    #[test]
    fn a_list_has_the_names_that_it_should_have(
        (from, before, behind) in place(),
        listed in prop::collection::vec((name(), 0usize..2), 0..6),
        named in name(),
        new in name(),
        verb in 0..4,
    ) {
        let text = written(before, &listed, behind);
        let offers = !before.to_ascii_uppercase().contains("ENABLE");
        let old: Vec<String> = listed.iter().map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(names(from, text.as_bytes()).unwrap_or_default(), old.clone());
        let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let revision = |name: &str| name.starts_with("IMAP4rev");
        let (line, mut intended): (String, Vec<String>) = match verb {
            0 => (format!("drop-capability {named}"), old.iter().filter(|name| !is(name, &named)).cloned().collect()),
            1 => {
                let stays = |name: &&String| is(name, &named) || (revision(name) && !revision(&named));
                (format!("only-capabilities {named}"), old.iter().filter(stays).cloned().collect())
            }
            2 => {
                let mut intended = old.clone();
                if offers && !old.iter().any(|name| is(name, &named)) {
                    intended.push(named.clone());
                }
                (format!("add-capability {named}"), intended)
            }
            _ => {
                let mut there = !is(&named, &new) && old.iter().any(|name| is(name, &new));
                let mut intended = Vec::new();
                for name in &old {
                    if !is(name, &named) || (!offers && is(&named, &new)) {
                        intended.push(name.clone());
                    } else if offers && !there {
                        there = true;
                        intended.push(new.clone());
                    }
                }
                (format!("replace-capability {named} {new}"), intended)
            }
        };
        if from == Peer::Client && intended.is_empty() && !old.is_empty() {
            intended.push("X-HIDDEN".to_string());
        }
        let edit = edit(&compile(&[line]), from, text.as_bytes());
        prop_assert_eq!(edit.is_none(), intended == old);
        let sent = edit.and_then(|edit| edit.bytes).unwrap_or_else(|| text.clone().into_bytes());
        prop_assert_eq!(names(from, &sent).unwrap_or_default(), intended.clone());
        if before.contains('[') && intended.is_empty() && !old.is_empty() {
            let start = before.split('[').next().unwrap_or_default();
            let rest = behind.trim_start_matches(' ').trim_start_matches(']').trim_start_matches(' ');
            prop_assert_eq!(String::from_utf8_lossy(&sent), format!("{start}{rest}"));
        }
    }

    #[test]
    fn a_reply_of_several_lines_stays_one(
        (form, text) in block(),
        acts in prop::collection::vec((0..4, line_name(), line_name()), 1..5),
    ) {
        let lines: Vec<String> = acts.iter().map(|(verb, one, other)| match verb {
            0 => format!("drop-capability {one} {other}"),
            1 => format!("only-capabilities {one} {other}"),
            2 => format!("add-capability {one} {other}"),
            _ => format!("replace-capability {one} {other}"),
        }).collect();
        let sent = sent(&lines, form, &text);
        let list = cut(form, &sent).and_then(|reading| reading.list);
        prop_assert!(list.is_some() || form == Form::Managesieve);
        let ends = |text: &[u8]| text.split_inclusive(|&b| b == b'\n').all(|line| line.ends_with(b"\r\n"));
        prop_assert_eq!(ends(&sent), ends(text.as_bytes()));
        if form == Form::Codes {
            let marks: Vec<u8> = status::lines(&sent).map(|(_, line)| line[3]).collect();
            prop_assert!(marks[..marks.len() - 1].iter().all(|&mark| mark == b'-') && marks.ends_with(b" "));
        }
    }

    #[test]
    fn lines_that_no_rule_names_stay(
        (form, text) in block(),
        verb in 0..4,
        named in line_name(),
        new in line_name(),
    ) {
        let old = listed(form, text.as_bytes());
        let upper = |name: &str| name.trim_matches('"').to_ascii_uppercase();
        let (one, other) = (upper(&named), upper(&new));
        let first = |name: &str| name.split(' ').next().unwrap_or_default().to_string();
        // What a rule may touch: lines of a name that it has, and of mechanisms if it has one.
        let touched = |(name, ..): &Listed| {
            let of_mechanisms = matches!(&**name, "AUTH" | "SASL");
            let has = |rule: &str| first(rule) == *name || (of_mechanisms && rule.starts_with("AUTH="));
            has(&one) || (verb == 3 && has(&other))
        };
        let others = |lines: &[Listed]| -> Vec<String> {
            lines.iter().filter(|line| !touched(line)).map(|(.., line)| line.clone()).collect()
        };
        let names = |lines: &[Listed]| -> Vec<String> {
            lines.iter().flat_map(|(name, parts, _)| parts.iter().chain([name]).cloned().collect::<Vec<_>>()).collect()
        };
        let line = match verb {
            0 => format!("drop-capability {named}"),
            1 => format!("only-capabilities {named}"),
            2 => format!("add-capability {named}"),
            _ => format!("replace-capability {named} {new}"),
        };
        let now = listed(form, &sent(&[line], form, &text));
        match verb {
            0 => {
                prop_assert!(!names(&now).contains(&one));
                prop_assert_eq!(others(&now), others(&old));
            }
            1 => {
                let needed = |name: &str| form == Form::Managesieve && matches!(name, "IMPLEMENTATION" | "VERSION" | "SIEVE");
                let stays = |(name, parts, _): &Listed| {
                    needed(name) || first(&one) == *name || parts.contains(&one)
                };
                prop_assert!(now.iter().all(stays));
                let whole = |lines: &[Listed]| -> Vec<String> {
                    lines.iter().filter(|(name, ..)| *name == one).map(|(.., line)| line.clone()).collect()
                };
                prop_assert_eq!(whole(&now), whole(&old));
                prop_assert!(names(&now).iter().all(|name| names(&old).contains(name)));
            }
            2 => {
                prop_assert!(names(&now).contains(&first(&one)));
                prop_assert_eq!(others(&now), others(&old));
                prop_assert!(now.len() <= old.len() + 1);
            }
            _ => {
                // A mechanism may bring the line back that it stands on.
                let again = first(&other) == one || (other.starts_with("AUTH=") && matches!(&*one, "AUTH" | "SASL"));
                prop_assert!(again || !names(&now).contains(&one));
                prop_assert_eq!(others(&now), others(&old));
            }
        }
    }

    #[test]
    fn no_reply_is_too_odd_to_be_edited(
        octets in "(250[- \t]?|101 |\\+OK|-ERR|\"|\"SASL|OK|AUTH|SASL|SIZE|=| |\\.|\\.\r\n|X|\\\\|\\{3\\}|\r|\n|\r\n){0,24}\n?",
        acts in prop::collection::vec((0..5, line_name(), line_name()), 1..4),
    ) {
        let lines: Vec<String> = acts.iter().map(|(verb, one, other)| match verb {
            0 => format!("drop-capability {one} {other}"),
            1 => format!("only-capabilities {one} {other}"),
            2 => format!("add-capability {one} {other}"),
            3 => format!("replace-capability {one} {other}"),
            _ => "s/^[^A]*A?/&&/ when capability ~ S || status ~ O".to_string(),
        }).collect();
        let rules = compile(&lines);
        for form in [Form::Codes, Form::Pop3, Form::Managesieve] {
            let text = &octets.as_bytes()[..first(form, octets.as_bytes())];
            // At the end of a connection a text has no end, too.
            for (text, read) in [(text, true), (octets.as_bytes(), false)] {
                let mut reading = wire::read(form, Peer::Server, text);
                if form != Form::Managesieve {
                    reading.list = Some(status::list(form, text));
                }
                let again = |text: &[u8]| if read { cut(form, text) } else { Some(wire::read(form, Peer::Server, text)) };
                let edit = rules.edit(&Scene {
                    state: State::Ready,
                    ..Scene::bare(Peer::Server, text, form, &reading, &again)
                }, &mut rules.begin(1));
                if let Some(sent) = edit.and_then(|edit| edit.bytes) {
                    prop_assert_eq!(&sent[body(&sent).len()..], &text[body(text).len()..]);
                    prop_assert!(!read || cut(form, &sent).is_some());
                }
            }
        }
    }
}
