//! The table: each client against each capability that the server really lists, hidden and enforced. A client works on as it
//! did, finds another way, or fails; where it may fail is told here with the reason, and the proxy is never the cause: what
//! it changed are the names in the lists and, where they are enforced, commands that make use of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::job::{Bench, Column, IMAP, POP3, Place, SIEVE, SMTP};
use crate::peer::refusal::{Refusal, offered, pipelined, refusals, shapes};
use crate::peer::stand::{Both, Stand, directly, tail};
use crate::peer::tee::Record;
use crate::peer::{postfix, wanted};

/// Where a client fails, as it must: its name, capabilities, the ways in which they are taken away, and why.
type Exception = (&'static str, &'static [&'static str], &'static [Way], &'static str);

const BOTH: &[Way] = &[Way::Hidden, Way::Enforced];

const OF_IMAP: &[Exception] = &[
    ("neomutt", &["IMAP4rev1"], BOTH, "reads mail from servers with IMAP4rev1 or IMAP4 only"),
    ("offlineimap", &["IMAP4rev1"], BOTH, "talks to servers with IMAP4rev1 only"),
    ("imaplib", &["IMAP4rev1"], BOTH, "talks to servers with IMAP4rev1 only"),
    ("naive", &["IMAP4rev1"], BOTH, "talks to servers with IMAP4rev1 only"),
    (
        "naive",
        &[
            "BINARY",
            "ID",
            "IDLE",
            "LITERAL+",
            "MOVE",
            "NAMESPACE",
            "PREVIEW",
            "SEARCHRES",
            "STATUS=SIZE",
            "THREAD=REFERENCES",
            "UIDPLUS",
            "UNSELECT",
            "WITHIN",
        ],
        &[Way::Enforced],
        "uses it without looking",
    ),
];

const OF_SMTP: &[Exception] = &[
    ("swaks", &["AUTH"], BOTH, "is told to log in"),
    ("curl", &["AUTH"], BOTH, "goes on without a login, and mail is taken after one only"),
    ("msmtp", &["AUTH", "AUTH=PLAIN"], BOTH, "is told to log in with PLAIN"),
    ("smtplib", &["AUTH"], BOTH, "is told to log in"),
    ("uses-all", &["AUTH", "AUTH=PLAIN"], BOTH, "is told to log in with PLAIN"),
];

const OF_POP3: &[Exception] = &[
    ("curl", &["UIDL"], &[Way::Enforced], "is told to say UIDL"),
    ("poplib", &["USER"], &[Way::Enforced], "logs in with USER without looking"),
    ("mpop", &["USER"], &[Way::Enforced], "logs in with USER without looking"),
    ("fetchmail", &["USER"], &[Way::Enforced], "logs in with USER without looking"),
];

const OF_SIEVE: &[Exception] = &[
    ("python", &["SASL"], BOTH, "has nothing to log in with"),
    ("connect", &["SASL"], BOTH, "has nothing to log in with"),
    ("python", &["VERSION"], &[Way::Enforced], "checks and renames scripts without looking"),
    ("connect-tls", &["SIEVE"], BOTH, "talks to servers with SIEVE only"),
    ("connect", &["SIEVE"], BOTH, "talks to servers with SIEVE only"),
];

/// How a capability is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Hidden,
    Enforced,
}

/// What became of a job.
struct Seen {
    /// Why it was not done, if it was not.
    done: Result<(), String>,
    shapes: BTreeSet<String>,
    refused: Vec<Refusal>,
}

impl Seen {
    /// What it did and did not do otherwise than usual.
    fn difference(&self, usual: &BTreeSet<String>) -> String {
        let short = |shape: &String| shape.chars().take(60).collect::<String>();
        let refused = self.refused.iter().map(|refusal| format!("refused: {}", short(&refusal.command).trim_end()));
        let more = self.shapes.difference(usual).map(|shape| format!("+ {}", short(shape)));
        let less = usual.difference(&self.shapes).map(|shape| format!("- {}", short(shape)));
        refused.chain(less).chain(more).collect::<Vec<_>>().join("  ")
    }

    /// `W`: it works as without a rule, `F`: it falls back on something else, `X`: it fails.
    fn letter(&self, usual: &BTreeSet<String>) -> char {
        match &self.done {
            Err(_) => 'X',
            Ok(()) if self.refused.is_empty() && self.shapes == *usual => 'W',
            Ok(()) => 'F',
        }
    }
}

/// Does a job; a panic is its failure.
fn attempt(column: &Column, place: &Place<'_>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| (column.job)(place))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// What a client did, as far as another run of it would do the same.
fn told(scheme: &str, column: &Column, records: &[Record]) -> BTreeSet<String> {
    let mut shapes = shapes(scheme, records);
    if column.steady && pipelined(records) {
        shapes.insert("(several at once)".to_owned());
    }
    shapes
}

/// Does a job through the proxy, which takes these names away.
fn through(bench: &Bench, scheme: &'static str, column: &Column, dropped: &[String], way: Way) -> (Seen, Vec<Record>) {
    bench.reset(scheme);
    let without = column.without.iter().map(|name| (*name).to_owned());
    let dropped =
        &without.filter(|name| !dropped.contains(name)).chain(dropped.iter().cloned()).collect::<Vec<_>>()[..];
    let mut flags = dropped.iter().flat_map(|name| ["--drop-cap", name.as_str()]).collect::<Vec<_>>();
    if way == Way::Enforced {
        flags.push("--enforce");
    }
    let stand = Stand::ruled(scheme, &flags, bench.address(), ());
    let done = attempt(column, &Place { address: stand.address(), folder: stand.folder(), bench });
    let Both { log, near, mut far } = stand.end();
    assert_eq!(near.len(), far.len(), "a connection for each connection");
    for name in dropped {
        assert!(log.contains(&format!("`--drop-cap {name}`: applied")), "{name} is taken away:\n{}", tail(&log));
    }
    let mut refused = Vec::new();
    // Those that come at the same time may be in another order.
    for record in &near {
        let same = |other: &Record| catch_unwind(|| refusals(scheme, record, other, dropped)).is_ok();
        let index = if far.len() == 1 { 0 } else { far.iter().position(same).unwrap_or(0) };
        refused.extend(refusals(scheme, record, &far.remove(index), dropped));
    }
    for Refusal { command, answer } in &refused {
        assert_eq!(way, Way::Enforced, "nothing is refused that is only hidden: {command}");
        assert!(
            dropped.iter().any(|name| uses(scheme, name, command)),
            "{command} makes no use of {dropped:?}: {answer}"
        );
        assert!(
            log.contains("imapscope answers, and the server does not hear of it"),
            "the log tells:\n{}",
            tail(&log)
        );
    }
    (Seen { done, shapes: told(scheme, column, &near), refused }, near)
}

/// Does a job without the proxy, at a server that lacks a capability.
fn absent(bench: &Bench, address: SocketAddr, scheme: &'static str, column: &Column) -> Seen {
    bench.reset(scheme);
    let mut done = Ok(());
    let records = directly(address, |near, folder| {
        done = attempt(column, &Place { address: near.address, folder, bench });
    });
    Seen { done, shapes: told(scheme, column, &records), refused: Vec::new() }
}

/// Whether a line makes use of a capability, as far as the clients here do: what the proxy may refuse where it is gone.
fn uses(scheme: &str, capability: &str, line: &str) -> bool {
    let line = line.trim_end().to_ascii_uppercase();
    let command = if scheme == "imap" { line.split_once(' ').map_or("", |(_, command)| command) } else { &line };
    let command = command.replace('"', "");
    let begins = |words: &[&str]| words.iter().any(|word| command == *word || command.starts_with(&format!("{word} ")));
    if let Some(mechanism) = capability.strip_prefix("AUTH=") {
        return begins(&[&format!("AUTHENTICATE {mechanism}"), &format!("AUTH {mechanism}")]);
    }
    if let Some(algorithm) = capability.strip_prefix("THREAD=") {
        return begins(&[&format!("THREAD {algorithm}"), &format!("UID THREAD {algorithm}")]);
    }
    match (scheme, capability) {
        ("imap", "SASL-IR") => begins(&["AUTHENTICATE"]) && command.split(' ').count() > 2,
        ("imap", "LITERAL+") => command.ends_with("+}"),
        ("imap", "UIDPLUS") => begins(&["UID EXPUNGE"]),
        ("imap", "MOVE") => begins(&["MOVE", "UID MOVE"]),
        ("imap", "SORT") => begins(&["SORT", "UID SORT"]),
        ("imap", "ESEARCH") => begins(&["SEARCH RETURN", "UID SEARCH RETURN"]),
        ("imap", "LIST-EXTENDED") => begins(&["LIST"]) && command.contains(" RETURN ("),
        ("imap", "CONDSTORE" | "QRESYNC") => {
            ["MODSEQ", "CHANGEDSINCE", "(CONDSTORE", "QRESYNC"].iter().any(|word| command.contains(word))
        }
        ("imap", "BINARY") => command.contains("BINARY.PEEK["),
        ("imap", "PREVIEW") => command.contains("(PREVIEW)"),
        ("imap", "SEARCHRES") => command.contains("RETURN (SAVE)") || begins(&["FETCH $"]),
        ("imap", "STATUS=SIZE") => begins(&["STATUS"]) && command.contains(" SIZE)"),
        ("imap", "WITHIN") => begins(&["SEARCH"]) && command.contains("YOUNGER "),
        ("imap", "ID" | "ENABLE" | "IDLE" | "NAMESPACE" | "UNSELECT" | "NOTIFY") => begins(&[capability]),
        ("smtp", "CHUNKING") => begins(&["BDAT"]),
        ("smtp", "SIZE") => command.contains(" SIZE="),
        ("smtp", "8BITMIME") => command.contains(" BODY=8BITMIME"),
        ("smtp", "SMTPUTF8") => command.ends_with(" SMTPUTF8"),
        ("pop3", "SASL") => begins(&["AUTH"]),
        ("sieve", "SASL") => begins(&["AUTHENTICATE"]),
        ("sieve", "VERSION") => begins(&["RENAMESCRIPT", "CHECKSCRIPT", "NOOP"]),
        ("pop3", "USER") => begins(&["USER", "PASS"]),
        (_, "STARTTLS" | "AUTH" | "VRFY" | "ETRN" | "UIDL" | "TOP") => begins(&[capability]),
        _ => false,
    }
}

/// Where nothing is said of a cell, its client must do its job.
fn expected(exceptions: &[Exception], column: &Column, capability: &str, way: Way) -> Option<&'static str> {
    let fits = |(client, names, ways, _): &&Exception| {
        *client == column.name && names.contains(&capability) && ways.contains(&way)
    };
    exceptions.iter().find(fits).map(|(.., why)| *why)
}

/// A table while it is filled.
struct Table<'a> {
    scheme: &'static str,
    columns: &'static [Column],
    exceptions: &'a [Exception],
    /// What each client does where nothing is taken away.
    usual: Vec<BTreeSet<String>>,
    /// What the server lists to any of them.
    names: BTreeSet<String>,
    /// By capability and column: hidden, enforced.
    cells: Mutex<BTreeMap<(String, usize), [char; 2]>>,
    /// What falls back does otherwise.
    others: Mutex<BTreeSet<String>>,
    wrong: Mutex<Vec<String>>,
}

