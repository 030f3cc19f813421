//! What is kept of a connection while it is open, and its part of the report, which is written when it ends.

use std::sync::Arc;

use super::fact::Told;
use super::latency::Latency;
use super::markup::Markup;
use super::matrix::Matrix;
use super::trouble::Place;
use crate::event::{
    Closed, Culprit, Note, NoteKind, Opened, Peer, Summary, TlsFacts, Verdict, VerdictKind, Verification,
};
use crate::exchange::Connection;
use crate::sink::run::kind_of;
use crate::sink::{closing, phrase, secured};
use crate::wording::amount;

/// The account of one connection.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The lists of capabilities.
    pub matrix: Matrix,
    /// The times of answers.
    pub latency: Latency,
    /// What the log has told of the connection, for conditions.
    pub told: Told,
    /// Findings in lines of the page, by culprit.
    findings: [u64; 2],
    /// What the connection knows of itself, also where it outlives the log.
    opened: Option<Arc<Opened>>,
    /// When, and in which line of the log.
    stamp: String,
    line: u64,
    /// The facts of TLS on `[client, server]`.
    legs: [Option<Arc<TlsFacts>>; 2],
}

impl Ledger {
    /// The connection begins, here in the log.
    pub fn open(&mut self, connection: &Connection, place: &Place) {
        (self.stamp, self.line) = (place.stamp.clone(), place.line);
        self.opened.clone_from(&connection.opened);
    }

    /// A leg is under TLS.
    pub fn secure(&mut self, connection: &Connection) {
        self.legs.clone_from(&connection.legs);
    }

    /// Counts the findings of a line of the page.
    pub fn count(&mut self, notes: &[Note]) {
        for note in notes {
            if let NoteKind::Finding(culprit) = note.kind {
                for peer in [Peer::Client, Peer::Server].into_iter().filter(|peer| culprit.has(*peer)) {
                    self.findings[peer.index()] += 1;
                }
            }
        }
    }

    /// Number of findings in lines that are not in the page.
    pub fn unshown(&self, summary: &Summary) -> u64 {
        let pairs = summary.findings.iter().zip(self.findings);
        pairs.map(|(all, shown)| all.saturating_sub(shown)).sum()
    }

    /// Writes the account; without an end the connection outlived the log.
    pub fn write(&self, page: &mut Markup, number: u64, unfolded: bool, end: Option<(&Closed, Option<&Summary>)>) {
        page.raw("<section class=conn id=c");
        page.number(number);
        page.raw(if unfolded { "><details open>" } else { "><details>" });
        page.raw("<summary><h2>Connection #");
        page.number(number);
        page.raw("</h2>");
        if let Some(opened) = &self.opened {
            page.within(" <span>", &format!("{}, {} → {}", opened.protocol, opened.client, opened.server), "</span>");
        }
        page.within(" <small>", &self.gist(end), "</small></summary><dl>");
        self.facts(page, end);
        page.raw("</dl>");
        self.matrix.write(page);
        if let Some((_, Some(summary))) = end
            && !summary.commands.is_empty()
        {
            page.raw("<h3>Commands</h3>");
            self.latency.draw(page);
            commands(page, summary);
        }
        page.raw("</details></section>\n");
    }

    /// A connection in a few words.
    fn gist(&self, end: Option<(&Closed, Option<&Summary>)>) -> String {
        let Some((closed, summary)) = end else { return "still open where the log ends".to_owned() };
        let mut words = vec![closing::ended(closed.by).to_owned()];
        if let Some(summary) = summary {
            words[0] += &closing::after(summary);
            words.push(amount(summary.commands.iter().map(|tally| tally.count).sum(), "command"));
            words.extend(match summary.verdict.kind {
                VerdictKind::None => None,
                kind => Some(kind_of(kind).to_owned()),
            });
            words.extend(match summary.findings[0].saturating_add(summary.findings[1]) {
                0 => None,
                findings => Some(amount(findings, "finding")),
            });
        }
        words.join(", ")
    }

