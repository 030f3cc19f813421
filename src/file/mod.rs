//! Files: of those that are written, whose links are followed, what is there already, who else may read it, and which names
//! are new; of those that a person wrote, how much is read.
//!
//! Nothing is truncated or written to before it is known what was opened: a file is opened first, and judged by what is open
//! then ([`Place::open`]). So nobody who can write to a folder, as everybody can to `/tmp`, can make us write where we did
//! not mean to. New files are for their owner alone (mode 0600).

pub mod folder;
mod name;
#[cfg(test)]
mod tests;
mod walk;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};

pub use folder::Folder;
pub use name::{TIME, names};
use walk::{Last, Trusted, Walk};

/// Maximum number of attempts to open a name that others make and remove at the same time.
const ATTEMPTS: usize = 16;

/// Maximum size in bytes of a file that a person wrote or a tool made: rules, names, descriptions, certificates, keys.
const SMALL: u64 = 16 * 1024 * 1024;

/// Mode bits that let the group or others do something.
const OTHERS: u32 = 0o077;

/// Reads a file that cannot sensibly be large. Some inputs have no end (`/dev/zero`).
///
/// # Errors
/// If it cannot be read, or is longer than 16 MiB, of which no more is kept.
pub fn small(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(SMALL + 1).read_to_end(&mut bytes)?;
    let fits = bytes.len() as u64 <= SMALL;
    let long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {} MiB", SMALL >> 20));
    fits.then_some(bytes).ok_or_else(long)
}

/// Reason why a file is not written to.
#[derive(Debug)]
pub struct Refused {
    /// Kind of the error, as the system would have it.
    pub kind: io::ErrorKind,
    /// What is wrong.
    pub what: String,
    /// What would be right; empty if that depends on what the file is for.
    pub help: String,
}

impl Refused {
    /// Makes a refusal with its remedy.
    pub fn new(kind: io::ErrorKind, what: impl Into<String>, help: impl Into<String>) -> Self {
        Refused { kind, what: what.into(), help: help.into() }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        let help = if error.kind() == io::ErrorKind::IsADirectory { "name a file" } else { "" };
        Refused::new(error.kind(), error.to_string(), help)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To be written from its beginning. What is in it stays until the first byte is written ([`Output`]).
    Write,
    /// To be appended to.
    Append,
    /// To be written from its beginning, if the name is free.
    New,
    /// To be read.
    Read,
}

/// A name in a folder that is open: what others do to the path meanwhile changes nothing.
#[derive(Debug)]
pub struct Place {
    folder: OwnedFd,
    name: OsString,
    path: PathBuf,
    trusted: Trusted,
}

/// A file that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub file: File,
    /// What it was when it was opened.
    pub found: Metadata,
    /// What its owner should know of it; a sentence without a line end.
    pub warning: Option<String>,
    /// True if a link led to it.
    pub linked: bool,
}

impl Place {
    /// Finds the folder of a path.
    ///
    /// # Errors
    /// A folder that does not exist or cannot be entered, a link of another user.
    pub fn find(path: &Path) -> Result<Self, Refused> {
        Self::find_as(path, Trusted::now())
    }

    fn find_as(path: &Path, trusted: Trusted) -> Result<Self, Refused> {
        let (folder, name) = Walk::new(trusted, false).parent(None, path.as_os_str()).map_err(|refused| {
            let parent = path.parent().filter(|_| refused.kind == io::ErrorKind::NotFound);
            let help =
                parent.map_or(refused.help, |parent| format!("the folder must exist: mkdir -p {}", parent.display()));
            Refused { help, ..refused }
        })?;
        Ok(Place { folder, name, path: path.to_owned(), trusted })
    }