/// Fills the table of a protocol with so many workers, prints it, and compares it with what is expected.
fn fill(scheme: &'static str, columns: &'static [Column], exceptions: &[Exception], workers: usize) {
    let start = Instant::now();
    let table = Table::begin(scheme, columns, exceptions);
    // A listener of Postfix for each keyword, which lacks it.
    let rows = table.names.iter().filter(|name| !name.contains('=')).map(|name| [name.as_str()]).collect::<Vec<_>>();
    let rows = [&[][..]].into_iter().chain(rows.iter().map(|row| &row[..])).collect::<Vec<_>>();
    let pending = Mutex::new(table.names.iter().flat_map(|name| (0..columns.len()).map(move |index| (name, index))));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let bench = Bench::start(scheme, &rows);
                loop {
                    let Some((name, index)) = pending.lock().expect("no worker has failed").next() else { break };
                    let letters = [Way::Hidden, Way::Enforced].map(|way| table.cell(&bench, name, index, way));
                    table.cells.lock().expect("no worker has failed").insert((name.clone(), index), letters);
                }
            });
        }
    });
    table.end(start.elapsed().as_secs());
}

impl<'a> Table<'a> {
    /// Finds out what clients do, and servers list, where nothing is taken away.
    fn begin(scheme: &'static str, columns: &'static [Column], exceptions: &'a [Exception]) -> Table<'a> {
        let bench = Bench::start(scheme, &[&[]]);
        let (mut usual, mut names) = (Vec::new(), BTreeSet::new());
        for column in columns {
            let (seen, records) = through(&bench, scheme, column, &[], Way::Hidden);
            assert_eq!(seen.done, Ok(()), "{} does its job where nothing is hidden", column.name);
            names.extend(offered(scheme, &records));
            usual.push(seen.shapes);
        }
        assert!(names.len() > 4, "the server lists capabilities: {names:?}");
        let (cells, others, wrong) = (Mutex::default(), Mutex::default(), Mutex::default());
        Table { scheme, columns, exceptions, usual, names, cells, others, wrong }
    }

    /// Fills one cell.
    fn cell(&self, bench: &Bench, name: &str, index: usize, way: Way) -> char {
        let (column, usual) = (&self.columns[index], &self.usual[index]);
        let (seen, _) = through(bench, self.scheme, column, &[name.to_owned()], way);
        let letter = seen.letter(usual);
        let cell = format!("{} without {name}, {way:?}", column.name);
        if letter == 'F' {
            let told = format!("{cell}: {}", seen.difference(usual));
            self.others.lock().expect("no worker has failed").insert(told);
        }
        let told = match (&seen.done, expected(self.exceptions, column, name, way)) {
            (Ok(()), Some(why)) => Some(format!("{cell}: does its job, though it {why}")),
            (Err(error), None) => Some(format!("{cell}: fails: {error}")),
            _ => None,
        };
        let other = self
            .elsewhere(bench, name, column, way, letter)
            .filter(|there| there.done.is_ok() != seen.done.is_ok() || there.shapes != seen.shapes);
        let other = other.map(|there| {
            let shapes = format!("{:#?}\n{:#?}", there.shapes, seen.shapes);
            format!("{cell}: otherwise than at a server that lacks it: {:?}\n{shapes}", there.done)
        });
        self.wrong.lock().expect("no worker has failed").extend(told.into_iter().chain(other));
        letter
    }

    /// The same at a server that lacks the capability. What Postfix does not say it can, it does not do either; Dovecot does,
    /// as it does what is only hidden, and is asked only where the client made a difference.
    fn elsewhere(&self, bench: &Bench, name: &str, column: &Column, way: Way, letter: char) -> Option<Seen> {
        match (self.scheme, way) {
            // Behind STARTTLS the proxy, which does not read on, hides nothing.
            ("smtp", Way::Enforced) if !name.contains('=') && (column.name != "swaks-tls" || name == "STARTTLS") => {
                Some(absent(bench, bench.lacking(name), self.scheme, column))
            }
            ("imap", Way::Hidden) if letter != 'W' && !name.starts_with("AUTH=") => {
                let left = self.names.iter().filter(|other| *other != name && !other.starts_with("AUTH="));
                let bench = Bench::offering(&left.map(String::as_str).collect::<Vec<_>>().join(" "));
                Some(absent(&bench, bench.address(), self.scheme, column))
            }
            _ => None,
        }
    }

    /// Prints the table; fails where a cell is not as it should be.
    fn end(self, seconds: u64) {
        let cells = self.cells.into_inner().expect("no worker has failed");
        println!("\n{}: each cell is hidden, then enforced: W works as ever, F falls back, X fails\n", self.scheme);
        let heads = self.columns.iter().map(|column| format!("{:^13}", column.name)).collect::<String>();
        println!("{:22}{heads}", "capability");
        for name in &self.names {
            let letters = (0..self.columns.len()).map(|index| {
                let [hidden, enforced] = cells[&(name.clone(), index)];
                format!("{:^13}", format!("{hidden} {enforced}"))
            });
            println!("{name:22}{}", letters.collect::<String>());
        }
        println!();
        for told in self.others.into_inner().expect("no worker has failed") {
            println!("{told}");
        }
        println!("{} cells in {seconds} s", cells.len() * 2);
        let wrong = self.wrong.into_inner().expect("no worker has failed");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(cells.values().flatten().any(|letter| *letter == 'F'), "some client makes a difference");
    }
}

fn programs(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|column| column.needs).collect()
}

#[test]
fn clients_of_imap_do_without_each_capability() {
    if !wanted(&[&["dovecot", "script"][..], &programs(IMAP)].concat()) {
        return;
    }
    // Clients wait much and work little.
    fill("imap", IMAP, OF_IMAP, 8);
}

#[test]
fn clients_of_smtp_do_without_each_capability() {
    if !postfix::wanted(&[&["dovecot"][..], &programs(SMTP)].concat()) {
        return;
    }
    fill("smtp", SMTP, OF_SMTP, 4);
}

#[test]
fn clients_of_pop3_do_without_each_capability() {
    if !wanted(&[&["dovecot"][..], &programs(POP3)].concat()) {
        return;
    }
    fill("pop3", POP3, OF_POP3, 4);
}

#[test]
fn clients_of_managesieve_do_without_each_capability() {
    if !wanted(&[&["dovecot"][..], &programs(SIEVE)].concat()) {
        return;
    }
    fill("sieve", SIEVE, OF_SIEVE, 4);
}
