//! Colours and other looks: whether there are any, and what each role gets. The escape sequences are rendered once;
//! afterwards a style costs two copies of a few octets. Only what reads well on dark and on light is used.

use owo_colors::Style as Colour;

use crate::event::Role;

/// What the user said about colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Decide by the environment.
    Auto,
    /// Colour, whatever the environment.
    Always,
    /// None.
    Never,
}

/// What the environment says about colour.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The output is a terminal.
    pub terminal: bool,
    /// NO_COLOR.
    pub no_color: Option<&'a str>,
    /// CLICOLOR_FORCE.
    pub force: Option<&'a str>,
    /// TERM.
    pub term: Option<&'a str>,
}

/// Decides about colour: the flag first, then NO_COLOR, then CLICOLOR_FORCE, then the terminal.
#[must_use]
pub fn coloured(wish: Wish, around: Surroundings<'_>) -> bool {
    let set = |value: Option<&str>| value.is_some_and(|value| !value.is_empty());
    match wish {
        Wish::Always => true,
        Wish::Never => false,
        Wish::Auto if set(around.no_color) => false,
        Wish::Auto if set(around.force) && around.force != Some("0") => true,
        Wish::Auto => around.terminal && around.term != Some("dumb"),
    }
}

/// A look: what is written before and after.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Switches it on.
    pub before: Vec<u8>,
    /// Switches it off.
    pub after: Vec<u8>,
}

impl Style {
    fn of(colour: Colour) -> Style {
        let (before, after) = (colour.prefix_formatter().to_string(), colour.suffix_formatter().to_string());
        Style { before: before.into_bytes(), after: after.into_bytes() }
    }

    /// Appends `text`, which must be escaped already, in this style.
    pub fn paint(&self, text: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(text);
        out.extend_from_slice(&self.after);
    }
}

/// All looks of the log.
#[derive(Debug, Clone, Default)]
pub struct Palette {
    roles: [Style; ROLES],
    peers: [Style; 2],
    connections: Vec<Style>,
    /// Times, states, frames around notes.
    pub faint: Style,
    /// Names in notes.
    pub strong: Style,
    /// Findings.
    pub alarm: Style,
    /// What a rule has changed.
    pub changed: Style,
    /// A capability that was taken away.
    pub removed: Style,
    /// A capability that was put there.
    pub added: Style,
}

const ROLES: usize = Role::Surprise as usize + 1;

impl Palette {
    /// The palette with colours, or the one without.
    #[must_use]
    pub fn new(colour: bool) -> Palette {
        if !colour {
            return Palette { connections: vec![Style::default()], ..Palette::default() };
        }
        let new = Colour::new;
        let mut palette = Palette {
            peers: [Style::of(new().magenta().bold()), Style::of(new().blue().bold())],
            connections: [new().green(), new().magenta(), new().cyan(), new().blue(), new().red()]
                .into_iter()
                .map(|colour| Style::of(colour.bold()))
                .collect(),
            faint: Style::of(new().dimmed()),
            strong: Style::of(new().bold()),
            alarm: Style::of(new().red().bold()),
            changed: Style::of(new().magenta()),
            removed: Style::of(new().red().strikethrough()),
            added: Style::of(new().green().bold()),
            ..Palette::default()
        };
        for (role, colour) in [
            (Role::Tag, new().bold()),
            (Role::Verb, new().bold()),
            (Role::Name, new().bold()),
            (Role::Good, new().green().bold()),
            (Role::Bad, new().red().bold()),
            (Role::Code, new().cyan()),
            (Role::Capability, new().cyan()),
            (Role::Removed, new().red().strikethrough()),
            (Role::Added, new().green().bold()),
            (Role::Flag, new().cyan()),
            (Role::Literal, new().magenta()),
            (Role::Secret, new().magenta().bold()),
            (Role::Surprise, new().red().underline()),
        ] {
            palette.roles[role as usize] = Style::of(colour);
        }
        palette
    }

    /// The look of a role; human text and strings have none of their own.
    #[must_use]
    pub fn role(&self, role: Role) -> &Style {
        &self.roles[role as usize]
    }

    /// The look of a peer's direction mark.
    #[must_use]
    pub fn peer(&self, peer: crate::event::Peer) -> &Style {
        &self.peers[peer.index()]
    }

    /// The look of a connection's number: always the same for the same number.
    #[must_use]
    pub fn connection(&self, number: u64) -> &Style {
        &self.connections[(number as usize).wrapping_sub(1) % self.connections.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_then_the_environment_then_the_terminal() {
        let terminal = Surroundings { terminal: true, ..Surroundings::default() };
        let pipe = Surroundings::default();
        assert!(coloured(Wish::Auto, terminal));
        assert!(!coloured(Wish::Auto, pipe));
        assert!(coloured(Wish::Always, Surroundings { no_color: Some("1"), ..pipe }));
        assert!(!coloured(Wish::Never, Surroundings { force: Some("1"), ..terminal }));
        assert!(!coloured(Wish::Auto, Surroundings { no_color: Some("1"), force: Some("1"), ..terminal }));
        assert!(coloured(Wish::Auto, Surroundings { no_color: Some(""), ..terminal }));
        assert!(coloured(Wish::Auto, Surroundings { force: Some("1"), ..pipe }));
        assert!(!coloured(Wish::Auto, Surroundings { force: Some("0"), ..pipe }));
        assert!(!coloured(Wish::Auto, Surroundings { term: Some("dumb"), ..terminal }));
    }

    #[test]
    fn without_colour_nothing_is_written() {
        let palette = Palette::new(false);
        let mut out = Vec::new();
        palette.role(Role::Bad).paint(b"NO", &mut out);
        palette.connection(7).paint(b"#7", &mut out);
        assert_eq!(out, b"NO#7");
        assert!(!Palette::new(true).role(Role::Bad).before.is_empty());
    }
}
