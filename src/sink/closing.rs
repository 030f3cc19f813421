//! The end of a connection: who closed it, and what it was like, in numbers.

use std::time::Duration;

use super::escape::columns;
use super::page::Page;
use super::style::Ink;
use crate::event::{Cause, Closed, Closer, Culprit, Peer, Summary, Tally, Time, Used, Verdict, VerdictKind};
use crate::wording::{amount, duration, thousands};

/// The columns of the table of commands, with the heading of each.
pub const HEADINGS: [&str; 6] = ["command", "sent", "refused", "open", "mean", "longest"];

/// The widest that the column of commands gets.
const VERB: usize = 24;

/// Who ended a connection, as a sentence without its end.
#[must_use]
pub const fn ended(by: Closer) -> &'static str {
    match by {
        Closer::Peer(Peer::Client) => "closed by the client",
        Closer::Peer(Peer::Server) => "closed by the server",
        Closer::Reset(Peer::Client) => "reset by the client",
        Closer::Reset(Peer::Server) => "reset by the server",
        Closer::Unreachable => "the server could not be reached",
        Closer::Tls(Peer::Client) => "no TLS with the client",
        Closer::Tls(Peer::Server) => "no TLS with the server",
        Closer::Ours => "ended by imapscope",
        Closer::Unseen => "its end is not in the file",
    }
}

/// Writes what passed in octets.
pub fn octets(page: &mut Page, closed: &Closed) {
    page.remark();
    page.words(Ink::Plain, &passed(closed));
    page.end();
}

/// What passed in octets. What was sent on is said only where it differs from what came.
#[must_use]
pub fn passed(closed: &Closed) -> String {
    let mut text = String::new();
    for peer in [Peer::Client, Peer::Server] {
        let (received, sent) = (closed.received[peer.index()], closed.sent[peer.other().index()]);
        let before = if peer == Peer::Client { "" } else { ", " };
        text += &format!("{before}{} from the {}", amount(received, "octet"), peer.word());
        if received != sent {
            text += &format!(" ({} sent on)", thousands(sent));
        }
        let (packed, plain) = closed.inflated[peer.index()];
        if packed > 0 {
            let percent = (packed.saturating_mul(100)) / plain.max(1);
            text += &format!(" ({} of them compressed, from {}: {percent} %)", thousands(packed), thousands(plain));
        }
    }
    text
}

/// Writes what it comes to: the verdict with its place, what else was found, and what to try. `moment` says when something was.
pub fn verdict(page: &mut Page, verdict: &Verdict, mut moment: impl FnMut(Time) -> Option<String>) {
    let ink = ink(verdict.kind);
    begin(page, ink);
    page.words(Ink::Strong, "verdict: ");
    page.words(ink, &verdict.text);
    where_it_was(page, &verdict.cause, &mut moment, verdict.kind);
    for cause in &verdict.others {
        let ink = if cause.culprit == Culprit::None { Ink::Plain } else { Ink::Bad };
        begin(page, ink);
        page.words(Ink::Strong, "also: ");
        page.words(ink, &told(cause));
        where_it_was(page, cause, &mut moment, VerdictKind::Server);
    }
    if verdict.more > 0 {
        line(page, Ink::Plain, &format!("and {} more, in the log above", amount(verdict.more, "finding")));
    }
    if let Some((using, try_it)) = suspects(verdict) {
        page.remark();
        page.words(Ink::Plain, &using);
        page.words(Ink::Plain, "; try");
        page.unit(Ink::Code, &try_it);
        page.end();
    }
}

const fn ink(kind: VerdictKind) -> Ink {
    match kind {
        VerdictKind::Server | VerdictKind::Client => Ink::Bad,
        VerdictKind::None => Ink::Good,
        VerdictKind::Stopped | VerdictKind::Refused | VerdictKind::Limit | VerdictKind::Waiting => Ink::Strong,
    }
}

