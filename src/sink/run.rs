//! What a run of several connections comes to, in words: the verdicts, then totals.

use super::page::Page;
use super::style::Ink;
use crate::event::VerdictKind;
use crate::exchange::Run;
use crate::exchange::run::{Names, Shared};
use crate::wording::{amount, duration, thousands};

/// Maximum number of verdicts that the log shows.
const SHOWN: usize = 5;

/// Maximum number of capabilities that a list names.
const NAMED: usize = 8;

/// Returns how many connections there were, and how long it took.
#[must_use]
pub fn heading(run: &Run) -> String {
    let mut text = amount(run.connections, "connection");
    if let Some(lasted) = run.lasted() {
        text += &format!(" in {}", duration(lasted));
    }
    match run.unended {
        0 => {}
        1 => text += "; 1 has no recorded end",
        more => text += &format!("; {} have no recorded end", thousands(more)),
    }
    text
}

/// Returns the verdicts to show, and what to say of connections with others. If there are too many, those come first of which
/// each kind has the most connections.
#[must_use]
pub fn verdicts(run: &Run, most: usize) -> (Vec<&Shared>, Option<String>) {
    let all = run.verdicts();
    let rank = |at: usize| all[..at].iter().filter(|shared| shared.kind == all[at].kind).count();
    let mut places: Vec<usize> = (0..all.len()).collect();
    // That most went well is always said; in how many ways matters least.
    places.sort_by_key(|&at| match (all[at].kind, rank(at)) {
        (VerdictKind::None, 0) => (0, 0),
        (VerdictKind::None, rank) => (2, rank),
        (_, rank) => (1, rank),
    });
    places.truncate(most);
    places.sort_unstable();
    let shown: Vec<&Shared> = places.into_iter().map(|at| all[at]).collect();
    let others: Vec<String> = run
        .kinds()
        .filter_map(|(kind, connections)| {
            let told: u64 = shown.iter().filter(|shared| shared.kind == kind).map(|shared| shared.count).sum();
            (connections > told).then(|| format!("{} {}", thousands(connections - told), kind_of(kind)))
        })
        .collect();
    (shown, (!others.is_empty()).then(|| format!("other connections: {}", others.join(", "))))
}

/// Returns how many connections share a verdict beyond those that are named, if any: ` and 3 more`.
#[must_use]
pub fn more(shared: &Shared) -> String {
    match shared.count - shared.connections.len() as u64 {
        0 => String::new(),
        more => format!(" and {} more", thousands(more)),
    }
}

/// A verdict in two or three words.
#[must_use]
pub const fn kind_of(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Server => "server at fault",
        VerdictKind::Client => "client at fault",
        VerdictKind::Refused => "refused",
        VerdictKind::Limit => "limit reached",
        VerdictKind::Waiting => "waiting",
        VerdictKind::Stopped => "client stopped",
        VerdictKind::None => "no problems",
    }
}

/// Returns the totals: `24 commands, 1 refused; 60 bytes from clients, 120 bytes from servers`.
#[must_use]
pub fn totals(run: &Run) -> String {
    let [sent, refused, unanswered] = run.commands;
    let mut text = amount(sent, "command");
    for (number, word) in [(refused, "refused"), (unanswered, "unanswered")] {
        if number > 0 {
            text += &format!(", {} {word}", thousands(number));
        }
    }
    let [client, server] = run.received;
    text + &format!("; {} from clients, {} from servers", amount(client, "byte"), amount(server, "byte"))
}

/// Returns how many findings there were, if any.
#[must_use]
pub fn broken(run: &Run) -> Option<String> {
    let [client, server] = run.findings.map(thousands);
    (run.findings != [0, 0]).then(|| format!("broken rules: {client} by clients, {server} by servers"))
}

/// Returns the lists of capabilities that are not empty, each with its heading.
#[must_use]
pub fn lists(run: &Run) -> Vec<(&'static str, Vec<String>)> {
    let lists = [
        ("capabilities used:", &run.used),
        ("used, not advertised:", &run.unadvertised),
        ("hidden by a rule, tried all the same:", &run.hidden_tried),
    ];
    let lists = lists.map(|(heading, names)| (heading, list(names, run.connections)));
    lists.into_iter().filter(|(_, names)| !names.is_empty()).collect()
}

/// The most frequent names, each with how many of all connections it concerns, unless these are all.
fn list(names: &Names, all: u64) -> Vec<String> {
    let sorted = names.sorted();
    let mut said: Vec<String> = sorted
        .iter()
        .take(NAMED)
        .map(|(name, count)| {
            if *count == all {
                (*name).to_owned()
            } else {
                format!("{name} ({} of {})", thousands(*count), thousands(all))
            }
        })
        .collect();
    match sorted.len().saturating_sub(NAMED) {
        0 => {}
        more if names.cut => said.push(format!("and more than {} others", thousands(more as u64))),
        more => said.push(format!("and {}", amount(more as u64, "other"))),
    }
    said
}

/// Writes it as the end of a log, after the beginning of its first line.
pub fn write(page: &mut Page, run: &Run) {
    page.ink(Ink::Strong, &heading(run));
    page.out.push(b'\n');
    let (shown, others) = verdicts(run, SHOWN);
    for verdict in shown {
        page.remark();
        let ink = match verdict.kind {
            VerdictKind::Server | VerdictKind::Client => Ink::Bad,
            VerdictKind::None => Ink::Plain,
            _ => Ink::Strong,
        };
        page.words(ink, &verdict.text);
        let named: Vec<String> = verdict.connections.iter().map(|number| format!("#{number}")).collect();
        page.unit(Ink::Plain, &format!("({}{})", named.join(", "), more(verdict)));
        page.end();
    }
    for text in others.into_iter().chain([totals(run)]) {
        page.remark();
        page.words(Ink::Plain, &text);
        page.end();
    }
    if let Some(broken) = broken(run) {
        page.note(Ink::Bad, "!", 2);
        page.words(Ink::Bad, &broken);
        page.end();
    }
    for (heading, names) in lists(run) {
        page.remark();
        page.words(Ink::Strong, heading);
        let last = names.len().saturating_sub(1);
        for (place, name) in names.iter().enumerate() {
            page.unit(Ink::Plain, &if place < last { format!("{name},") } else { name.clone() });
        }
        page.end();
    }
}
