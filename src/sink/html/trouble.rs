//! What a reader of a bug report looks for first: who broke which rule, what was refused, what imapscope did about it. Bounded;
//! what there is no room for is counted.

use std::sync::Arc;

use super::line;
use super::markup::Markup;
use crate::event::{Closed, Closer, Explained, Kind, NoteKind, Opened, Peer, Status, Summary, What};
use crate::sink::text::start_of;
use crate::sink::{closing, phrase};
use crate::wording::{amount, thousands};

/// So many different findings are kept.
const MAX_FINDINGS: usize = 200;

/// So many refused commands are kept.
const MAX_REFUSALS: usize = 100;

/// So many rules are counted.
const MAX_RULES: usize = 256;

/// The longest sentence that is kept, in octets.
const MAX_SENTENCE: usize = 600;

/// Of a refusal, so many octets or so are shown.
const REFUSAL: usize = 160;

/// What went wrong on all connections.
#[derive(Debug, Default)]
pub struct Trouble {
    findings: Vec<Finding>,
    more_findings: u64,
    refusals: Vec<Markup>,
    more_refusals: u64,
    rules: Vec<(Arc<str>, u64)>,
    dry: bool,
}

#[derive(Debug)]
struct Finding {
    culprit: Option<Peer>,
    sentence: String,
    rfc: String,
    count: u64,
    /// Where it was first.
    place: Place,
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
                self.find(culprit, &note.text, note.rfc.as_deref().unwrap_or_default(), place);
            }
        }
        match &event.event.what {
            What::Lag { events, bytes } => self.find(None, &phrase::lag(*events, *bytes), "", place),
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

    fn find(&mut self, culprit: Option<Peer>, sentence: &str, rfc: &str, place: &Place) {
        let cut = |text: &str| String::from_utf8_lossy(start_of(text.as_bytes(), MAX_SENTENCE)).into_owned();
        let sentence = cut(sentence);
        let same = |finding: &&mut Finding| finding.culprit == culprit && finding.sentence == sentence;
        if let Some(finding) = self.findings.iter_mut().find(same) {
            finding.count += 1;
        } else if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { culprit, sentence, rfc: cut(rfc), count: 1, place: place.clone() });
        } else {
            self.more_findings += 1;
        }
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
            self.find(None, &format!("{}{why}", closing::ended(closed.by)), "", place);
        }
    }

    /// Writes it all.
    pub fn write(&self, page: &mut Markup) {
        page.raw("<section id=wrong aria-labelledby=wrong-h>");
        if self.findings.is_empty() {
            page.raw("<h2 id=wrong-h>Nothing was seen to be wrong</h2><p>No rule of a protocol was broken where imapscope could see it. That is no proof of conformance.</p>");
        } else {
            page.raw("<h2 id=wrong-h>What is wrong</h2><ol class=findings>");
            // Those whose culprit is known first, each sort in the order in which it was seen.
            for known in [true, false] {
                for finding in self.findings.iter().filter(|finding| finding.culprit.is_some() == known) {
                    finding.write(page);
                }
            }
            page.raw("</ol>");
            more(page, self.more_findings, "finding");
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
    fn write(&self, page: &mut Markup) {
        page.raw("<li><b class=who>");
        page.raw(self.culprit.map_or("connection", Peer::word));
        page.within("</b> <p>", &self.sentence, "</p><p class=where>");
        if !self.rfc.is_empty() {
            page.within("<cite>", &self.rfc, "</cite> ");
        }
        if self.count > 1 {
            page.within("", &thousands(self.count), " times, first at ");
        }
        self.place.write(page);
        page.raw("</p></li>");
    }
}

fn more(page: &mut Markup, number: u64, noun: &str) {
    if number > 0 {
        page.within("<p>… and ", &amount(number, noun), " more</p>");
    }
}