fn begin(page: &mut Page, ink: Ink) {
    if ink == Ink::Bad { page.note(Ink::Bad, "!", 2) } else { page.remark() }
}

/// A finding with its culprit, or another fact.
#[must_use]
pub fn told(cause: &Cause) -> String {
    match cause.culprit {
        Culprit::None => cause.text.clone(),
        culprit => format!("{}: {}", culprit.word(), cause.text),
    }
}

/// Ends the line of a cause with its check, the line in which it was seen, and when.
fn where_it_was(page: &mut Page, cause: &Cause, moment: &mut impl FnMut(Time) -> Option<String>, kind: VerdictKind) {
    if let Some(place) = place(cause, kind, moment) {
        page.words(Ink::Faint, &format!(" ({place})"));
    }
    page.end();
}

/// The check of a cause, the line in which it was seen, and when; `None` if none of these is known.
pub fn place(cause: &Cause, kind: VerdictKind, moment: &mut impl FnMut(Time) -> Option<String>) -> Option<String> {
    let mut parts = Vec::new();
    if !cause.check.is_empty() {
        parts.push(cause.check.to_owned());
    }
    // What was refused quotes the line itself.
    if !cause.line.is_empty() && matches!(kind, VerdictKind::Server | VerdictKind::Client) {
        parts.push(cause.line.clone());
    }
    if cause.at != Time::default() {
        parts.extend(moment(cause.at));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What was in use at the end, and what to try: the most suspect capability first.
#[must_use]
pub fn suspects(verdict: &Verdict) -> Option<(String, String)> {
    let first = verdict.suspects.first()?;
    let using: Vec<String> =
        verdict.suspects.iter().map(|suspect| format!("{} ({})", suspect.name, suspect.by)).collect();
    Some((format!("in use when it ended: {}", using.join(", ")), first.try_it.clone()))
}

/// Writes a connection in numbers; what there is nothing to say about is left out.
pub fn summary(page: &mut Page, summary: &Summary) {
    commands(page, &summary.commands);
    for (heading, items) in lists(summary) {
        list(page, heading, items.into_iter());
    }
    for sentence in sentences(summary) {
        line(page, Ink::Plain, &sentence);
    }
    if summary.findings != [0, 0] {
        page.note(Ink::Bad, "!", 2);
        let [client, server] = summary.findings.map(thousands);
        page.words(Ink::Bad, &format!("broken rules: {client} by the client, {server} by the server"));
        page.end();
    }
}

/// The lists of a summary that are not empty, each with its heading.
#[must_use]
pub fn lists(summary: &Summary) -> Vec<(&'static str, Vec<String>)> {
    let pair = |(what, capability): &(String, String)| {
        if what == capability { what.clone() } else { format!("{what} ({capability})") }
    };
    let used = |used: &Used| format!("{}: {}", used.name, used.by);
    let lists = [
        ("used, each with its first use:", summary.used.iter().map(used).collect()),
        ("advertised, not used:", summary.unused.clone()),
        ("advertised, use cannot be told:", summary.undetermined.clone()),
        ("used, not advertised:", summary.unadvertised.iter().map(pair).collect()),
        ("hidden by a rule, tried all the same:", summary.hidden_tried.iter().map(pair).collect()),
    ];
    lists.into_iter().filter(|(_, items)| !items.is_empty()).collect()
}

/// How many times a rule was applied, or in a dry run would have been.
#[must_use]
pub fn applied(times: u64, dry: bool) -> String {
    match times {
        0 => "never applied".to_owned(),
        times if dry => format!("would have been applied {}", amount(times, "time")),
        times => format!("applied {}", amount(times, "time")),
    }
}

/// What else a summary says, sentence by sentence.
#[must_use]
pub fn sentences(summary: &Summary) -> Vec<String> {
    let mut said = Vec::new();
    for (rule, times) in &summary.rules {
        said.push(format!("rule `{rule}`: {}", applied(*times, summary.dry)));
    }
    if !summary.idle.is_zero() {
        said.push(format!("in IDLE for {}", duration(summary.idle)));
    }
    if summary.strict.0 > 0 {
        let (seen, refused) = (amount(summary.strict.0, "response"), summary.strict.1);
        let refused = if refused == 0 { "none".to_owned() } else { thousands(refused) };
        said.push(format!("strict parser: {seen} read, {refused} refused"));
    }
    said
}

fn line(page: &mut Page, ink: Ink, text: &str) {
    page.remark();
    page.words(ink, text);
    page.end();
}

fn list(page: &mut Page, heading: &str, items: impl ExactSizeIterator<Item = String>) {
    let last = items.len().saturating_sub(1);
    page.remark();
    page.words(Ink::Strong, heading);
    for (place, item) in items.enumerate() {
        page.unit(Ink::Plain, &if place < last { format!("{item},") } else { item });
    }
    page.end();
}

fn commands(page: &mut Page, tallies: &[Tally]) {
    if tallies.is_empty() {
        return;
    }
    let rows: Vec<[String; 6]> = tallies.iter().map(row).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns(cell));
        }
    }
    widths[0] = widths[0].min(VERB);
    let table = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
    if page.room().is_some_and(|room| table > room) {
        return rows.iter().for_each(|row| sentence(page, row));
    }
    let mut write = |ink: Ink, cells: [&str; 6]| {
        page.remark();
        for (place, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
            if place > 0 {
                page.cell(Ink::Plain, "", 2, false);
            }
            page.cell(if place == 0 && ink == Ink::Plain { Ink::Strong } else { ink }, cell, width, place > 0);
        }
        page.end();
    };
    write(Ink::Faint, HEADINGS);
    for row in &rows {
        write(Ink::Plain, row.each_ref().map(String::as_str));
    }
}

