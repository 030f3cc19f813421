//! How long answers took, command by command: counted in steps of a logarithmic scale, so that nothing has to be left out,
//! and drawn as they were counted. Bounded: [`MAX_VERBS`] verbs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::markup::Markup;
use crate::event::{Kind, Status, Text};
use crate::exchange::{Explained, Tie};
use crate::wording::{amount, duration};

/// So many verbs are counted apart; the rest is `other`.
const MAX_VERBS: usize = 32;

/// The longest verb that is counted apart, in octets.
const MAX_VERB: usize = 24;

/// What the rest is called.
const OTHER: &str = "other";

/// Steps of the scale from one power of ten to the next.
const STEPS: u8 = 8;

/// Powers of ten, from a microsecond on.
const DECADES: u8 = 9;

/// What the powers of ten are called.
const TICKS: [&str; DECADES as usize + 1] =
    ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s", "1000 s"];

/// Measures of the drawing.
const WIDTH: u64 = 760;
const LEFT: u64 = 150;
const RIGHT: u64 = 24;
const ROW: u64 = 26;

/// The answers of one connection.
#[derive(Debug, Default)]
pub struct Latency {
    verbs: Vec<Verb>,
}

#[derive(Debug)]
struct Verb {
    name: String,
    /// How many answers there were in a step, by the step and whether they were refusals.
    answers: BTreeMap<(u8, bool), u64>,
    least: Duration,
    most: Duration,
}

impl Latency {
    /// Takes a text, which may be an answer.
    pub fn hear(&mut self, event: &Explained<'_>, text: &Text) {
        let (Kind::Reply { status, .. }, Some(latency)) = (text.reading.kind, event.latency) else { return };
        let Some((exchange, Tie::Answer)) = event.connection.exchange() else { return };
        let place = self.place(exchange.verb());
        if let Some(verb) = self.verbs.get_mut(place) {
            let bad = matches!(status, Status::No | Status::Bad);
            *verb.answers.entry((step(latency), bad)).or_default() += 1;
            verb.least = verb.least.min(latency);
            verb.most = verb.most.max(latency);
        }
    }

    fn place(&mut self, verb: &str) -> usize {
        let named = |name: &str| self.verbs.iter().position(|verb| verb.name == name);
        let name = if (1..=MAX_VERB).contains(&verb.len()) { verb } else { OTHER };
        if let Some(at) = named(name) {
            return at;
        }
        let name = if self.verbs.len() < MAX_VERBS - 1 { name } else { OTHER };
        if let Some(at) = named(name) {
            return at;
        }
        self.verbs.push(Verb {
            name: name.to_owned(),
            answers: BTreeMap::new(),
            least: Duration::MAX,
            most: Duration::ZERO,
        });
        self.verbs.len() - 1
    }

    /// Draws what was counted, if an answer came.
    pub fn draw(&self, page: &mut Markup) {
        let verbs: Vec<&Verb> = self.verbs.iter().filter(|verb| !verb.answers.is_empty()).collect();
        let steps = || verbs.iter().flat_map(|verb| verb.answers.keys().map(|(step, _)| *step));
        let (Some(least), Some(most)) = (steps().min(), steps().max()) else { return };
        let scale = Scale::of(least, most);
        let height = ROW * verbs.len() as u64 + ROW;
        page.raw("<figure><svg class=plot role=img viewBox=\"0 0 ");
        page.number(WIDTH);
        page.raw(" ");
        page.number(height + 12);
        page.raw(
            "\"><title>Time from the end of a command to its answer, by command; the table has the numbers</title>",
        );
        for decade in scale.first..=scale.last {
            let x = scale.x(decade * STEPS);
            attributes(page, "<line class=grid", [("x1", x), ("x2", x), ("y1", 6), ("y2", height - ROW / 2)]);
            page.raw("/>");
            attributes(page, "<text text-anchor=\"middle\"", [("x", x), ("y", height + 4)]);
            page.raw(">");
            page.raw(TICKS[usize::from(decade.min(DECADES))]);
            page.raw("</text>");
        }
        for (row, verb) in verbs.iter().enumerate() {
            let y = ROW * row as u64 + ROW / 2 + 4;
            attributes(page, "<text class=verb text-anchor=\"end\"", [("x", LEFT - 20), ("y", y + 4)]);
            page.raw(">");
            page.bare(&verb.name);
            page.raw("</text>");
            let (from, to) = (scale.x(step(verb.least)), scale.x(step(verb.most)));
            attributes(page, "<line class=reach", [("x1", from), ("x2", to), ("y1", y), ("y2", y)]);
            page.raw("/>");
            for (&(step, bad), &count) in &verb.answers {
                let radius = 4 + u64::from(count.ilog2()).min(6);
                let class = if bad { "<circle class=bad" } else { "<circle class=good" };
                attributes(page, class, [("cx", scale.x(step)), ("cy", y), ("r", radius)]);
                page.raw("><title>");
                page.bare(&format!(
                    "{}, about {}",
                    amount(count, if bad { "refusal" } else { "answer" }),
                    duration(middle(step))
                ));
                page.raw("</title></circle>");
            }
        }
        page.raw("</svg><figcaption>Time from the end of a command to its answer. A larger dot stands for more answers of about the same time; a hollow one for refusals.</figcaption></figure>");
    }
}

