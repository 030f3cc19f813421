//! Files of one folder that grow at the same time, however many. None stays open: what has gathered is appended in one go.
//! The names are ours, and no file is written to that this process has not made.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::problem::Problem;

/// A folder, and what waits to be written to its files.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    files: BTreeMap<String, Growing>,
    waiting: usize,
}

/// A file to which more may come.
#[derive(Debug, Default)]
struct Growing {
    octets: Vec<u8>,
    made: bool,
    finished: bool,
}

impl Folder {
    /// The folder at `path`. It is made, for its owner alone, if it is not there; one that is there must be empty, so that no
    /// two sessions get mixed.
    ///
    /// # Errors
    /// A folder that is none, is not empty, or cannot be made; `origin` is where it was named.
    pub fn open(path: &Path, origin: &str) -> Result<Self, Problem> {
        let wrong = |what: String, help: &str| Problem::new(origin, what, help);
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let mut entries = path.read_dir().map_err(|error| wrong(error.to_string(), "a folder, old or new"))?;
                if entries.next().is_some() {
                    return Err(wrong("the folder is not empty".to_owned(), "a new folder, or an empty one"));
                }
            }
            Err(error) => return Err(wrong(error.to_string(), "a new folder in one that can be written to")),
        }
        // A daemon may change its place; an output does not move along.
        let path = std::path::absolute(path).map_err(|error| wrong(error.to_string(), "a folder"))?;
        Ok(Folder { path, files: BTreeMap::new(), waiting: 0 })
    }

    /// Lets octets wait for a file; without octets, the file comes into being all the same.
    pub fn append(&mut self, name: &str, octets: &[u8]) {
        self.waiting += octets.len();
        match self.files.get_mut(name) {
            Some(file) => file.octets.extend_from_slice(octets),
            None => {
                self.files.insert(name.to_owned(), Growing { octets: octets.to_vec(), ..Growing::default() });
            }
        }
    }

    /// No more will come for a file.
    pub fn finish(&mut self, name: &str) {
        if let Some(file) = self.files.get_mut(name) {
            file.finished = true;
        }
    }

    /// How many octets wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Appends to each file what waits for it.
    ///
    /// # Errors
    /// A file that cannot be made or written to, with its name. What has not been written goes on waiting for nothing.
    pub fn flush(&mut self) -> io::Result<()> {
        self.waiting = 0;
        for (name, file) in &mut self.files {
            if file.made && file.octets.is_empty() {
                continue;
            }
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
            let mut options = OpenOptions::new();
            options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
            // A file of this name that is not ours may be anything.
            let mut open = if file.made { options.append(true) } else { options.write(true).create_new(true) }
                .open(self.path.join(name))
                .map_err(named)?;
            file.made = true;
            open.write_all(&std::mem::take(&mut file.octets)).map_err(named)?;
        }
        self.files.retain(|_, file| !file.finished);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn files_grow_and_are_private() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("new");
        let mut folder = Folder::open(&path, "-o").expect("it is made");
        folder.append("a", b"one ");
        folder.append("b", b"");
        folder.flush().expect("room");
        folder.append("a", b"two");
        assert_eq!(folder.waiting(), 3);
        folder.finish("a");
        folder.flush().expect("room");
        assert!(folder.waiting() == 0 && folder.files.keys().eq(["b"]), "what is finished is forgotten");
        assert_eq!(std::fs::read(path.join("a")).expect("a file"), b"one two");
        assert_eq!(std::fs::read(path.join("b")).expect("a file"), b"");
        assert_eq!([mode(&path), mode(&path.join("a"))], [0o700, 0o600]);
    }

    #[test]
    fn sessions_are_not_mixed_and_nothing_of_others_is_written_to() {
        let place = tempfile::tempdir().expect("a folder");
        assert!(Folder::open(place.path(), "-o").is_ok(), "an empty one is fine");
        let mut folder = Folder::open(place.path(), "-o").expect("still empty");
        let other = tempfile::NamedTempFile::new().expect("a file");
        symlink(other.path(), place.path().join("a")).expect("a link");
        folder.append("a", b"octets");
        let error = folder.flush().expect_err("the name is taken");
        assert!(error.to_string().starts_with("a: "), "{error}");
        folder.append("b", b"octets");
        folder.files.remove("a");
        folder.flush().expect("room");
        std::fs::remove_file(place.path().join("b")).expect("it is there");
        symlink(other.path(), place.path().join("b")).expect("a link");
        folder.append("b", b"more");
        assert!(folder.flush().is_err(), "a link in its place is not followed");
        assert_eq!(other.path().metadata().expect("a file").len(), 0);
        let problem = Folder::open(place.path(), "--output raw:x").expect_err("not empty");
        assert!(problem.what.contains("not empty") && problem.origin.contains("raw:x"), "{problem}");
        assert!(Folder::open(other.path(), "-o").is_err(), "no folder at all");
        assert!(Folder::open(&place.path().join("not/there"), "-o").is_err());
    }
}
