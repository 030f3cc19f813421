//! What a reader of a bug report looks for first: who broke which rule, what was refused, what imapscope did about it. Bounded;
//! what there is no room for is counted.

use std::sync::Arc;

use super::line;
use super::markup::Markup;
use crate::check::Check;
use crate::event::{Closed, Closer, Culprit, Kind, NoteKind, Opened, Status, Summary, What};
use crate::exchange::Explained;
use crate::sink::text::start_of;
use crate::sink::{closing, phrase};
use crate::wording::{amount, thousands};

/// So many different findings are kept.
const MAX_FINDINGS: usize = 200;

/// So many refused commands are kept.
const MAX_REFUSALS: usize = 100;

/// So many rules are counted.
const MAX_RULES: usize = 256;

/// So many places of a finding are kept.
const MAX_PLACES: usize = 12;

/// The longest sentence that is kept, in octets.
const MAX_SENTENCE: usize = 600;

/// Of a refusal, so many octets or so are shown.
const REFUSAL: usize = 160;

/// What went wrong on all connections.
#[derive(Debug, Default)]
pub struct Trouble {
    findings: Vec<Finding>,
    more_findings: u64,
    /// Findings in lines that are not in the page.
    unshown: u64,
    refusals: Vec<Markup>,
    more_refusals: u64,
    rules: Vec<(Arc<str>, u64)>,
    dry: bool,
}

#[derive(Debug)]
struct Finding {
    culprit: Culprit,
    /// The id of its check, and of that from which it follows; empty without one.
    checks: [&'static str; 2],
    sentence: String,
    rfc: String,
    count: u64,
    /// Where it was, and at which octet of the line, if the sentence says so.
    places: Vec<(Place, Option<u64>)>,
}

/// A line of the log.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its number.
    pub line: u64,
    /// Its connection.
    pub connection: u64,
    /// Its time.
    pub stamp: String,
}

impl Place {
    fn write(&self, page: &mut Markup) {
        page.raw("<a href=\"#e");
        page.number(self.line);
        page.within("\">", &self.stamp, " #");
        page.number(self.connection);
        page.raw("</a>");
    }
}

impl Trouble {
    /// Looks at an event.
    pub fn see(&mut self, event: &Explained<'_>, place: &Place) {
        for note in event.notes {
            if let NoteKind::Finding(culprit) = note.kind {
                let checks = [note.check, note.consequence.map_or("", |first| first.check)];
                self.find(culprit, checks, &note.text, note.rfc.as_deref().unwrap_or_default(), place);
            }
        }
        match &event.event.what {
            What::Lag { events, bytes } => self.find(Culprit::None, [""; 2], &phrase::lag(*events, *bytes), "", place),
            What::Closed(closed) => self.end(closed, event.summary, place),
            What::Opened(opened) => self.know(opened),
            What::Text(text) => {
                if let Kind::Reply { status: Status::No | Status::Bad, .. } = text.reading.kind {
                    self.refuse(event, place);
                }
            }
            _ => {}
        }
    }

