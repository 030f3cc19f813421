//! How a log looks: whether it is coloured, how wide it is, and the colour of everything in it.
//!
//! Pure: the environment and what is known of the terminal are handed in. Only colours of the sixteen that can be
//! read on a dark and on a light ground are used, and no fact is carried by a colour alone.

use std::str::FromStr;

use owo_colors::Style;

use super::escape::Dress;
use crate::event::Role;
use crate::problem::Problem;

/// What the user wants of colours (`--color`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// The environment variables that colour depends on, as they were found.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `NO_COLOR`: not empty means no.
    pub no_color: Option<String>,
    /// `CLICOLOR_FORCE`: neither empty nor `0` means yes, even where it is no terminal.
    pub clicolor_force: Option<String>,
    /// `TERM`: `dumb` means no.
    pub term: Option<String>,
}

impl Color {
    /// Whether to write colours: a choice of the user's goes before NO_COLOR, that before CLICOLOR_FORCE, and
    /// that before what the output is.
    #[must_use]
    pub fn decide(self, surroundings: &Surroundings, is_terminal: bool) -> bool {
        let set = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set(&surroundings.no_color) => false,
            Color::Auto if set(&surroundings.clicolor_force) && surroundings.clicolor_force.as_deref() != Some("0") => {
                true
            }
            Color::Auto => is_terminal && surroundings.term.as_deref() != Some("dumb"),
        }
    }
}

/// How the time is written on each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeStyle {
    /// Local time of day, to the millisecond.
    #[default]
    Now,
    /// Not at all.
    None,
    /// Seconds since the line before.
    Delta,
    /// Local date and time with the offset (RFC 3339).
    Iso,
    /// Seconds since the Unix epoch.
    Epoch,
}

/// How much of a block of data is shown (`--body`). 1 MiB of each at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// Its size and its first line.
    #[default]
    Fold,
    /// Its size, and so many octets of it, line by line.
    Octets(u64),
    /// Its size, and all of it that is known.
    All,
    /// Its size only.
    None,
}

impl FromStr for Body {
    type Err = Problem;

    fn from_str(word: &str) -> Result<Self, Problem> {
        match (word, word.parse::<u64>()) {
            ("all", _) => Ok(Body::All),
            ("none", _) | (_, Ok(0)) => Ok(Body::None),
            (_, Ok(octets)) => Ok(Body::Octets(octets)),
            _ => Err(Problem::new("--body", format!("{word:?} is no amount"), "a number of octets, `all` or `none`")),
        }
    }
}

/// How one output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// With colours.
    pub color: bool,
    /// Notes are wrapped to so many columns; without, lines are as long as they are.
    pub width: Option<u16>,
    /// The time on each line.
    pub time: TimeStyle,
    /// How much of a data block is shown.
    pub body: Body,
}

/// Everything that has a colour of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Ink {
    Plain,
    Faint,
    Strong,
    Client,
    Server,
    Star,
    Tag,
    Good,
    Bad,
    Code,
    Removed,
    Added,
    Flag,
    Secret,
    Surprise,
    Escape,
    Cyan,
    Magenta,
    Green,
    Blue,
    Red,
}

impl Ink {
    const ALL: [Ink; 21] = [
        Ink::Plain,
        Ink::Faint,
        Ink::Strong,
        Ink::Client,
        Ink::Server,
        Ink::Star,
        Ink::Tag,
        Ink::Good,
        Ink::Bad,
        Ink::Code,
        Ink::Removed,
        Ink::Added,
        Ink::Flag,
        Ink::Secret,
        Ink::Surprise,
        Ink::Escape,
        Ink::Cyan,
        Ink::Magenta,
        Ink::Green,
        Ink::Blue,
        Ink::Red,
    ];

    /// The ink of a part of a text.
    #[must_use]
    pub const fn of(role: Role) -> Self {
        match role {
            Role::Tag => Ink::Tag,
            Role::Verb | Role::Name => Ink::Strong,
            Role::Good => Ink::Good,
            Role::Bad => Ink::Bad,
            Role::Code | Role::Literal => Ink::Code,
            Role::Removed => Ink::Removed,
            Role::Added => Ink::Added,
            Role::Flag => Ink::Flag,
            Role::Secret => Ink::Secret,
            Role::Surprise => Ink::Surprise,
            Role::Capability | Role::String | Role::Human => Ink::Plain,
        }
    }

    /// The ink of a connection, by its number: always the same one.
    #[must_use]
    pub const fn of_connection(number: u64) -> Self {
        match number % 5 {
            1 => Ink::Cyan,
            2 => Ink::Magenta,
            3 => Ink::Green,
            4 => Ink::Blue,
            _ => Ink::Red,
        }
    }

