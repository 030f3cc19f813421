//! A text on its way through the rules: what each action makes of it, and whether that may be sent. An edit that would break
//! the framing is not applied; the reason is given back.

use std::borrow::Cow;

use super::action::{Action, Names, NamesAction, TooLong};
use super::vary::{self, Place, Ways};
use super::{Scene, lines, words};
use crate::event::{Form, Kind, ListKind, Literal, MAX_TEXT, Peer, Reading};
use crate::wire::body;

/// A text on its way through the rules.
#[derive(Clone)]
pub struct Draft<'a> {
    scene: &'a Scene<'a>,
    /// What `reading` and `names` point into.
    base: Cow<'a, [u8]>,
    reading: Cow<'a, Reading>,
    /// The list, once a capability rule has asked for it. It outlives the rule, so that what one rule has emptied a
    /// later one can still fill.
    names: Option<Names>,
    /// The text as it is now, where it differs from `base`.
    text: Option<Vec<u8>>,
    /// Its strings become literals at the end: what that makes is no text that another rule could read.
    literals: bool,
}

/// What a variation did.
#[derive(Debug, Default)]
pub struct Varied {
    /// The ways in which it changed the text, by their names.
    pub ways: Vec<&'static str>,
    /// Why strings stay what they are.
    pub refused: Option<&'static str>,
}

impl<'a> Draft<'a> {
    /// As it came.
    pub const fn new(scene: &'a Scene<'a>) -> Self {
        let (base, reading) = (Cow::Borrowed(scene.text), Cow::Borrowed(scene.reading));
        Draft { scene, base, reading, names: None, text: None, literals: false }
    }

    /// True if it has a list of capabilities.
    pub fn has_names(&self) -> bool {
        self.reading.list.is_some()
    }

    fn text(&self) -> &[u8] {
        self.text.as_deref().unwrap_or(&self.base)
    }

    /// Lets an action act: whether it changed the text, or why it may not.
    ///
    /// # Errors
    /// Why it may not.
    pub fn act(&mut self, action: &Action) -> Result<bool, &'static str> {
        match action {
            Action::Names(action) => self.act_on_names(action),
            Action::Words(words) => {
                self.settle();
                let Some(text) = words::replace(words, self.scene.form, &self.reading, self.text())? else {
                    return Ok(false);
                };
                let reading = self.check(&text)?;
                words::check(words, self.scene.form, [&self.reading, &reading], [self.text(), &text])?;
                self.base = Cow::Owned(text);
                self.reading = Cow::Owned(reading);
                (self.names, self.text) = (None, None);
                Ok(true)
            }
            Action::Substitute(substitution) => {
                let found = substitution.apply(self.text()).map_err(|TooLong| TOO_LONG)?;
                let Some(text) = found else { return Ok(false) };
                if text == self.text() {
                    return Ok(false);
                }
                let reading = self.check(&text)?;
                self.base = Cow::Owned(text);
                self.reading = Cow::Owned(reading);
                (self.names, self.text) = (None, None);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Says the same in other octets.
    ///
    /// # Errors
    /// Why it may not.
    pub fn vary(&mut self, ways: Ways) -> Result<Varied, &'static str> {
        let before = self.clone();
        let mut varied = Varied::default();
        if !self.settle() {
            return Ok(varied);
        }
        let steps: [(bool, &'static str, vary::Way); 3] = [
            (ways.case, "case", vary::case),
            (ways.order, "order", vary::order),
            (ways.quoting, "quoting", vary::quoting),
        ];
        for (_, name, step) in steps.into_iter().filter(|(wanted, ..)| *wanted) {
            let Some(text) = step(self.place()) else { continue };
            match self.check(&text) {
                Ok(reading) => {
                    (self.base, self.reading) = (Cow::Owned(text), Cow::Owned(reading));
                    (self.names, self.text) = (None, None);
                    varied.ways.push(name);
                }
                Err(why) => {
                    *self = before;
                    return Err(why);
                }
            }
        }
        if ways.literal && vary::literals(self.place(), u32::MAX).is_some() {
            match self.with_literals() {
                Ok(_) => {
                    self.literals = true;
                    varied.ways.push("literal");
                }
                Err(why) => varied.refused = Some(why),
            }
        }
        Ok(varied)
    }

    /// The text with its strings as literals.
    ///
    /// # Errors
    /// Why they may not be literals here.
    fn with_literals(&self) -> Result<Vec<u8>, &'static str> {
        let most = if self.scene.from == Peer::Client && self.scene.form == Form::Imap {
            self.scene.at_once
        } else {
            u32::MAX
        };
        match vary::literals(self.place(), most) {
            Some(text) if text.len() > MAX_TEXT => Err(TOO_LONG),
            Some(text) => Ok(text),
            None => Err(NOT_AT_ONCE),
        }
    }

    fn place(&self) -> Place<'_> {
        let Scene { form, from, .. } = *self.scene;
        Place { form, from, text: self.text(), reading: &self.reading }
    }

