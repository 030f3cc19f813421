//! Following a recording that still grows: at the end of its file, and into the next files that `--rotate` begins.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::recording::{Head, Reader};

/// Maximum number of names that are looked for: the writer passes over those that are taken.
const LOOK: u32 = 16;

/// What has become of a file whose end was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Nothing yet.
    None,
    /// The recording goes on in another file, so that this one is complete.
    Next,
    /// The file became shorter.
    Overwritten,
}

/// The newest file of a recording.
#[derive(Debug)]
pub struct Follow {
    current: PathBuf,
    /// Path of the first file, and number of the current one.
    first: PathBuf,
    number: u32,
    length: u64,
    next: Option<(PathBuf, u32, File)>,
}

impl Follow {
    /// Follows the recording in this file.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let number = path.extension().and_then(|end| end.to_str()).and_then(|end| end.parse().ok());
        let (first, number) = match number {
            Some(number) => (path.with_extension(""), number),
            None => (path.to_owned(), 0),
        };
        Follow { current: path.to_owned(), first, number, length: length(path).unwrap_or(0), next: None }
    }

    /// Looks for more, where a file with this head has been read to its end.
    pub fn look(&mut self, head: &Head) -> Growth {
        if self.next.is_some() {
            return Growth::Next;
        }
        let length = length(&self.current).unwrap_or(self.length);
        if length < self.length {
            return Growth::Overwritten;
        }
        self.length = length;
        // A first file may have a number for its extension.
        let bases = [(&self.first, self.number), (&self.current, 0)];
        let bases = if head.part == 0 { &bases[1..] } else { &bases[..] };
        for (base, number) in bases {
            for number in (number + 1..).take(LOOK as usize) {
                let mut path = (*base).clone().into_os_string();
                path.push(format!(".{number}"));
                let path = PathBuf::from(path);
                if begins_next(&path, head)
                    && let Ok(file) = File::open(&path)
                {
                    let first = (*base).clone();
                    self.next = Some((path, number, file));
                    self.first = first;
                    return Growth::Next;
                }
            }
        }
        Growth::None
    }

    /// Takes the next file, if one was found.
    pub fn take(&mut self) -> Option<(PathBuf, File)> {
        let (path, number, file) = self.next.take()?;
        (self.length, self.current, self.number) = (length(&path).unwrap_or(0), path.clone(), number);
        Some((path, file))
    }
}

fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.len())
}

/// True if the file at this path goes on with a recording of this head.
fn begins_next(path: &Path, head: &Head) -> bool {
    let regular = fs::metadata(path).is_ok_and(|found| found.is_file());
    let reader = regular.then(|| File::open(path).and_then(Reader::new));
    reader.is_some_and(|reader| reader.is_ok_and(|reader| head.goes_on(reader.head())))
}