    fn style(self) -> Style {
        let plain = Style::new();
        match self {
            Ink::Plain => plain,
            Ink::Faint => plain.dimmed(),
            Ink::Strong => plain.bold(),
            Ink::Client => plain.magenta().bold(),
            Ink::Server => plain.blue().bold(),
            Ink::Star | Ink::Bad => plain.red().bold(),
            Ink::Tag | Ink::Flag => plain.cyan(),
            Ink::Good => plain.green(),
            Ink::Code => plain.magenta(),
            Ink::Removed => plain.red().strikethrough(),
            Ink::Added => plain.green().bold().underline(),
            Ink::Secret => plain.magenta().bold(),
            Ink::Surprise => plain.red().underline(),
            Ink::Escape => plain.reversed(),
            Ink::Cyan => plain.cyan().bold(),
            Ink::Magenta => plain.magenta().bold(),
            Ink::Green => plain.green().bold(),
            Ink::Blue => plain.blue().bold(),
            Ink::Red => plain.red().bold(),
        }
    }
}

/// The escape sequences of every ink, rendered once.
#[derive(Debug, Clone)]
pub struct Palette {
    inks: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Palette {
    /// The palette of a coloured log, or the one whose every sequence is empty.
    #[must_use]
    pub fn new(color: bool) -> Self {
        let render = |ink: Ink| match ink {
            Ink::Plain => Default::default(),
            _ if !color => Default::default(),
            _ => {
                let style = ink.style();
                (style.prefix_formatter().to_string().into_bytes(), style.suffix_formatter().to_string().into_bytes())
            }
        };
        Palette { inks: Ink::ALL.into_iter().map(render).collect() }
    }

    /// What begins an ink.
    #[must_use]
    pub fn on(&self, ink: Ink) -> &[u8] {
        self.inks.get(ink as usize).map_or(&[], |(on, _)| on)
    }

    /// How escapes within an ink are dressed.
    #[must_use]
    pub fn dress(&self, within: Ink) -> Dress<'_> {
        Dress { on: self.on(Ink::Escape), off: self.off(Ink::Escape), back: self.on(within) }
    }

    /// What ends it.
    #[must_use]
    pub fn off(&self, ink: Ink) -> &[u8] {
        self.inks.get(ink as usize).map_or(&[], |(_, off)| off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(no_color: &str, force: &str, term: &str) -> Surroundings {
        let some = |value: &str| (value != "unset").then(|| value.to_owned());
        Surroundings { no_color: some(no_color), clicolor_force: some(force), term: some(term) }
    }

    #[test]
    fn colour_is_decided_by_choice_then_environment_then_output() {
        for (choice, no_color, force, term, is_terminal, expected) in [
            (Color::Auto, "unset", "unset", "xterm", true, true),
            (Color::Auto, "unset", "unset", "xterm", false, false),
            (Color::Auto, "unset", "unset", "unset", true, true),
            (Color::Auto, "unset", "unset", "dumb", true, false),
            (Color::Auto, "1", "unset", "xterm", true, false),
            (Color::Auto, "", "unset", "xterm", true, true),
            (Color::Auto, "unset", "1", "xterm", false, true),
            (Color::Auto, "unset", "1", "dumb", false, true),
            (Color::Auto, "unset", "0", "xterm", false, false),
            (Color::Auto, "unset", "0", "xterm", true, true),
            (Color::Auto, "unset", "", "xterm", false, false),
            (Color::Auto, "1", "1", "xterm", true, false),
            (Color::Always, "1", "unset", "dumb", false, true),
            (Color::Never, "unset", "1", "xterm", true, false),
        ] {
            let found = choice.decide(&surroundings(no_color, force, term), is_terminal);
            assert_eq!(found, expected, "{choice:?} NO_COLOR={no_color} CLICOLOR_FORCE={force} TERM={term}");
        }
    }

    #[test]
    fn choices_are_read_and_wrong_ones_refused() {
        assert_eq!("120".parse(), Ok(Body::Octets(120)));
        assert_eq!("0".parse(), Ok(Body::None));
        assert_eq!("all".parse(), Ok(Body::All));
        assert!("some".parse::<Body>().is_err_and(|problem| problem.help.contains("all")));
        assert!("-1".parse::<Body>().is_err());
    }

    #[test]
    fn every_ink_has_its_place_and_none_is_hard_to_read() {
        let palette = Palette::new(true);
        for (place, ink) in Ink::ALL.into_iter().enumerate() {
            assert_eq!(ink as usize, place);
            let on = String::from_utf8_lossy(palette.on(ink)).into_owned();
            assert_eq!(on.is_empty(), palette.off(ink).is_empty());
            for unreadable in ["30", "33", "37", "90", "93", "97"] {
                assert!(!on.contains(unreadable), "{ink:?} is {on:?}");
            }
        }
        let bare = Palette::new(false);
        assert!(Ink::ALL.into_iter().all(|ink| bare.on(ink).is_empty() && bare.off(ink).is_empty()));
    }

    #[test]
    fn neighbouring_connections_differ() {
        for number in 1..20 {
            assert_ne!(Ink::of_connection(number), Ink::of_connection(number + 1));
        }
    }
}