    /// Reads the text anew, if rules for capabilities have changed it: then the reading is still that of before. True if it is
    /// that of the text now.
    fn settle(&mut self) -> bool {
        let Some(text) = self.text.take() else { return true };
        match (self.scene.read)(&text) {
            Some(reading) => {
                (self.base, self.reading) = (Cow::Owned(text), Cow::Owned(reading));
                self.names = None;
            }
            None => self.text = Some(text),
        }
        self.text.is_none()
    }

    fn act_on_names(&mut self, action: &NamesAction) -> Result<bool, &'static str> {
        let Some(list) = &self.reading.list else { return Ok(false) };
        if let ListKind::Lines(form) = list.kind {
            return self.act_on_lines(action, form);
        }
        let mut names = self.names.take().unwrap_or_else(|| Names::new(list, &self.base));
        let before = names.clone();
        names.act(action, &self.base);
        let text = names.write(&self.base);
        if text == self.text() {
            self.names = Some(names);
            return Ok(false);
        }
        if action.puts_blank() {
            self.names = Some(before);
            return Err("a name in this list has no blank");
        }
        match self.check(&text) {
            Ok(_) => {
                (self.names, self.text) = (Some(names), Some(text));
                Ok(true)
            }
            Err(why) => {
                self.names = Some(before);
                Err(why)
            }
        }
    }

    /// A list of lines is read anew after each rule: what is left of it is a list still.
    fn act_on_lines(&mut self, action: &NamesAction, form: Form) -> Result<bool, &'static str> {
        let Some(list) = &self.reading.list else { return Ok(false) };
        let text = lines::act(action, form, list, &self.base);
        if text == *self.base {
            return Ok(false);
        }
        let mut reading = self.check_lines(&text)?;
        reading.list.get_or_insert_with(|| lines::list(form, &text));
        self.base = Cow::Owned(text);
        self.reading = Cow::Owned(reading);
        Ok(true)
    }

    /// Whether a text may stand in for the present one: what it reads as, or why it may not.
    fn check(&self, text: &[u8]) -> Result<Reading, &'static str> {
        let (old, new) = (self.text(), body(text));
        // What precedes a line end must not run into it.
        if text.len() <= MAX_TEXT && !ends(old).eq(ends(text)) {
            return Err(LINE_END);
        }
        if [b'\r', b'\n'].iter().any(|&octet| count(new, octet) > count(body(old), octet)) {
            return Err(BROKEN);
        }
        self.check_lines(text)
    }

    /// The same for a text in which lines may come and go.
    fn check_lines(&self, text: &[u8]) -> Result<Reading, &'static str> {
        if text.len() > MAX_TEXT {
            return Err(TOO_LONG);
        }
        if !ends(self.text()).last().eq(&ends(text).last()) {
            return Err(LINE_END);
        }
        if count(text, b'\0') > count(self.text(), b'\0') {
            return Err(BROKEN);
        }
        let Some(reading) = (self.scene.read)(text) else { return Err("it would change where the reply ends") };
        let empty = |text: &[u8]| body(text).trim_ascii().is_empty();
        let goes_on = matches!(self.reading.kind, Kind::Sasl | Kind::More);
        if empty(text) && !empty(self.text()) && !goes_on {
            return Err(EMPTY);
        }
        if !same(self.reading.literal, reading.literal) {
            return Err("it would change the literal that the text announces");
        }
        Ok(reading)
    }

    /// The text at the end, if it is not what was received.
    pub fn changed(mut self) -> Option<Vec<u8>> {
        if self.literals
            && self.settle()
            && let Ok(text) = self.with_literals()
        {
            return Some(text);
        }
        let text = self.text.or(match self.base {
            Cow::Owned(base) => Some(base),
            Cow::Borrowed(_) => None,
        });
        text.filter(|text| text != self.scene.text)
    }
}

/// A client waits before it sends a literal, but where the server has allowed it not to.
const NOT_AT_ONCE: &str =
    "a literal would have to wait, as the client was not offered LITERAL+ (or LITERAL-, up to 4096 octets)";
/// A text cannot be so long.
pub const TOO_LONG: &str = "the text would grow beyond 64 KiB";
/// A line end stays.
pub const LINE_END: &str = "it would change the line end";
/// A line stays one.
pub const BROKEN: &str = "it would put a line break or a NUL into the text";

/// An empty line is no command and no reply: who waits for an answer would wait for ever.
const EMPTY: &str = "it would leave an empty line, which nobody answers; `drop` and `refuse` take a text away";

/// The lengths of the line ends.
fn ends(text: &[u8]) -> impl Iterator<Item = usize> {
    text.split_inclusive(|&b| b == b'\n').map(|line| line.len() - body(line).len())
}

fn count(text: &[u8], octet: u8) -> usize {
    memchr::memchr_iter(octet, text).count()
}

/// True if the same octets follow under the same terms.
fn same(old: Option<Literal>, new: Option<Literal>) -> bool {
    let terms = |literal: Literal| (literal.len, literal.synchronizing, literal.binary);
    old.map(terms) == new.map(terms)
}
