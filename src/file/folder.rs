//! Folders that are written to: held open, so that a path that leads elsewhere later changes nothing.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, openat, renameat, unlinkat};

use super::walk::{self, Trusted, Walk};
use super::{Opened, Place, Refused, Way};

/// Rights of a file for its owner alone.
pub const OWN: Mode = Mode::RUSR.union(Mode::WUSR);

/// Rights of a file that everyone may read.
pub const PUBLIC: Mode = OWN.union(Mode::RGRP).union(Mode::ROTH);

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    folder: OwnedFd,
    path: PathBuf,
    trusted: Trusted,
}

impl Folder {
    /// Makes a folder, for its owner alone. Unless it has to be `new`, one that exists will do if it is empty.
    ///
    /// # Errors
    /// A folder that is none, is not empty, or cannot be made.
    pub fn fresh(path: &Path, new: bool) -> Result<Self, Refused> {
        let trusted = Trusted::now();
        let mut walk = Walk::new(trusted, false);
        let (parent, name) = walk.parent(None, without_slash(path))?;
        match mkdirat(&parent, &name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) if !new => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let folder = Folder { folder: walk.enter(parent, &name)?, path: path.to_owned(), trusted };
        match folder.is_empty()? {
            true => Ok(folder),
            false => Err(Refused::new(
                io::ErrorKind::DirectoryNotEmpty,
                "the folder is not empty",
                "a new folder, or an empty one",
            )),
        }
    }

    /// Opens a folder in which secrets are kept.
    ///
    /// # Errors
    /// A folder that does not exist, or to which others have access: theirs, or one that they can write to.
    pub fn private(path: &Path, make: bool) -> Result<Self, Refused> {
        Self::private_as(path, make, Trusted::now())
    }

    pub(super) fn private_as(path: &Path, make: bool, trusted: Trusted) -> Result<Self, Refused> {
        let mut walk = Walk::new(trusted, make);
        let (parent, name) = walk.parent(None, without_slash(path))?;
        let folder = Folder { folder: walk.enter(parent, &name)?, path: path.to_owned(), trusted };
        let found = folder.found()?;
        let (mode, shown) = (found.mode() & 0o7777, path.display());
        if !trusted.has(found.uid()) {
            let what = format!("folder belongs to another user (uid {}): {shown}", found.uid());
            return Err(Refused::new(io::ErrorKind::PermissionDenied, what, "use a folder of your own"));
        }
        if mode & 0o022 != 0 {
            let what = format!("folder is writable by others (mode {mode:o}): {shown}");
            let help = format!("chmod go-w {shown}, if nobody else can have put anything there; or use another folder");
            return Err(Refused::new(io::ErrorKind::PermissionDenied, what, help));
        }
        Ok(folder)
    }

    /// Returns the path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn found(&self) -> io::Result<Metadata> {
        File::from(self.folder.try_clone()?).metadata()
    }

    fn is_empty(&self) -> io::Result<bool> {
        // What is open for searching alone cannot be read.
        let open = walk::open(&self.folder, OsStr::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = rustix::fs::Dir::new(open)?;
        let other = |name: &[u8]| name != b"." && name != b"..";
        Ok(!entries.any(|entry| entry.is_ok_and(|entry| other(entry.file_name().to_bytes()))))
    }

    /// Returns what the owner of its files should know: a sentence without a line end.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn warning(&self) -> io::Result<Option<String>> {
        let (found, path) = (self.found()?, self.path.display());
        Ok(match found.mode() & 0o7777 {
            _ if !self.trusted.has(found.uid()) => {
                Some(format!("{path} belongs to another user (uid {}), who can remove what is in it", found.uid()))
            }
            mode if mode & 0o022 != 0 && mode & 0o1000 == 0 => {
                Some(format!("others can remove files from {path} (mode {mode:o}): chmod go-w {path}"))
            }
            _ => None,
        })
    }

    /// Makes a file with these rights, as far as the umask of the process leaves them.
    ///
    /// # Errors
    /// What the system refuses; a name that is taken.
    pub fn create(&self, name: &str, mode: Mode) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.folder, name, flags, mode)?))
    }

    /// Opens a file that was made here, to append to it. No link is followed, and no other file is written to:
    /// `identity` is what [`identity`] said of it.
    ///
    /// # Errors
    /// What the system refuses; another file of this name.
    pub fn append(&self, name: &str, made: (u64, u64)) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(walk::open(&self.folder, OsStr::new(name), flags)?);
        let found = file.metadata()?;
        if !found.is_file() || identity(&found) != made || !self.trusted.has(found.uid()) {
            return Err(io::Error::other("somebody has put another file in its place"));
        }
        Ok(file)
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// What the system refuses; a link of another user.
    pub fn read(&self, name: &str) -> Result<Opened, Refused> {
        let (folder, path) = (self.folder.try_clone()?, self.path.join(name));
        Place { folder, name: OsString::from(name), path, trusted: self.trusted }.open(Way::Read)
    }

    /// Returns true if a file belongs to a user who is believed in: this one, or root.
    #[must_use]
    pub fn trusts(&self, found: &Metadata) -> bool {
        self.trusted.has(found.uid())
    }

    /// Gives a file a second name, if nothing has that name.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn link(&self, old: &str, new: &str) -> io::Result<()> {
        Ok(linkat(&self.folder, old, &self.folder, new, AtFlags::empty())?)
    }

    /// Gives a file another name, and removes what had that name.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn rename(&self, old: &str, new: &str) -> io::Result<()> {
        Ok(renameat(&self.folder, old, &self.folder, new)?)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.folder, name, AtFlags::empty())?)
    }
}

/// Returns what a file is known by under all its names: its device and number.
#[must_use]
pub fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// Removes the slashes at the end of a path.
fn without_slash(path: &Path) -> &OsStr {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    let len = bytes.iter().rposition(|&b| b != b'/').map_or(bytes.len().min(1), |at| at + 1);
    OsStr::from_bytes(&bytes[..len])
}
