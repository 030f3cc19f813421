//! Files of one folder that grow at the same time, however many. None stays open: what has gathered is appended in one go.
//! The names are ours, and no file is written to that this process has not made.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::file::{self, folder};

/// A folder, and what waits to be written to its files.
#[derive(Debug)]
pub struct Folder {
    folder: file::Folder,
    files: BTreeMap<String, Growing>,
    waiting: usize,
}

/// A file to which more may come.
#[derive(Debug, Default)]
struct Growing {
    octets: Vec<u8>,
    /// Identity of the file that was made.
    made: Option<(u64, u64)>,
    finished: bool,
}

impl Folder {
    /// Files in a folder that is empty, so that no two sessions get mixed.
    #[must_use]
    pub const fn new(folder: file::Folder) -> Self {
        Folder { folder, files: BTreeMap::new(), waiting: 0 }
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
            if file.made.is_some() && file.octets.is_empty() {
                continue;
            }
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
            // A file of this name that is not ours may be anything.
            let mut open = match file.made {
                Some(made) => self.folder.append(name, made).map_err(named)?,
                None => {
                    let open = self.folder.create(name, folder::OWN).map_err(named)?;
                    file.made = Some(folder::identity(&open.metadata().map_err(named)?));
                    open
                }
            };
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
    use std::path::Path;

    fn open(path: &Path) -> Result<Folder, file::Refused> {
        file::Folder::fresh(path, false).map(Folder::new)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn files_grow_and_are_private() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("new");
        let mut folder = open(&path).expect("it is made");
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
        assert!(open(place.path()).is_ok(), "an empty one is fine");
        let mut folder = open(place.path()).expect("still empty");
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
        folder.files.remove("b");
        folder.append("c", b"octets");
        folder.flush().expect("room");
        std::fs::rename(place.path().join("c"), place.path().join("d")).expect("it is there");
        std::fs::write(place.path().join("c"), "").expect("a file");
        folder.append("c", b"more");
        assert!(folder.flush().is_err(), "another file in its place is not written to");
        let refused = open(place.path()).expect_err("not empty");
        assert!(refused.what.contains("not empty"), "{refused}");
        assert!(open(other.path()).is_err(), "no folder at all");
        assert!(open(&place.path().join("not/there")).is_err());
    }
}