    fn find(&mut self, culprit: Culprit, checks: [&'static str; 2], sentence: &str, rfc: &str, place: &Place) {
        let cut = |text: &str| String::from_utf8_lossy(start_of(text.as_bytes(), MAX_SENTENCE)).into_owned();
        let sentence = cut(sentence);
        let ([before, behind], octet) = without_octet(&sentence);
        let same = |finding: &&mut Finding| {
            let ([start, end], known) = without_octet(&finding.sentence);
            let (this, other) = ((finding.culprit, finding.checks), (culprit, checks));
            this == other && (start, end, known.is_some()) == (before, behind, octet.is_some())
        };
        if let Some(finding) = self.findings.iter_mut().find(same) {
            finding.count += 1;
            if finding.places.len() < MAX_PLACES {
                finding.places.push((place.clone(), octet));
            }
        } else if self.findings.len() < MAX_FINDINGS {
            let places = vec![(place.clone(), octet)];
            self.findings.push(Finding { culprit, checks, sentence, rfc: cut(rfc), count: 1, places });
        } else {
            self.more_findings += 1;
        }
    }

    /// Counts findings in lines that are not in the page.
    pub fn leave_out(&mut self, findings: u64) {
        self.unshown += findings;
    }

    fn refuse(&mut self, event: &Explained<'_>, place: &Place) {
        if self.refusals.len() >= MAX_REFUSALS {
            return self.more_refusals += 1;
        }
        let mut refusal = Markup::default();
        line::excerpt(&mut refusal, event.bytes, event.marks, REFUSAL);
        if let Some(answer) = event.notes.iter().find(|note| note.kind == NoteKind::Answer) {
            refusal.within(" <span>", &answer.text, "</span>");
        }
        refusal.raw(" ");
        place.write(&mut refusal);
        self.refusals.push(refusal);
    }

    /// Rules that never apply are worth a line as well.
    fn know(&mut self, opened: &Opened) {
        for rule in &opened.rules {
            self.count(rule, 0);
        }
    }

    fn count(&mut self, rule: &Arc<str>, times: u64) {
        let full = self.rules.len() >= MAX_RULES;
        match self.rules.iter_mut().find(|(known, _)| known == rule) {
            Some((_, count)) => *count += times,
            None if full => {}
            None => self.rules.push((Arc::clone(rule), times)),
        }
    }

    fn end(&mut self, closed: &Closed, summary: Option<&Summary>, place: &Place) {
        self.dry |= summary.is_some_and(|summary| summary.dry);
        for (rule, times) in summary.map(|summary| summary.rules.as_slice()).unwrap_or_default() {
            self.count(rule, *times);
        }
        if matches!(closed.by, Closer::Unreachable | Closer::Tls(_) | Closer::Reset(_)) {
            let why = closed.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            self.find(Culprit::None, [""; 2], &format!("{}{why}", closing::ended(closed.by)), "", place);
        }
    }

    /// The findings of each check together: those whose culprit is known first, each sort in the order in which it was seen.
    fn by_check(&self) -> Vec<Vec<&Finding>> {
        let mut all: Vec<Vec<&Finding>> = Vec::new();
        for known in [true, false] {
            for finding in self.findings.iter().filter(|finding| (finding.culprit != Culprit::None) == known) {
                let same = |of: &&mut Vec<&Finding>| {
                    let first = of[0];
                    !finding.checks[0].is_empty()
                        && (first.culprit != Culprit::None, first.checks[0]) == (known, finding.checks[0])
                };
                match all.iter_mut().find(same) {
                    Some(group) => group.push(finding),
                    None => all.push(vec![finding]),
                }
            }
        }
        all
    }

    /// Writes it all.
    pub fn write(&self, page: &mut Markup) {
        page.raw("<section id=wrong aria-labelledby=wrong-h>");
        if self.findings.is_empty() && self.unshown == 0 {
            page.raw("<h2 id=wrong-h>Nothing was seen to be wrong</h2><p>No rule of a protocol was broken where imapscope could see it. That is no proof of conformance.</p>");
        } else {
            page.raw("<h2 id=wrong-h>What is wrong</h2><ol class=findings>");
            for findings in self.by_check() {
                for (at, finding) in findings.into_iter().enumerate() {
                    // What a check means is said with its first finding.
                    finding.write(page, at == 0);
                }
            }
            page.raw("</ol>");
            more(page, self.more_findings, "finding");
            if self.unshown > 0 {
                let those = if self.unshown == 1 { "is in a line" } else { "are in lines" };
                page.within(
                    "<p>",
                    &format!("{} {those} that this page leaves out.", amount(self.unshown, "finding")),
                    "</p>",
                );
            }
        }
        if !self.refusals.is_empty() {
            page.raw("<details class=refusals><summary>");
            let all = self.refusals.len() as u64 + self.more_refusals;
            page.within("", &amount(all, "refused command"), "</summary><ul>");
            for refusal in &self.refusals {
                page.raw("<li>");
                page.append(refusal);
                page.raw("</li>");
            }
            page.raw("</ul>");
            more(page, self.more_refusals, "refused command");
            page.raw("</details>");
        }
        if !self.rules.is_empty() {
            page.raw("<h3>Rules</h3><ul class=rules>");
            for (rule, times) in &self.rules {
                page.within("<li><code>", rule, "</code> ");
                page.within("<span>", &closing::applied(*times, self.dry), "</span></li>");
            }
            page.raw("</ul>");
        }
        page.raw("</section>\n");
    }
}

impl Finding {
    /// Writes it; with what its check means, folded, where that is to be said.
    fn write(&self, page: &mut Markup, explained: bool) {
        page.raw("<li><b class=who>");
        page.raw(if self.culprit == Culprit::None { "connection" } else { self.culprit.word() });
        let ([before, behind], octet) = without_octet(&self.sentence);
        // Where the octet is not always the same, the places tell it.
        let apart = self.places.iter().any(|(_, other)| *other != octet);
        let sentence = if apart { format!("{before}…{behind}") } else { self.sentence.clone() };
        page.within("</b> <p>", &sentence, "</p><p class=where>");
        if !self.rfc.is_empty() {
            page.within("<cite>", &self.rfc, "</cite> ");
        }
        if self.count > 1 {
            page.within("", &thousands(self.count), " times: ");
        }
        for (at, (place, octet)) in self.places.iter().enumerate() {
            page.raw(if at > 0 { ", " } else { "" });
            place.write(page);
            if let Some(octet) = octet.filter(|_| apart) {
                page.raw(" octet ");
                page.number(octet);
            }
        }
        let more = self.count.saturating_sub(self.places.len() as u64);
        if more > 0 {
            page.within(" … and ", &thousands(more), " more");
        }
        let [check, first] = self.checks;
        if !first.is_empty() {
            page.within("; follows from <code>", first, "</code>");
        }
        page.raw("</p>");
        if let Some(check) = Check::named(check).filter(|_| explained && first.is_empty()) {
            meaning(page, check);
        }
        page.raw("</li>");
    }
}

/// What a check is about, and what to do, folded.
fn meaning(page: &mut Markup, check: &Check) {
    page.within("<details class=check><summary><code>", check.id, "</code> ");
    page.within("(", check.severity.word(), ")</summary>");
    page.within("<p>", check.why, "</p>");
    for (whose, fix) in ["client", "server"].into_iter().zip(check.fix).filter(|(_, fix)| !fix.is_empty()) {
        page.within("<p><b>In the ", whose, ":</b> ");
        page.within("", fix, "</p>");
    }
    if !check.rule.is_empty() {
        page.within("<p><b>To work around it:</b> <code>", check.rule, "</code></p>");
    }
    page.raw("</details>");
}

/// What stands before and behind the number of an octet in a sentence, and that number.
fn without_octet(sentence: &str) -> ([&str; 2], Option<u64>) {
    const WORD: &str = "octet ";
    let Some(at) = sentence.find(WORD).map(|at| at + WORD.len()) else { return ([sentence, ""], None) };
    let digits = sentence[at..].bytes().take_while(u8::is_ascii_digit).count();
    match sentence[at..at + digits].parse() {
        Ok(octet) => ([&sentence[..at], &sentence[at + digits..]], Some(octet)),
        Err(_) => ([sentence, ""], None),
    }
}

fn more(page: &mut Markup, number: u64, noun: &str) {
    if number > 0 {
        page.within("<p>… and ", &amount(number, noun), " more</p>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_octet_is_found() {
        for (sentence, expected) in [
            ("a NUL at octet 12: no", (["a NUL at octet ", ": no"], Some(12))),
            ("from octet 0 on", (["from octet ", " on"], Some(0))),
            ("of an octet that octet 7", (["of an octet that octet 7", ""], None)),
            ("octet 99999999999999999999", (["octet 99999999999999999999", ""], None)),
            ("no such thing", (["no such thing", ""], None)),
        ] {
            assert_eq!(without_octet(sentence), expected, "{sentence}");
        }
    }
}