/// Appends attributes with numbers to a tag that has been begun.
fn attributes<const N: usize>(page: &mut Markup, tag: &'static str, values: [(&'static str, u64); N]) {
    page.raw(tag);
    for (name, value) in values {
        page.raw(" ");
        page.raw(name);
        page.raw("=\"");
        page.number(value);
        page.raw("\"");
    }
}

/// The powers of ten that a drawing has.
#[derive(Debug, Clone, Copy)]
struct Scale {
    first: u8,
    last: u8,
}

impl Scale {
    /// Whole powers of ten around these steps, two of them apart at least.
    fn of(least: u8, most: u8) -> Self {
        let (first, last) = (least / STEPS, most.div_ceil(STEPS).min(DECADES));
        let last = last.max(first + 2).min(DECADES);
        Scale { first: first.min(last - 2), last }
    }

    fn x(self, step: u8) -> u64 {
        let whole = u64::from(self.last - self.first) * u64::from(STEPS);
        let part = u64::from(step.saturating_sub(self.first * STEPS));
        LEFT + (WIDTH - LEFT - RIGHT) * part / whole
    }
}

/// The step of the scale that is nearest.
fn step(time: Duration) -> u8 {
    let microseconds = (time.as_nanos() as f64 / 1000.0).max(1.0);
    (microseconds.log10() * f64::from(STEPS)).round().clamp(0.0, f64::from(STEPS * DECADES)) as u8
}

/// The time that a step stands for.
fn middle(step: u8) -> Duration {
    Duration::from_nanos((10_f64.powf(f64::from(step) / f64::from(STEPS)) * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_times_belong_together() {
        for at in 0..=STEPS * DECADES {
            assert_eq!(step(middle(at)), at);
        }
        assert_eq!((step(Duration::ZERO), step(Duration::MAX)), (0, STEPS * DECADES));
        assert_eq!([middle(24), middle(48)].map(duration), ["1.0 ms", "1.00 s"]);
    }

    #[test]
    fn every_scale_holds_what_it_is_for() {
        for least in 0..=STEPS * DECADES {
            for most in least..=STEPS * DECADES {
                let scale = Scale::of(least, most);
                assert!(scale.first + 2 <= scale.last && scale.last <= DECADES);
                assert!(scale.first * STEPS <= least && most <= scale.last * STEPS);
                assert!(LEFT <= scale.x(least) && scale.x(least) <= scale.x(most) && scale.x(most) <= WIDTH - RIGHT);
            }
        }
    }

    #[test]
    fn verbs_and_commands_that_wait_are_bounded() {
        let mut latency = Latency::default();
        for number in 0..1000 {
            latency.place(&format!("V{number}"));
        }
        latency.place("");
        latency.place(&"x".repeat(100));
        assert_eq!(latency.verbs.len(), MAX_VERBS);
        assert_eq!(latency.verbs.last().map(|verb| verb.name.as_str()), Some("other"));
    }
}
