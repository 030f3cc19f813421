//! The filter of a page in a real browser: it takes the conditions that `read -f` takes, shows the lines that `read -f` shows, and says of
//! a wrong condition what `read -f` says. All dialogues are in the page, and hostile ones. Runs with `IMAPSCOPE_REAL=1`.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::dialogue::{Dialogue, Written, play};
use crate::program;
use imapscope::event::What;
use imapscope::exchange::Explained;
use imapscope::grammar::Grammar;
use imapscope::recording::{Head, Writer};
use imapscope::rules::filter::{Filter, FilterState};
use imapscope::sink::Sink;
use imapscope::sink::html::Html;
use imapscope::sink::style::{Body, Look};
use imapscope::verb::log::Informed;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Conditions with every field and every sign.
const CONDITIONS: &str = include_str!("../data/conditions.txt");

/// What no condition is.
const WRONG: &str = include_str!("../data/no-conditions.txt");

/// The same, with letters that no file should have.
const ODD: &[&str] = &["tag == \u{202e}\u{1}\"", "\tcommand \t==\t\tFETCH\t NOOP"];

/// What a page cannot do, and says so.
const ELSEWHERE: &[&str] = &[
    "text ~ \"(?x) a b\"",
    "text ~ \"(?u)é\"",
    "text ~ \"(?Rm)^a$\"",
    "text ~ \"((a{30}){30}){30}\"",
    "text ~ \"[aei].{800}[aei].{800}\\x00\"",
];

/// Dialogues with words in every place that could become markup, script or another fact.
const HOSTILE: &[(&str, &str)] = &[
    (
        "imap",
        "# x\n! --drop-cap </template>\nS: * OK [CAPABILITY IMAP4rev1 </template> X\"'&lt;] hi\n\
         C: </script> <!-- \\xe2\\x80\\xa8\\0\nS: </script> BAD [</template>\\x1b\\\\x41 &amp;] no\n\
         C: a\\xff2 LOGIN \"</template>\\xe2\\x80\\xa8\" secret\nS: a\\xff2 OK [X\\tY] in\n\
         C| a3 NOOP \\r\\r\\n\nS| a3 OK \\ndone\\r\nC: a4 \\\\n \\\\x41 \\\\u{41}\nS: a4 NO\n\
         C: ? -text\nS: ? OK first 7\nC: new size 1\nS: new OK ends lf\nC: *** *\nS: * ** *\nS: + ***",
    ),
    (
        "smtp",
        "# x\nS: 220 hi\nC: </template> &\nS: 500-\\xe2\\x80\\xa8\nS| 500 </script>\\n\nC: EHLO \\x85 \\xe9\nS: 250-x\nS: 250-AUTH </b>\nS: 250 SIZE <1>",
    ),
    (
        "managesieve",
        "# x\nS: \"IMPLEMENTATION\" \"</template>\\xe2\\x80\\xa8\"\nS: \"SIEVE\" \"a\\tb\"\nS: OK \"hi\"\nC: \"x\nS: NO (</script>) {3}\nS: <i>\nC: LISTSCRIPTS\nS: \"a\"\nS: OK",
    ),
];

/// All dialogues whose protocol the program knows, as connections of one session.
fn session(sink: &mut dyn Sink) {
    let mut dice = Dice(1);
    let letters: String = (0..40_000).map(|_| dice.one_of(&["a", "e", "i", "n", "s", "t", " "])).collect();
    let long = ("smtp", format!("# x\nS: 220 hi\nC: NOOP {letters}\nS: 250 ok"));
    let hostile =
        HOSTILE.iter().map(|(name, text)| (*name, (*text).to_owned())).chain([long]).map(|(name, text)| {
            (Dialogue::parse(&text).expect("a dialogue"), Grammar::builtin(name).expect("a protocol"))
        });
    let known = play::all().into_iter().filter(|(_, dialogue, _)| dialogue.grammar.is_none());
    let all = hostile.chain(known.map(|(_, dialogue, grammar)| (dialogue, grammar)));
    for (number, (dialogue, grammar)) in all.enumerate() {
        play::play(&dialogue, &grammar, (number as u64 + 1, usize::MAX, false), sink);
    }
}

