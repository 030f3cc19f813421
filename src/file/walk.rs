//! Walks a path folder by folder, so that it is known whose links are followed: a link of this user's or root's leads on,
//! and one of anybody else is refused. What was entered stays open, so that nobody can put another folder in its place.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::Refused;

/// Maximum number of links in one path, as on Linux.
const MAX_LINKS: usize = 40;

/// Opens a folder for nothing but what lies in it: searching it may be allowed where reading it is not.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SEARCH: OFlags = OFlags::RDONLY;

/// Users whose links and files are believed in: this one, root, and whoever owns the root folder, as which root appears in a
/// user namespace that does not map it.
#[derive(Debug, Clone, Copy)]
pub struct Trusted([u32; 3]);

impl Trusted {
    /// Returns those of this process.
    pub fn now() -> Self {
        let own = rustix::process::geteuid().as_raw();
        let top = std::fs::symlink_metadata("/").map_or(0, |found| found.uid());
        Trusted([own, 0, top])
    }

    /// Returns a set of one user, so that a test can be somebody else.
    #[cfg(test)]
    pub const fn only(user: u32) -> Self {
        Trusted([user; 3])
    }

    /// Returns true if this user is one of them.
    pub fn has(self, user: u32) -> bool {
        self.0.contains(&user)
    }
}

/// Where a link leads.
enum Link {
    /// To this path.
    Path(OsString),
    /// To what only the kernel knows: what a process has open (`/proc/self/fd/1`).
    Kernel,
}

/// A walk along one path.
pub struct Walk {
    trusted: Trusted,
    links: usize,
    make: bool,
}

/// The last step of a walk.
pub enum Last {
    /// A name in a folder, which was no link when it was looked at.
    Name(OwnedFd, OsString),
    /// A name in a folder that the kernel alone can follow.
    Kernel(OwnedFd, OsString),
}

impl Walk {
    /// Begins a walk. With `make`, folders that are missing on the way are made, for their owner alone.
    pub const fn new(trusted: Trusted, make: bool) -> Self {
        Walk { trusted, links: 0, make }
    }

    /// Returns true if there was a link on the way.
    pub const fn has_followed(&self) -> bool {
        self.links > 0
    }

    /// Enters all folders of a path but its last name.
    pub fn parent(&mut self, from: Option<OwnedFd>, path: &OsStr) -> Result<(OwnedFd, OsString), Refused> {
        let bytes = path.as_bytes();
        if bytes.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT).into());
        }
        let mut folder = match from.filter(|_| bytes[0] != b'/') {
            Some(folder) => folder,
            None => open(&CWD, OsStr::new(if bytes[0] == b'/' { "/" } else { "." }), SEARCH | OFlags::DIRECTORY)?,
        };
        let names = bytes.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".");
        let mut names: Vec<&OsStr> = names.map(OsStr::from_bytes).collect();
        // `/`, `.` and `a/.` end with a folder, and so does `a/`.
        let last = match bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes == b"." {
            true => OsStr::new("."),
            false => names.pop().unwrap_or(OsStr::new(".")),
        };
        for name in names {
            folder = self.enter(folder, name)?;
        }
        Ok((folder, last.to_owned()))
    }

    /// Enters a folder of this name.
    pub fn enter(&mut self, folder: OwnedFd, name: &OsStr) -> Result<OwnedFd, Refused> {
        let flags = SEARCH | OFlags::DIRECTORY;
        let error = match open(&folder, name, flags | OFlags::NOFOLLOW) {
            Ok(entered) => return Ok(entered),
            Err(error) => error,
        };
        if self.make && error.kind() == io::ErrorKind::NotFound {
            // Somebody else may make it at the same time.
            match mkdirat(&folder, name, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {
                    return open(&folder, name, flags | OFlags::NOFOLLOW).map_err(Refused::from);
                }
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        match self.link(&folder, name)? {
            None => Err(error.into()),
            Some(Link::Kernel) => open(&folder, name, flags).map_err(Refused::from),
            Some(Link::Path(path)) => {
                let (folder, name) = self.parent(Some(folder), &path)?;
                self.enter(folder, &name)
            }
        }
    }

    /// Follows a name as long as it is a link.
    pub fn last(&mut self, mut folder: OwnedFd, mut name: OsString) -> Result<Last, Refused> {
        loop {
            match self.link(&folder, &name)? {
                None => return Ok(Last::Name(folder, name)),
                Some(Link::Kernel) => return Ok(Last::Kernel(folder, name)),
                Some(Link::Path(path)) => (folder, name) = self.parent(Some(folder), &path)?,
            }
        }
    }

    /// Reads the link of this name, if it is one.
    fn link(&mut self, folder: &OwnedFd, name: &OsStr) -> Result<Option<Link>, Refused> {
        let Some((owner, link)) = look(folder, name)? else { return Ok(None) };
        if !self.trusted.has(owner) {
            let what = format!("link of another user (uid {owner}): {}", name.display());
            let help = "only links that belong to you or root are followed: name the place that it points to";
            return Err(Refused::new(io::ErrorKind::PermissionDenied, what, help));
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(io::Error::from_raw_os_error(libc::ELOOP).into());
        }
        Ok(Some(link))
    }
}

/// Opens a name in a folder.
pub fn open(folder: &impl std::os::fd::AsFd, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, flags | OFlags::CLOEXEC, Mode::empty())?)
}

/// Returns the owner of a link and where it leads: both of one link, which is held open meanwhile.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn look(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<(u32, Link)>> {
    let file = match open(folder, name, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(found) => File::from(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if !found.is_symlink() {
        return Ok(None);
    }
    if rustix::fs::fstatfs(&file)?.f_type == rustix::fs::PROC_SUPER_MAGIC {
        return Ok(Some((found.uid(), Link::Kernel)));
    }
    let path = rustix::fs::readlinkat(&file, c"", Vec::new())?;
    Ok(Some((found.uid(), Link::Path(OsString::from_vec(path.into_bytes())))))
}

/// Returns the owner of a link and where it leads. Links cannot be opened here: what was read counts only if the link is the
/// one that was looked at, before and after.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn look(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<(u32, Link)>> {
    use rustix::fs::{AtFlags, FileType, readlinkat, statat};
    loop {
        let before = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode).is_symlink() => found,
            Ok(_) | Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(path) = readlinkat(folder, name, Vec::new()) else { continue };
        let after = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if (before.st_dev, before.st_ino, before.st_ctime) == (after.st_dev, after.st_ino, after.st_ctime) {
            return Ok(Some((after.st_uid, Link::Path(OsString::from_vec(path.into_bytes())))));
        }
    }
}