    /// Returns the path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the place beside this one that has a number more in its name: `FILE.1`.
    ///
    /// # Errors
    /// A process that cannot open another file.
    pub fn numbered(&self, number: u32) -> io::Result<Self> {
        let with = |name: &OsStr| {
            let mut name = name.to_owned();
            name.push(format!(".{number}"));
            name
        };
        let (name, path) = (with(&self.name), PathBuf::from(with(self.path.as_os_str())));
        Ok(Place { folder: self.folder.try_clone()?, name, path, trusted: self.trusted })
    }

    /// Opens the file, or makes it, for its owner alone.
    ///
    /// # Errors
    /// What the system refuses; a link of another user; in a folder that everyone can write to, a file of another user or
    /// one that has a second name; with [`Way::New`], anything of this name.
    pub fn open(&self, way: Way) -> Result<Opened, Refused> {
        let mut last = io::Error::from_raw_os_error(libc::ENOENT);
        for _ in 0..ATTEMPTS {
            if way == Way::New {
                return Ok(made(self.make(&self.folder, &self.name, way)?)?);
            }
            let mut walk = Walk::new(self.trusted, false);
            let (folder, name, follow) = match walk.last(self.folder.try_clone()?, self.name.clone())? {
                Last::Name(folder, name) => (folder, name, OFlags::NOFOLLOW),
                Last::Kernel(folder, name) => (folder, name, OFlags::empty()),
            };
            match walk::open(&folder, &name, flags(way) | follow) {
                Ok(file) => return self.judge(File::from(file), &folder, way, walk.has_followed()),
                Err(error) if error.kind() != io::ErrorKind::NotFound || way == Way::Read => return Err(error.into()),
                Err(_) => {}
            }
            match self.make(&folder, &name, way) {
                Ok(file) => return Ok(made(file)?),
                // Somebody else has made it since.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }

    fn make(&self, folder: &OwnedFd, name: &OsStr, way: Way) -> io::Result<File> {
        let flags = flags(way) | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(folder, name, flags, Mode::from_raw_mode(0o600))?))
    }

    /// Looks at a file that was there, before anything is done to it.
    fn judge(&self, file: File, folder: &OwnedFd, way: Way, linked: bool) -> Result<Opened, Refused> {
        let found = file.metadata()?;
        let kind = found.file_type();
        if kind.is_dir() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR).into());
        }
        let others = !self.trusted.has(found.uid());
        let device = kind.is_char_device() || kind.is_block_device();
        let open = File::from(folder.try_clone()?).metadata()?.mode();
        // In such a folder anybody can have put it there, with what he wants to be done to it.
        if !device && (open & 0o002 != 0 || open & 0o1020 == 0o1020) {
            let what = match () {
                () if others => Some(format!("belongs to another user (uid {})", found.uid())),
                () if kind.is_file() && found.nlink() > 1 => Some("has another name (hard link)".to_owned()),
                () => None,
            };
            if let Some(what) = what {
                let what = format!("{} {what}, in a folder that others can write to", self.path.display());
                let help = "name another file, or use a folder that only you can write to";
                return Err(Refused::new(io::ErrorKind::PermissionDenied, what, help));
            }
        }
        let mode = found.mode() & 0o777;
        let path = self.path.display();
        let warning = match () {
            () if !kind.is_file() || way == Way::Read => None,
            () if others => Some(format!("{path} belongs to another user (uid {}), who can read it", found.uid())),
            () if mode & OTHERS != 0 => Some(format!("{path} is open to others (mode {mode:03o}): chmod 600 {path}")),
            () => None,
        };
        Ok(Opened { file, found, warning, linked })
    }
}

fn made(file: File) -> io::Result<Opened> {
    Ok(Opened { found: file.metadata()?, file, warning: None, linked: false })
}

const fn flags(way: Way) -> OFlags {
    match way {
        // No terminal becomes ours by being written to.
        Way::Write | Way::New => OFlags::WRONLY.union(OFlags::NOCTTY),
        Way::Append => OFlags::WRONLY.union(OFlags::NOCTTY).union(OFlags::APPEND),
        // A pipe that nobody writes to is empty.
        Way::Read => OFlags::RDONLY.union(OFlags::NOCTTY).union(OFlags::NONBLOCK),
    }
}

