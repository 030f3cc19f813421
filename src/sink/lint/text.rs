//! A report for people: by severity, each finding with its place, its line with a caret under the span, why it matters and what to do.
//! Everything that a peer may have said is escaped; no line is wider than the terminal but for a name that is.

use jiff::tz::TimeZone;

use super::policy::Standing;
use super::report::{Finding, Place, Report};
use super::table::means;
use crate::check::{Blames, Check};
use crate::event::{Culprit, Severity};
use crate::sink::clock::Clock;
use crate::sink::escape::{columns, escaped};
use crate::sink::style::{Ink, Look, Palette, TimeStyle};
use crate::wording::{amount, thousands};

/// Columns of a report that does not go to a terminal.
const WIDTH: usize = 80;

/// The narrowest and the widest report.
const BOUNDS: (usize, usize) = (40, 110);

/// Maximum number of files that are named because they could not be read.
const MAX_FAILED: usize = 8;

/// Columns before what is said of a finding.
const INDENT: usize = 4;

/// Columns of the labels, with the blanks after them.
const LABEL: usize = 7;

/// A report in the making.
struct Writer<'a> {
    report: &'a Report,
    palette: Palette,
    width: usize,
    clock: Clock,
    out: Vec<u8>,
}

/// Returns a report as lines, with the times of the local zone.
#[must_use]
pub fn report(report: &Report, look: Look) -> Vec<u8> {
    let width = look.width.map_or(WIDTH, usize::from).clamp(BOUNDS.0, BOUNDS.1);
    let mut writer = Writer::new(report, look.color, width);
    for severity in Severity::ALL {
        writer.severity(severity);
    }
    writer.totals();
    writer.out
}

/// Returns a finding as lines, without colours.
pub(super) fn plain(report: &Report, finding: &Finding) -> String {
    let mut writer = Writer::new(report, false, WIDTH);
    writer.finding(finding);
    String::from_utf8(writer.out).unwrap_or_default()
}

/// Returns what can be done about a check: labels with their texts, the culprit's side first.
pub(super) fn advice(check: &Check, culprit: Culprit) -> Vec<(&'static str, String)> {
    let [client, server] = check.fix;
    let mut sides = [("client", client), ("server", server)];
    if culprit == Culprit::Server {
        sides.reverse();
    }
    let same = client == server;
    // What the other sender should do is no help against this one.
    let one = same || check.blames == Blames::Sender && culprit != Culprit::None;
    let sides = sides.into_iter().filter(|(_, fix)| !fix.is_empty()).take(if one { 1 } else { 2 });
    let mut advice: Vec<_> =
        sides.map(|(side, fix)| ("fix", if same { fix.to_owned() } else { format!("{side}: {fix}") })).collect();
    if !check.rule.is_empty() {
        advice.push(("try", check.rule.to_owned()));
    }
    advice
}

