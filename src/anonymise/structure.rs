//! Where in ENVELOPE and BODYSTRUCTURE (RFC 9051 section 7.5.2) a string is, and so whether it is a word of MIME, a date or a name.

/// Maximum depth of parentheses that are looked into; everything deeper is a name.
const DEPTH: usize = 64;

/// Meaning of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A type, an encoding, a disposition.
    Word,
    /// The key of a parameter.
    Key,
    /// The value of a parameter.
    Value,
    /// A date.
    Date,
    /// A name, whatever it looks like.
    Name,
}

/// Content of a parenthesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Body,
    Parameters,
    Disposition,
    Envelope,
    Names,
}

#[derive(Debug, Clone)]
struct Level {
    role: Role,
    /// Number of items so far, parts of a multipart not counted.
    items: usize,
    /// True if it began with a part.
    multipart: bool,
    /// True if an envelope came, so that a body follows.
    message: bool,
    /// True if the disposition came.
    disposed: bool,
}

/// A structure that has begun.
#[derive(Debug, Clone)]
pub struct Structure {
    levels: Vec<Level>,
    /// Number of open parentheses beyond [`DEPTH`].
    deeper: u32,
    first: Role,
}

impl Structure {
    /// Begins before the parenthesis of a body.
    pub const fn of_body() -> Self {
        Structure { levels: Vec::new(), deeper: 0, first: Role::Body }
    }

    /// Begins before the parenthesis of an envelope.
    pub const fn of_envelope() -> Self {
        Structure { levels: Vec::new(), deeper: 0, first: Role::Envelope }
    }

    /// Returns true once its first parenthesis has opened.
    pub const fn has_begun(&self) -> bool {
        !self.levels.is_empty()
    }

    /// Takes note of a parenthesis that opens.
    pub fn open(&mut self) {
        let role = self.levels.last_mut().map_or(self.first, Level::group);
        if self.levels.len() == DEPTH {
            self.deeper = self.deeper.saturating_add(1);
            return;
        }
        self.levels.push(Level { role, items: 0, multipart: false, message: false, disposed: false });
    }

    /// Takes note of one that closes. Returns true if it was the outermost one.
    pub fn close(&mut self) -> bool {
        match self.deeper {
            0 => drop(self.levels.pop()),
            _ => self.deeper -= 1,
        }
        self.levels.is_empty()
    }

    /// Takes note of an item outside of a group of its own. Returns its meaning.
    pub fn item(&mut self) -> Item {
        let Some(level) = self.levels.last_mut().filter(|_| self.deeper == 0) else { return Item::Name };
        let at = level.items;
        level.items += 1;
        match (level.role, at) {
            (Role::Envelope, 0) => Item::Date,
            (Role::Disposition, 0) => Item::Word,
            (Role::Parameters, at) if at % 2 == 0 => Item::Key,
            (Role::Parameters, _) => Item::Value,
            (Role::Body, 0) => Item::Word,
            (Role::Body, 1 | 5) if !level.multipart => Item::Word,
            _ => Item::Name,
        }
    }
}

impl Level {
    /// Takes note of a group in this one. Returns its content.
    fn group(&mut self) -> Role {
        let at = self.items;
        match self.role {
            Role::Body if at == 0 => {
                self.multipart = true;
                return Role::Body;
            }
            Role::Body => {}
            Role::Disposition => {
                self.items += 1;
                return Role::Parameters;
            }
            Role::Parameters | Role::Envelope | Role::Names => {
                self.items += 1;
                return Role::Names;
            }
        }
        self.items += 1;
        let parameters = if self.multipart { 1 } else { 2 };
        match at {
            _ if at == parameters => Role::Parameters,
            7 if !self.multipart => {
                self.message = true;
                Role::Envelope
            }
            8 if self.message => Role::Body,
            _ if at > parameters && !self.disposed => {
                self.disposed = true;
                Role::Disposition
            }
            _ => Role::Names,
        }
    }
}