impl Opened {
    /// Takes the file for this process until it is closed. Returns false if another process has it. Where files cannot be
    /// locked, as on some network file systems, everyone has it.
    #[must_use]
    pub fn lock(&self) -> bool {
        !self.found.is_file() || !matches!(self.file.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Returns true if it holds nothing now, or is not a regular file.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(!self.found.is_file() || self.file.metadata()?.len() == 0)
    }

    /// Returns what makes a regular file the same one under all its names: its device and number.
    #[must_use]
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.found.is_file().then(|| (self.found.dev(), self.found.ino()))
    }

    /// Returns the file as an output.
    #[must_use]
    pub fn output(self) -> Output {
        // A pipe or a device holds nothing that could be emptied.
        Output { old: self.found.is_file(), file: self.file }
    }
}

/// A file that is emptied when it is first written to: a program that cannot begin must not take an older log away.
#[derive(Debug)]
pub struct Output {
    file: File,
    old: bool,
}

impl Output {
    /// Makes an output of a file that was opened elsewhere, such as standard output, and that is not emptied.
    #[must_use]
    pub const fn of(file: File) -> Self {
        Output { file, old: false }
    }

    fn emptied(&mut self) -> io::Result<&mut File> {
        if std::mem::take(&mut self.old) {
            self.file.set_len(0)?;
        }
        Ok(&mut self.file)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.emptied()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.emptied()?.flush()
    }
}

/// The outputs of one run: no two of them write to one file.
#[derive(Debug, Default)]
pub struct Outputs {
    taken: Vec<(u64, u64)>,
    /// What the user should know of them: a sentence each.
    pub messages: Vec<String>,
}

impl Outputs {
    /// Opens a file to be written. A path with `{time}` in it ([`TIME`]) becomes one that is new.
    ///
    /// # Errors
    /// As [`Place::open`], and a file to which another of these outputs writes.
    pub fn open(&mut self, path: &Path) -> Result<(Place, Opened), Refused> {
        let (place, opened) = first_new(path, |name, fresh| {
            let place = Place::find(name)?;
            let opened = place.open(if fresh { Way::New } else { Way::Write })?;
            Ok((place, opened))
        })?;
        if let Some(identity) = opened.identity() {
            if self.taken.contains(&identity) {
                let help = "give each output a file of its own";
                return Err(Refused::new(io::ErrorKind::Other, "another output writes to this file", help));
            }
            self.taken.push(identity);
        }
        self.tell(path, place.path());
        self.messages.extend(opened.warning.iter().map(|warning| format!("warning: {warning}")));
        Ok((place, opened))
    }

    /// Opens a folder, or makes it; one that exists must be empty. A path with `{time}` in it becomes one that is new.
    ///
    /// # Errors
    /// A folder that is none, is not empty, or cannot be made.
    pub fn folder(&mut self, path: &Path) -> Result<Folder, Refused> {
        let folder = first_new(path, Folder::fresh)?;
        self.tell(path, folder.path());
        self.messages.extend(folder.warning()?.map(|warning| format!("warning: {warning}")));
        Ok(folder)
    }

    /// Says which name was chosen, where that was left to us.
    fn tell(&mut self, given: &Path, chosen: &Path) {
        if given != chosen {
            self.messages.push(format!("writing to {}", chosen.display()));
        }
    }
}

/// Opens the first of the names that a path may stand for; `open` is given the name, and whether it has to be new.
fn first_new<T>(path: &Path, mut open: impl FnMut(&Path, bool) -> Result<T, Refused>) -> Result<T, Refused> {
    let mut taken = None;
    for (name, fresh) in names(path) {
        match open(&name, fresh) {
            Err(refused) if fresh && refused.kind == io::ErrorKind::AlreadyExists => taken = Some(refused),
            other => return other,
        }
    }
    Err(taken.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EEXIST).into()))
}