/// A row where there is no room for a table: `LOGIN: 1 sent, mean 43 ms, longest 43 ms`.
fn sentence(page: &mut Page, row: &[String; 6]) {
    let [verb, sent, refused, open, mean, longest] = row;
    page.remark();
    page.words(Ink::Strong, &format!("{verb}: "));
    page.words(Ink::Plain, &format!("{sent} sent"));
    for (name, cell) in [("refused", refused), ("open", open), ("mean", mean), ("longest", longest)] {
        if cell != "-" {
            page.words(Ink::Plain, &format!(", {name} {cell}"));
        }
    }
    page.end();
}

/// After how long a connection ended, behind the words that say how; nothing if no time is known.
#[must_use]
pub fn after(summary: &Summary) -> String {
    summary.lasted.map_or_else(String::new, |lasted| format!(" after {}", duration(lasted)))
}

/// The cells of a command, under [`HEADINGS`].
#[must_use]
pub fn row(tally: &Tally) -> [String; 6] {
    let answered = tally.answered;
    let some = |number: u64| if number == 0 { "-".to_owned() } else { thousands(number) };
    let nanoseconds = tally.total.as_nanos() / u128::from(answered.max(1));
    let mean = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
    [
        tally.verb.clone(),
        thousands(tally.count),
        some(tally.failed),
        some(tally.unanswered),
        tally.longest.map_or_else(|| "-".to_owned(), |_| duration(mean)),
        tally.longest.map_or_else(|| "-".to_owned(), duration),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_that_of_the_answered_ones() {
        let tally = Tally {
            verb: "NOOP".into(),
            count: 3,
            answered: 2,
            unanswered: 1,
            total: Duration::from_millis(100),
            longest: Some(Duration::from_millis(80)),
            failed: 0,
        };
        assert_eq!(row(&tally), ["NOOP", "3", "-", "1", "50 ms", "80 ms"]);
        assert_eq!(row(&Tally { count: 1, answered: 0, unanswered: 1, longest: None, ..tally })[4..], ["-", "-"]);
    }
}
