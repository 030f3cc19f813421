//! Names with `{time}` in them: when this run began, so that each run has files of its own, which sort by their age.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use memchr::memmem;

/// Placeholder for the time in a path.
pub const TIME: &str = "{time}";

/// Maximum number of names that are tried for the runs of one second.
const MOST: u32 = 1000;

/// Returns the names that a path may stand for, and whether the file has to be new: one, or with `{time}` in it one for each
/// run that begins in the same second: `20261130T202400Z`, `20261130T202400Z_2` and so on.
pub fn names(path: &Path) -> impl Iterator<Item = (PathBuf, bool)> {
    let fresh = memmem::find(path.as_os_str().as_bytes(), TIME.as_bytes()).is_some();
    let path = path.to_owned();
    (1..=if fresh { MOST } else { 1 }).map(move |nth| (filled(&path, nth), fresh))
}

/// Puts the time in its place. Later names of one second end in a number, and sort after the first.
fn filled(path: &Path, nth: u32) -> PathBuf {
    let stamp = if nth == 1 { began().to_owned() } else { format!("{}_{nth}", began()) };
    let (mut rest, mut new) = (path.as_os_str().as_bytes(), Vec::new());
    while let Some(at) = memmem::find(rest, TIME.as_bytes()) {
        new.extend_from_slice(&rest[..at]);
        new.extend_from_slice(stamp.as_bytes());
        rest = &rest[at + TIME.len()..];
    }
    new.extend_from_slice(rest);
    PathBuf::from(OsString::from_vec(new))
}

/// Returns when this run began, in UTC: the same for all of its files.
fn began() -> &'static str {
    static BEGAN: OnceLock<String> = OnceLock::new();
    BEGAN.get_or_init(|| stamp(Timestamp::now()))
}

/// A moment as a part of a name (ISO 8601, basic format, UTC): no character of it means something to a file system or a shell.
fn stamp(moment: Timestamp) -> String {
    let at = TimeZone::UTC.to_datetime(moment);
    let (year, month, day) = (at.year(), at.month(), at.day());
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_a_name_sorts_and_is_the_same_throughout() {
        let moment: Timestamp = "2026-11-30T20:24:00.9Z".parse().expect("a moment");
        assert_eq!(stamp(moment), "20261130T202400Z");
        let path = Path::new("{time}/a-{time}.imapscope");
        let all: Vec<_> = names(path).take(3).collect();
        let began = began();
        assert_eq!(all[0], (PathBuf::from(format!("{began}/a-{began}.imapscope")), true));
        assert_eq!(all[1].0, PathBuf::from(format!("{began}_2/a-{began}_2.imapscope")));
        assert!(all.is_sorted() && names(path).count() == MOST as usize);
        let plain = PathBuf::from(OsString::from_vec(b"a\xff{times}".to_vec()));
        assert_eq!(names(&plain).collect::<Vec<_>>(), [(plain.clone(), false)]);
    }
}