    fn facts(&self, page: &mut Markup, end: Option<(&Closed, Option<&Summary>)>) {
        if let Some(opened) = &self.opened {
            page.raw("<dt>Began</dt><dd>");
            if self.line > 0 {
                page.raw("<a href=\"#e");
                page.number(self.line);
                page.within("\">", &self.stamp, "</a>; ");
            }
            page.raw(phrase::lanes(opened.edit));
            page.raw("</dd>");
        }
        if let Some((_, Some(summary))) = end {
            verdict(page, &summary.verdict);
        }
        if let Some((closed, _)) = end {
            if let Some(why) = &closed.why {
                fact(page, "Ended", why);
            }
            fact(page, "Passed", &closing::passed(closed));
        }
        for peer in [Peer::Client, Peer::Server] {
            let Some(facts) = &self.legs[peer.index()] else { continue };
            let (head, rest) = secured::settled(peer, facts);
            let (verdict, certificate) = secured::judged(facts);
            page.within("<dt>TLS</dt><dd>", &head, "");
            page.text(&rest);
            page.raw("<br>");
            page.raw(verdict);
            page.text(&certificate);
            if let Verification::Unverified(why) = &facts.verdict {
                page.within("<br><strong>! ", why, "</strong>");
            }
            page.raw("</dd>");
        }
        let Some((_, Some(summary))) = end else { return };
        for (heading, names) in closing::lists(summary) {
            let heading = heading.trim_end_matches(':');
            fact(page, &(heading[..1].to_uppercase() + &heading[1..]), &names.join(", "));
        }
        if summary.findings != [0, 0] {
            let [client, server] = summary.findings;
            fact(page, "Broken rules", &format!("{client} by the client, {server} by the server"));
        }
        let sentences = closing::sentences(summary);
        if !sentences.is_empty() {
            page.raw("<dt>Also</dt>");
            sentences.iter().for_each(|sentence| page.within("<dd>", sentence, "</dd>"));
        }
    }
}

/// What it comes to, what else was found, and what to try.
fn verdict(page: &mut Markup, verdict: &Verdict) {
    page.raw("<dt>Verdict</dt><dd>");
    if verdict.cause.culprit != Culprit::None {
        page.within("<strong>! ", &verdict.text, "</strong>");
    } else {
        page.within("<b>", &verdict.text, "</b>");
    }
    if let Some(place) = closing::place(&verdict.cause, verdict.kind, &mut |_| None) {
        page.within(" <small>(", &place, ")</small>");
    }
    for cause in &verdict.others {
        page.within("<br>also: ", &closing::told(cause), "");
    }
    if verdict.more > 0 {
        page.within("<br>and ", &amount(verdict.more, "finding"), " more, in the log");
    }
    page.raw("</dd>");
    if let Some((using, try_it)) = closing::suspects(verdict) {
        page.within("<dt>Try</dt><dd><code>", &try_it, "</code>: ");
        page.within("", &using, "</dd>");
    }
}

fn fact(page: &mut Markup, name: &str, said: &str) {
    page.within("<dt>", name, "</dt>");
    page.within("<dd>", said, "</dd>");
}

/// The commands as numbers.
fn commands(page: &mut Markup, summary: &Summary) {
    page.raw("<div class=scroll tabindex=0 role=group aria-label=Commands><table class=num><thead><tr>");
    for heading in closing::HEADINGS {
        page.raw("<th scope=col>");
        page.raw(heading);
        page.raw("</th>");
    }
    page.raw("</tr></thead><tbody>");
    for tally in &summary.commands {
        page.raw("<tr>");
        for (at, cell) in closing::row(tally).iter().enumerate() {
            if at == 0 {
                page.within("<th scope=row>", cell, "</th>");
            } else {
                page.within("<td>", cell, "</td>");
            }
        }
        page.raw("</tr>");
    }
    page.raw("</tbody></table></div>");
}