/// A summary as a sentence.
pub(super) fn sentence(summary: &str) -> String {
    let mut chars = summary.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// A text in lines that fit, where each begins in this column. What has no blank is not broken.
pub(super) fn fold(text: &str, width: usize, indent: usize) -> Vec<String> {
    let room = width.saturating_sub(indent).max(20);
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let last = lines.last_mut().map_or(0, |line| columns(line));
        if last > 0 && last + 1 + columns(word) > room {
            lines.push(String::new());
        }
        let Some(line) = lines.last_mut() else { continue };
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}

impl<'a> Writer<'a> {
    fn new(report: &'a Report, color: bool, width: usize) -> Self {
        let clock = Clock::new(TimeStyle::Now, TimeZone::system());
        Writer { report, palette: Palette::new(color), width, clock, out: Vec::new() }
    }

    fn severity(&mut self, severity: Severity) {
        let report = self.report;
        let found: Vec<(usize, &Finding)> = report.of(severity).collect();
        let left_out =
            report.left_out.iter().filter(|(id, _)| Check::named(id).is_some_and(|it| it.severity == severity));
        let left_out: Vec<_> = left_out.collect();
        if found.is_empty() && left_out.is_empty() {
            return;
        }
        let ink = ink(severity);
        self.ink(ink, severity.word());
        self.ink(Ink::Faint, &format!(": {}", means(severity)));
        self.out.extend_from_slice(b"\n\n");
        for (number, finding) in found {
            self.finding(finding);
            for later in report.following(number) {
                let times = times(later.count);
                let text = format!("{}: {} ({}{times})", later.culprit.word(), later.text, later.check.id);
                self.label("then", Ink::Plain, &text);
            }
            self.out.push(b'\n');
        }
        for (id, count) in left_out {
            let text = format!("{id}: {} more, of other lines or commands, left out here", thousands(*count));
            self.out.extend_from_slice(b"  ");
            self.lines(Ink::Plain, &text, 2);
            self.out.push(b'\n');
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let check = finding.check;
        self.out.extend_from_slice(b"  ");
        self.ink(ink(check.severity), check.id);
        let standing = match finding.standing {
            Standing::New => "",
            Standing::Allowed => " [allowed]",
            Standing::Known => " [known]",
            Standing::Ours => " [words of imapscope itself]",
        };
        self.ink(Ink::Strong, standing);
        if let Some((first, None)) = finding.consequence {
            self.ink(Ink::Strong, &format!(" [follows from {first}]"));
        }
        self.ink(
            Ink::Faint,
            &format!("  {}{}", finding.rfc, if finding.count > 1 { times(finding.count) } else { String::new() }),
        );
        while self.out.last() == Some(&b' ') {
            self.out.pop();
        }
        self.out.push(b'\n');
        let whose =
            if finding.culprit == Culprit::None { String::new() } else { format!("{}: ", finding.culprit.word()) };
        self.blanks(INDENT);
        self.lines(Ink::Strong, &format!("{whose}{}", finding.text), INDENT);
        if let Some((first, others)) = finding.places.split_first() {
            self.place(first);
            self.label("why", Ink::Plain, check.why);
            for (label, text) in advice(check, finding.culprit) {
                self.label(label, if label == "try" { Ink::Code } else { Ink::Plain }, &text);
            }
            self.others(first, others, finding.count);
        }
    }

    /// The first place, with its line.
    fn place(&mut self, place: &Place) {
        let named = self.named(place, None);
        self.blanks(INDENT);
        self.lines(Ink::Faint, &named, INDENT);
        if let Some(line) = &place.line {
            self.blanks(INDENT);
            self.ink(Ink::Faint, "| ");
            self.out.extend_from_slice(line.text.as_bytes());
            self.out.push(b'\n');
            if let Some((column, wide)) = line.caret {
                self.blanks(INDENT);
                self.ink(Ink::Faint, "| ");
                self.blanks(column);
                self.ink(Ink::Bad, &"^".repeat(wide));
                self.out.push(b'\n');
            }
        }
    }

    fn others(&mut self, first: &Place, others: &[Place], count: u64) {
        let mut named: Vec<String> = Vec::new();
        let mut before = first;
        for place in others {
            let name = self.named(place, Some(before));
            if !name.is_empty() {
                named.push(name);
            }
            before = place;
        }
        let more = count - 1 - named.len() as u64;
        if count > 1 && named.is_empty() {
            self.label("also", Ink::Faint, &format!("{} more", thousands(more)));
        } else if count > 1 {
            let more = if more > 0 { format!(", and {} more", thousands(more)) } else { String::new() };
            self.label("also", Ink::Faint, &format!("{}{more}", named.join(", ")));
        }
    }

    /// `FILE#CONN at TIME`; what a place before has is left out.
    fn named(&mut self, place: &Place, before: Option<&Place>) -> String {
        let file = &self.report.files[place.file];
        let same_file = before.is_some_and(|before| before.file == place.file);
        let same = same_file && before.is_some_and(|before| before.connection == place.connection);
        let name = match () {
            () if same => String::new(),
            () if same_file => format!("#{}", place.connection),
            () => format!("{}#{}", file.name, place.connection),
        };
        let moment = if file.timed { self.clock.moment(place.at, place.at) } else { None };
        let moment = moment.unwrap_or_default();
        escaped(&format!("{name}{}{moment}", if name.is_empty() || moment.is_empty() { "" } else { " " }))
    }

    /// Writes the totals, and the exit code with its reason.
    fn totals(&mut self) {
        let report = self.report;
        let [must, should, quirk] = Severity::ALL.map(|severity| thousands(report.count(severity)));
        let connections = report.files.iter().map(|file| file.connections).sum();
        let mut said = format!(
            "{}, {}: {must} must, {should} should, {quirk} quirk",
            amount(report.files.len() as u64, "file"),
            amount(connections, "connection")
        );
        for (count, what) in [
            (report.standing(Standing::Allowed), "allowed"),
            (report.standing(Standing::Known), "known from the baseline"),
            (report.standing(Standing::Ours), "about words of imapscope itself"),
        ] {
            if count > 0 {
                said.push_str(&format!("; {} {what}", thousands(count)));
            }
        }
        if report.consequences() > 0 {
            said.push_str(&format!("; {}", amount(report.consequences(), "consequence")));
        }
        self.lines(Ink::Plain, &said, 0);
        if report.unjudged > 0 {
            let text = format!("{} not judged: the log could not keep up", amount(report.unjudged, "event"));
            self.lines(Ink::Bad, &text, 0);
        }
        let failed = report.files.iter().filter_map(|file| Some((&file.name, file.failed.as_ref()?)));
        let failed: Vec<(&String, &String)> = failed.collect();
        for (name, why) in failed.iter().take(MAX_FAILED) {
            self.lines(Ink::Bad, &format!("not read, or not all of it: {name}: {why}"), 2);
        }
        let denied = report.denied.values().sum();
        let deny = format!("--deny {}", report.policy.denied());
        let denied = (denied > 0).then(|| format!("{} denied ({deny})", amount(denied, "finding")));
        let (ink, why) = match (report.code(), denied) {
            (1, denied) => {
                let denied = denied.map(|denied| format!("; {denied}")).unwrap_or_default();
                (
                    Ink::Bad,
                    format!("exit 1: {} not read, or not all of it{denied}", amount(failed.len() as u64, "file")),
                )
            }
            (_, Some(denied)) => (Ink::Bad, format!("exit 3: {denied}")),
            (_, None) if report.findings.is_empty() => (Ink::Good, "exit 0: nothing found".to_owned()),
            (_, None) => (Ink::Good, format!("exit 0: nothing denied ({deny})")),
        };
        self.lines(ink, &why, 0);
    }

    /// A text behind a label.
    fn label(&mut self, label: &str, ink: Ink, text: &str) {
        self.blanks(INDENT);
        self.ink(Ink::Faint, label);
        self.blanks(LABEL - label.len());
        self.lines(ink, text, INDENT + LABEL);
    }

    /// A text in lines, of which each but the first begins in this column.
    fn lines(&mut self, ink: Ink, text: &str, indent: usize) {
        for (nth, line) in fold(&escaped(text), self.width, indent).iter().enumerate() {
            self.blanks(if nth > 0 { indent } else { 0 });
            self.ink(ink, line);
            self.out.push(b'\n');
        }
    }

    fn blanks(&mut self, count: usize) {
        self.out.resize(self.out.len() + count, b' ');
    }

    /// A text that is escaped already, in a colour.
    fn ink(&mut self, ink: Ink, text: &str) {
        if !text.is_empty() {
            self.out.extend_from_slice(self.palette.on(ink));
            self.out.extend_from_slice(text.as_bytes());
            self.out.extend_from_slice(self.palette.off(ink));
        }
    }
}

const fn ink(severity: Severity) -> Ink {
    match severity {
        Severity::Must => Ink::Bad,
        Severity::Should => Ink::Code,
        Severity::Quirk => Ink::Strong,
    }
}

fn times(count: u64) -> String {
    if count > 1 { format!(", {} times", thousands(count)) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_folded_at_blanks_only() {
        assert_eq!(fold("aaa bbb ccc", 27, 20), ["aaa bbb ccc"], "no narrower than 20");
        let word = "x".repeat(50);
        assert_eq!(fold(&format!("aaa {word} ccc"), 30, 4), ["aaa", &word, "ccc"]);
        assert_eq!(fold("", 30, 4), [""]);
        assert_eq!(sentence("a CR"), "A CR.");
    }
}