/// What filters choose of the lines that a page numbers.
struct Judge {
    watches: Vec<(FilterState, Vec<u64>)>,
    lines: u64,
}

impl Judge {
    fn of<'a>(conditions: impl Iterator<Item = &'a str>) -> Self {
        let watch = |condition| FilterState::new(Filter::read(condition).unwrap_or_else(|problem| panic!("{problem}")));
        Judge { watches: conditions.map(|condition| (watch(condition), Vec::new())).collect(), lines: 0 }
    }
}

impl Sink for Judge {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let seen = !matches!(event.event.what, What::Octets(_));
        self.lines += u64::from(seen);
        for (watch, lines) in &mut self.watches {
            if watch.shows(event) && seen {
                lines.push(self.lines);
            }
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

/// What the page shows for each of these conditions.
fn ask(page: &Path, conditions: &[String]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/conditions.py");
    let asked = page.with_extension("asked");
    fs::write(&asked, serde_json::to_string(conditions).expect("strings")).expect("room");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg(page).stdin(fs::File::open(asked).expect("it was written"));
    let done = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("python3 runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(answers.len(), conditions.len());
    answers
}

fn lines(answer: &Value) -> Vec<u64> {
    answer["lines"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect()
}

/// The lines of a page, by what they show and their facts.
fn shown(page: &str) -> Vec<(String, String)> {
    let line = |row: &str| {
        let row = row.split("</li>\n").next().unwrap_or_default();
        let (row, facts) = row.split_once("<template>").expect("every line has facts");
        // The number differs where some are left out, and so does what is said of those.
        let row = row.split_once("</a>").map_or(row, |(_, row)| row);
        let told = row.find("<p>not shown: ").map(|at| at..at + row[at..].find("</p>").map_or(0, |end| end + 4));
        (told.map_or(row.to_owned(), |told| row.replace(&row[told], "")), facts.to_owned())
    };
    page.split("<li id=e").skip(1).map(line).collect()
}

fn wanted() -> bool {
    let wanted = std::env::var_os("IMAPSCOPE_REAL").is_some_and(|value| value == "1");
    if !wanted {
        println!("not run: set IMAPSCOPE_REAL=1 (needs chromium, python3)");
    }
    wanted
}

/// The program reads this recording.
fn read(recording: &Path, more: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
    program::output(command.arg("read").arg(recording).args(more).stdin(Stdio::null()).env("TZ", "UTC"))
}

/// A recording of the session, and its page as the program makes it.
fn recorded(folder: &Path) -> (PathBuf, PathBuf) {
    let (recording, page) = (folder.join("all.imapscope"), folder.join("all.html"));
    let protocols = ["imap", "smtp", "lmtp", "pop3", "managesieve", "nntp", "irc"];
    let form = |name: &&str| ((*name).to_owned(), Grammar::builtin(name).expect("a protocol").form);
    let head = Head { protocols: protocols.iter().map(form).collect(), ..Head::default() };
    let mut writer = Writer::new(fs::File::create(&recording).expect("a file"), head);
    session(&mut writer);
    writer.end().expect("room");
    let done = read(&recording, &["-o", &format!("html:{}", page.display()), "--body", "all"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (recording, page)
}

#[test]
fn a_page_shows_what_read_shows() {
    if !wanted() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (recording, page) = recorded(folder.path());
    let all = shown(&fs::read_to_string(&page).expect("UTF-8"));
    let conditions: Vec<String> = CONDITIONS.lines().map(str::to_owned).collect();
    for (condition, answer) in conditions.iter().zip(ask(&page, &conditions)) {
        assert_eq!(answer["mistake"], Value::Null, "{condition}");
        let done = read(&recording, &["-f", condition, "-o", "html", "--body", "all"]);
        assert!(done.status.success(), "{condition}: {}", String::from_utf8_lossy(&done.stderr));
        let kept = shown(std::str::from_utf8(&done.stdout).expect("UTF-8"));
        let in_page = lines(&answer);
        let mut of_page = in_page.iter().map(|line| (*line, &all[*line as usize - 1])).peekable();
        // What is asked of a secret is not in the page: its length, that of a record of TLS its octets.
        let asks =
            |facts: &str| ["size", "text"].iter().any(|field| condition.contains(field) && facts.contains(field));
        let mut unjudged = 0;
        for (row, facts) in &kept {
            if of_page.peek().is_some_and(|(_, (there, _))| there == row) {
                of_page.next();
                continue;
            }
            let unknown = facts.lines().find(|line| line.starts_with("? ")).unwrap_or_default();
            assert!(
                asks(unknown),
                "{condition}: the page lacks\n{row}\n{facts}\nand goes on with {:?}",
                of_page.peek()
            );
            unjudged += 1;
        }
        assert_eq!(of_page.next(), None, "{condition}: the page shows what read does not");
        let told = answer["count"].as_str().unwrap_or_default();
        assert!(unjudged == 0 || told.contains("cannot be judged"), "{condition}: {told}");
    }
}

/// The same numbers at every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.throw(all.len())]
    }

    /// Conditions joined at random.
    fn condition(&mut self) -> String {
        let conditions: Vec<&str> = CONDITIONS.lines().collect();
        let parts: Vec<String> = (0..2 + self.throw(3))
            .map(|_| {
                let not = self.one_of(&["", "", "!", "!!"]);
                format!("{not}({})", self.one_of(&conditions))
            })
            .collect();
        parts.into_iter().reduce(|all, part| format!("{all} {} {part}", self.one_of(&["&&", "||"]))).unwrap_or_default()
    }

    /// A regex of pieces that need not fit together.
    fn regex(&mut self) -> String {
        const PIECES: &[&str] = &[
            "a",
            "O",
            "K",
            " ",
            "1",
            "é",
            ".",
            "\\d",
            "\\W",
            "\\s",
            "[a-z]",
            "[^ ]",
            "[]a]",
            "[--/]",
            "[a-c&&b-z]",
            "[\\w--0-9]",
            "[a~~b]",
            "[[:alpha:]]",
            "[[:^digit:][x]]",
            "[[:nope:]]",
            "[\\xe0-\\xff]",
            "[",
            "]",
            "(",
            "(",
            ")",
            ")",
            "|",
            "*",
            "+",
            "?",
            "{2}",
            "{1,3}",
            "{0,}",
            "{ 2 }",
            "{",
            "}",
            "^",
            "$",
            "\\b",
            "\\B",
            "\\A",
            "\\z",
            "\\<",
            "\\>",
            "\\b{end}",
            "\\b{start-half}",
            "\\b{x}",
            "(?i)",
            "(?i:",
            "(?-i)",
            "(?m)",
            "(?s)",
            "(?U)",
            "(?:",
            "(?P<n>",
            "(?",
            "-",
            "&",
            "\\x41",
            "\\x{e9}",
            "\\xe2",
            "\\u0041",
            "\\x4",
            "\\",
            "\\/",
            "\\-",
            "\\_",
            "\\q",
            "\\n",
            "\\r",
            "\\t",
            "\\x00",
            "#",
            "[^\\D]",
            "[\\b]",
        ];
        let pieces: Vec<&str> = (0..1 + self.throw(7)).map(|_| self.one_of(PIECES)).collect();
        let field = self.one_of(&["text", "text", "command", "check", "capability"]);
        format!("{field} ~ \"{}\"", pieces.concat())
    }
}

/// Which lines are of a command or response of which something is asked in vain: a page does not have what it hides.
fn uncertain(lines: &[(String, String)]) -> Vec<bool> {
    let mut hidden = HashSet::new();
    let mut of = |(row, facts): &(String, String)| {
        let frame = facts.lines().next().and_then(|first| first.split_once(' '))?;
        let key = (row.split("</b>").next()?.to_owned(), row.contains(">S"), frame.1.to_owned());
        if facts.contains("\n? ") {
            hidden.insert(key.clone());
        }
        Some(hidden.contains(&key))
    };
    lines.iter().map(|line| of(line).unwrap_or_default()).collect()
}

#[test]
fn a_page_and_a_filter_agree_on_whatever_is_asked() {
    if !wanted() {
        return;
    }
    let mut dice = Dice(7);
    let joined: Vec<String> = (0..100).map(|_| dice.condition()).collect();
    let mut conditions: Vec<String> = (0..300).map(|_| dice.regex()).collect();
    conditions.extend(joined);
    conditions.extend(CONDITIONS.lines().map(str::to_owned));
    let read: Vec<bool> = conditions.iter().map(|condition| Filter::read(condition).is_ok()).collect();
    let good = || conditions.iter().zip(&read).filter(|(_, good)| **good).map(|(condition, _)| condition.as_str());
    assert!(
        good().count() > 250 && good().count() < conditions.len() - 80,
        "{} of {}",
        good().count(),
        conditions.len()
    );

    let written = Written::default();
    let look = Look { body: Body::All, ..Look::default() };
    let mut html = Informed(Html::with_zone(written.clone(), look, TimeZone::UTC));
    session(&mut html);
    html.end().expect("memory has room");
    let mut judge = Judge::of(good());
    session(&mut judge);
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    fs::write(&page, written.text()).expect("room");
    let uncertain = uncertain(&shown(&written.text()));
    assert_eq!(judge.lines as usize, uncertain.len());
    assert!(uncertain.iter().filter(|uncertain| **uncertain).count() < uncertain.len() / 10, "few have secrets");

    let mut judged = judge.watches.iter();
    for ((condition, good), answer) in conditions.iter().zip(read).zip(ask(&page, &conditions)) {
        let mistake = &answer["mistake"];
        if !good {
            assert_ne!(*mistake, Value::Null, "{condition} is refused by the program");
            continue;
        }
        assert_eq!(*mistake, Value::Null, "{condition} is taken by the program");
        let certain = |line: &u64| !uncertain[*line as usize - 1];
        let wanted: Vec<u64> =
            judged.next().map(|(_, lines)| lines.iter().copied().filter(certain).collect()).unwrap_or_default();
        let there: Vec<u64> = lines(&answer).into_iter().filter(certain).collect();
        assert_eq!(there, wanted, "{condition}");
    }
}

#[test]
fn a_page_refuses_what_read_refuses_and_says_why() {
    if !wanted() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (recording, page) = recorded(folder.path());
    let all = shown(&fs::read_to_string(&page).expect("UTF-8")).len();
    let asked: Vec<String> = WRONG.lines().chain(ODD.iter().chain(ELSEWHERE).copied()).map(str::to_owned).collect();
    for (condition, answer) in asked.iter().zip(ask(&page, &asked)) {
        assert_eq!(lines(&answer).len(), all, "{condition} filters nothing");
        let said: Vec<&str> = answer["mistake"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!(said.len(), 3, "{condition}: {answer}");
        if ELSEWHERE.contains(&condition.as_str()) {
            assert!(Filter::read(condition).is_ok(), "{condition} is a condition all the same");
            assert!(said[0].contains("is not for a page; `imapscope read -f` can do it"), "{condition}: {}", said[0]);
            continue;
        }
        let problem = Filter::read(condition).expect_err(condition);
        let place = problem.origin.rsplit(':').next().unwrap_or_default();
        let mut drawn = problem.what.splitn(2, "\n    ");
        let what = drawn.next().unwrap_or_default();
        let picture = drawn.next().unwrap_or_default().replace("\n    ", "\n");
        // Why a regex is wrong, each says in its own words.
        let what = what
            .split("this regex cannot be used: ")
            .next()
            .filter(|before| before.is_empty())
            .map_or(what, |_| "this regex cannot be used: ");
        assert!(
            said[0].starts_with(&format!("Not a condition, from letter {place} on: {what}")),
            "{}\n{problem}",
            said[0]
        );
        assert_eq!((said[1], said[2]), (picture.as_str(), problem.help.as_str()), "{condition}");
        let done = read(&recording, &["-f", condition]);
        assert_eq!(done.status.code(), Some(2), "{condition}");
    }
}
