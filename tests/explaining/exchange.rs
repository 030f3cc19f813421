//! One definition of the command of an event: a rule, a filter, json and the page's facts say the same of every text and block of
//! every dialogue, and of random pipelines, with more commands in flight than anybody keeps, too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use imapscope::event::{Kind, Oddity, Peer, Text, Value, What};
use imapscope::exchange::{Explained, Tie};
use imapscope::grammar::Grammar;
use imapscope::rules::filter::{Filter, FilterState, known};
use imapscope::rules::{Rules, Source};
use imapscope::sink::Sink;
use imapscope::sink::json::Json;
use proptest::prelude::*;

use crate::dialogue::{Dialogue, Step, play};

/// Finds summaries that call a list of mechanisms unused although the client named one of them.
#[derive(Default)]
struct Mechanisms {
    wrong: Vec<String>,
    logins: usize,
}

impl Sink for Mechanisms {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let Some(summary) = event.summary else { return Ok(()) };
        let uses = |prefix: &str| summary.used.iter().any(|used| used.name.starts_with(prefix));
        if uses("AUTH=") {
            self.logins += 1;
            let lines = summary.unused.iter().filter(|name| ["AUTH", "SASL"].contains(&&***name));
            self.wrong.extend(lines.map(|name| format!("{name} is not used, and a mechanism of it is")));
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

/// In all protocols alike: AUTH of SMTP, SASL of POP3 and ManageSieve.
#[test]
fn a_list_of_mechanisms_is_used_with_each_of_them() {
    let mut logins = 0;
    for (file, dialogue, grammar) in play::all() {
        let mut mechanisms = Mechanisms::default();
        play::play(&dialogue, &grammar, (1, usize::MAX, false), &mut mechanisms);
        logins += mechanisms.logins;
        assert!(mechanisms.wrong.is_empty(), "{}: {:?}", file.display(), mechanisms.wrong);
    }
    assert!(logins > 40, "{logins}");
}

/// Collects the verbs of a conversation.
#[derive(Default)]
struct Verbs(BTreeSet<String>);

impl Sink for Verbs {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let shown = |verb: &&str| verb.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
        self.0.extend(event.connection.command().filter(shown).map(str::to_owned));
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks everybody which command an event has, and writes down who disagrees.
struct Judge {
    verbs: Vec<String>,
    filters: Vec<FilterState>,
    /// The rules are ours: those that would act name the command.
    ruled: bool,
    events: usize,
    guesses: usize,
    wrong: String,
}

/// A condition that holds for a command of exactly this verb.
fn exactly(verb: &str) -> String {
    format!("command ~ \"^{verb}$\"")
}

/// What the rule that acts on a verb is.
fn rule(verb: &str) -> String {
    format!("s/^/x/ when {}", exactly(verb))
}

impl Judge {
    fn new(verbs: Vec<String>, ruled: bool) -> Self {
        let filter = |verb: &String| FilterState::new(Filter::read(&exactly(verb)).expect("a condition"));
        Judge { filters: verbs.iter().map(filter).collect(), verbs, ruled, events: 0, guesses: 0, wrong: String::new() }
    }
}

impl Sink for Judge {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let shown: Vec<bool> = self.filters.iter_mut().map(|filter| filter.shows(event)).collect();
        let (What::Text(_) | What::Data(_)) = event.event.what else { return Ok(()) };
        self.events += 1;
        let lent = event.connection.command().map(str::to_owned);
        self.guesses += usize::from(event.connection.exchange().is_some_and(|(_, tie)| tie == Tie::Guess));
        let mut line = Vec::new();
        let mut json = Json::new(&mut line);
        json.put(event)?;
        json.flush()?;
        drop(json);
        let line: serde_json::Value = serde_json::from_slice(&line).expect("a line of JSON");
        let uid = if line["uid"] == true { "UID " } else { "" };
        let json = line["command"].as_str().map(|name| format!("{uid}{name}"));
        let page = known(event, |known| {
            let facts = &known.expect("a text has facts").facts;
            facts.iter().find(|(field, _)| *field == "command").map(|(_, value)| match value {
                Value::Words(words) => String::from_utf8_lossy(&words[0]).into_owned(),
                other => panic!("{other:?} is no verb"),
            })
        });
        let filtered: Vec<&String> =
            self.verbs.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(verb, _)| verb).collect();
        let asked = lent.iter().filter(|verb| self.verbs.contains(verb)).collect::<Vec<_>>();
        let mut differ = json != lent || page != lent || filtered != asked;
        let mut rules = None;
        if let What::Text(text) = &event.event.what
            && self.ruled
            && is_whole(event, text)
            // Rules are not asked about other protocols.
            && !matches!(text.reading.kind, Kind::Foreign(_))
        {
            let edits = || text.edit.iter();
            let would = edits().flat_map(|edit| &edit.would).map(|(rule, _)| &**rule);
            let refused = edits().flat_map(|edit| &edit.refused).map(|(rule, _)| &**rule);
            let would: Vec<&str> = would.chain(refused).collect();
            differ |= would != asked.iter().map(|verb| rule(verb)).collect::<Vec<_>>();
            rules = Some(would.join(", "));
        }
        if differ {
            let text = String::from_utf8_lossy(&event.bytes[..event.bytes.len().min(60)]).into_owned();
            let from = event.event.from.word();
            let _ = writeln!(
                self.wrong,
                "{from} {text:?}: lent {lent:?}, json {json:?}, page {page:?}, filters {filtered:?}, rules {rules:?}"
            );
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

/// Returns false for a text that was cut off: no rule is asked about it. A response of ManageSieve ends with a status or a literal.
fn is_whole(event: &Explained<'_>, text: &Text) -> bool {
    let cut = [Oddity::Truncated, Oddity::CutShort].iter().any(|odd| text.oddities.contains(odd));
    let goes_on = matches!(text.reading.kind, Kind::Info { .. } | Kind::More) && text.reading.literal.is_none();
    let managesieve = event.connection.protocol() == Some("managesieve");
    !cut && event.bytes.ends_with(b"\n") && !(managesieve && goes_on)
}

/// Plays a conversation with a rule for each of its verbs, which would act; how many texts and guesses there were, and who disagreed.
fn judge(dialogue: &mut Dialogue, grammar: &Arc<Grammar>) -> Judge {
    dialogue.rules = Arc::default();
    let mut verbs = Verbs::default();
    play::play_cut(dialogue, &dialogue.steps, grammar, (1, true), &|bytes| vec![bytes], &mut verbs);
    let verbs: Vec<String> = verbs.0.into_iter().collect();
    let rules: Vec<Source> = verbs.iter().enumerate().map(|(at, verb)| Source::rule(at + 1, &rule(verb))).collect();
    dialogue.rules = Arc::new(Rules::compile(&rules).expect("rules").dry());
    let mut judge = Judge::new(verbs, true);
    play::play_cut(dialogue, &dialogue.steps, grammar, (1, true), &|bytes| vec![bytes], &mut judge);
    judge
}

#[test]
fn everybody_says_the_same_of_every_dialogue() {
    let (mut events, mut guesses, mut wrong) = (0, 0, String::new());
    for (file, mut dialogue, grammar) in play::all() {
        // As its own rules have it, secrets hidden; then with rules that ask for each verb.
        let mut own = Judge::new(Vec::new(), false);
        play::play(&dialogue, &grammar, (1, usize::MAX, false), &mut own);
        let asked = judge(&mut dialogue, &grammar);
        for judge in [own, asked] {
            events += judge.events;
            guesses += judge.guesses;
            if !judge.wrong.is_empty() {
                let _ = writeln!(wrong, "{}:\n{}", file.display(), judge.wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(events > 5_000 && guesses > 300, "{events} events, {guesses} guesses");
}

/// A step in which a peer says something.
fn says(from: Peer, bytes: impl Into<Vec<u8>>) -> Step {
    Step::Send { from, bytes: bytes.into(), becomes: None, answer: Vec::new() }
}

/// A conversation of these steps, in this protocol.
fn conversation(steps: Vec<Step>) -> Dialogue {
    Dialogue { grammar: None, rules: Arc::default(), filter: None, steps, log: String::new() }
}

/// A protocol, what begins its conversations, and what peers say in random ones: `T` is a tag, one of a few.
type Tongue = (&'static str, &'static [(Peer, &'static str)], &'static [&'static str], &'static [&'static str]);

const TONGUES: &[Tongue] = &[
    (
        "imap",
        &[
            (Peer::Server, "* OK hi\r\n"),
            (Peer::Client, "a LOGIN b c\r\n"),
            (Peer::Server, "a OK in\r\n"),
            (Peer::Client, "b SELECT x\r\n"),
            (Peer::Server, "b OK in\r\n"),
        ],
        &[
            "T NOOP\r\n",
            "T FETCH 1 FLAGS\r\n",
            "T uid  fetch 1 FLAGS\r\n",
            "T SEARCH ALL\r\n",
            "T IDLE\r\n",
            "DONE\r\n",
            "T APPEND x {3}\r\n",
            "T APPEND x {3+}\r\nabc\r\n",
            "abc\r\n",
            "T AUTHENTICATE PLAIN\r\n",
            "AGEAYg==\r\n",
            "*\r\n",
            "T\r\n",
            "\r\n",
            "T W\u{fc}RST\r\n",
        ],
        &[
            "T OK done\r\n",
            "T NO {3}\r\n",
            "T BAD what\r\n",
            "* 1 FETCH (FLAGS ())\r\n",
            "* 1 FETCH (BODY[] {3}\r\nabc)\r\n",
            "* 3 EXISTS\r\n",
            "* OK still here\r\n",
            "* BYE\r\n",
            "+ go on\r\n",
            "+\r\n",
            "what\r\n",
            "\r\n",
            "x9 OK nobody asked\r\n",
        ],
    ),
    (
        "smtp",
        &[(Peer::Server, "220 hi\r\n"), (Peer::Client, "EHLO x\r\n"), (Peer::Server, "250-hi\r\n250 PIPELINING\r\n")],
        &[
            "NOOP\r\n",
            "mail FROM:<a@b>\r\n",
            "RCPT TO:<a@b>\r\n",
            "DATA\r\n",
            "a line\r\n",
            ".\r\n",
            "BDAT 3\r\nabc",
            "AUTH PLAIN\r\n",
            "AGEAYg==\r\n",
            "RSET\r\n",
            "\r\n",
        ],
        &[
            "250 ok\r\n",
            "250-a\r\n250 b\r\n",
            "354 go\r\n",
            "334 \r\n",
            "150 wait\r\n",
            "503 no\r\n",
            "421 bye\r\n",
            "what\r\n",
        ],
    ),
    (
        "pop3",
        &[(Peer::Server, "+OK hi\r\n"), (Peer::Client, "USER a\r\nPASS b\r\n"), (Peer::Server, "+OK\r\n+OK\r\n")],
        &[
            "NOOP\r\n",
            "list\r\n",
            "LIST 1\r\n",
            "RETR 1\r\n",
            "AUTH\r\n",
            "AUTH PLAIN\r\n",
            "AGEAYg==\r\n",
            "CAPA\r\n",
            "\r\n",
        ],
        &["+OK\r\n", "+OK\r\na\r\n.\r\n", "-ERR no\r\n", "+ \r\n", "what\r\n"],
    ),
    (
        "managesieve",
        &[
            (Peer::Server, "\"SIEVE\" \"x\"\r\nOK\r\n"),
            (Peer::Client, "AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n"),
            (Peer::Server, "OK\r\n"),
        ],
        &[
            "NOOP\r\n",
            "LISTSCRIPTS\r\n",
            "PUTSCRIPT \"a\" {3+}\r\nabc\r\n",
            "GETSCRIPT \"a\"\r\n",
            "CAPABILITY\r\n",
            "\r\n",
        ],
        &["OK\r\n", "NO {3}\r\nabc\r\n", "\"a\" ACTIVE\r\n", "{3}\r\nabc\r\n", "BYE\r\n", "what\r\n"],
    ),
];

/// Random pipelines: `(tongue, steps)`, where a step is who speaks, which of the lines, and which of four tags.
fn pipeline() -> impl Strategy<Value = (usize, Vec<Step>)> {
    let step = (any::<bool>(), any::<prop::sample::Index>(), 0..4_u8);
    (0..TONGUES.len(), prop::collection::vec(step, 1..60)).prop_map(|(which, steps)| {
        let (_, opening, client, server) = TONGUES[which];
        let begun = opening.iter().map(|(from, line)| says(*from, *line));
        let said = steps.into_iter().map(|(speaks, line, tag)| {
            let (from, lines) = if speaks { (Peer::Client, client) } else { (Peer::Server, server) };
            let line = lines[line.index(lines.len())];
            says(from, line.strip_prefix('T').map_or(line.to_owned(), |rest| format!("t{tag}{rest}")))
        });
        (which, begun.chain(said).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn everybody_says_the_same_of_random_pipelines((which, steps) in pipeline()) {
        let grammar = Grammar::builtin(TONGUES[which].0).expect("it is built in");
        let judge = judge(&mut conversation(steps), &grammar);
        prop_assert!(judge.wrong.is_empty(), "{}", judge.wrong);
    }
}

/// More commands in flight than json remembered once, than a session keeps with tags, and than it keeps in a queue.
#[test]
fn everybody_says_the_same_of_long_pipelines() {
    for (protocol, count) in [("imap", 1501), ("imap", 900), ("smtp", 1501), ("smtp", 4103), ("pop3", 4101)] {
        let (_, opening, ..) = TONGUES.iter().find(|(name, ..)| *name == protocol).expect("a tongue");
        let verbs = ["NOOP", "RSET", "VRFY x"];
        let ahead = (0..count).map(|nth| {
            let tag = if protocol == "imap" { format!("t{nth} ") } else { String::new() };
            says(Peer::Client, format!("{tag}{}\r\n", verbs[nth % verbs.len()]))
        });
        let answers = (0..count).flat_map(|nth| match protocol {
            // In an order of their own, with untagged data between them.
            "imap" => vec![format!("t{} OK\r\n", (nth * 7) % count), "* 1 EXISTS\r\n".to_owned()],
            "smtp" => vec!["250 ok\r\n".to_owned()],
            _ => vec!["+OK\r\n".to_owned()],
        });
        let answers = answers.map(|line| says(Peer::Server, line));
        let after = ["NOOP", "RSET"].map(|verb| {
            let tag = if protocol == "imap" { format!("after{verb} ") } else { String::new() };
            says(Peer::Client, format!("{tag}{verb}\r\n"))
        });
        let begun = opening.iter().map(|(from, line)| says(*from, *line));
        let steps: Vec<Step> = begun.chain(ahead).chain(answers).chain(after).collect();
        let grammar = Grammar::builtin(protocol).expect("it is built in");
        let judge = judge(&mut conversation(steps), &grammar);
        assert!(
            judge.wrong.is_empty(),
            "{protocol} {count}: {}",
            judge.wrong.lines().take(9).collect::<Vec<_>>().join("\n")
        );
        assert!(judge.events >= 2 * count, "{protocol} {count}: {} events", judge.events);
    }
}

/// A reply with a tag that nobody sent answers nothing: neither a rule, nor a filter, nor json gives it a command.
#[test]
fn what_answers_nothing_has_no_command() {
    let steps = [
        (Peer::Server, "* OK hi\r\n"),
        (Peer::Client, "a1 FETCH 1 FLAGS\r\n"),
        (Peer::Server, "* 1 FETCH (FLAGS ())\r\n"),
        (Peer::Server, "x NO not mine\r\n"),
        (Peer::Server, "a1 OK done\r\n"),
    ];
    let grammar = Grammar::builtin("imap").expect("it is built in");
    let mut dialogue = conversation(steps.map(|(from, line)| says(from, line)).to_vec());
    let judge = judge(&mut dialogue, &grammar);
    assert!(judge.wrong.is_empty() && judge.guesses == 1 && judge.events == 5, "{}", judge.wrong);
    let mut out = Vec::new();
    play::play(&dialogue, &grammar, (1, usize::MAX, false), &mut Json::new(&mut out));
    let lines = String::from_utf8(out).expect("UTF-8");
    let commands: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .filter(|line| line["from"] == "server")
        .map(|line| (line["command"].as_str().map(str::to_owned), line["guess"] == true))
        .collect();
    let fetch = || Some("FETCH".to_owned());
    assert_eq!(commands, [(None, false), (fetch(), true), (None, false), (fetch(), false)]);
}
