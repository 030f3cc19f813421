//! A password: from the environment, or asked for on the terminal without an echo. It is never an argument, which others
//! could read, and it is shown nowhere.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::problem::Problem;
use crate::sink::safe;

/// Where a password may stand.
pub const VARIABLE: &str = "IMAPSCOPE_PASSWORD";

/// The longest that is taken, in octets.
const LONGEST: usize = 1024;

/// The password for this user of this server.
///
/// # Errors
/// None could be had, or it is one that no protocol can carry.
pub fn obtain(user: &str, server: &str) -> Result<Vec<u8>, Problem> {
    let (origin, password) = match std::env::var_os(VARIABLE) {
        Some(password) => (VARIABLE, password.into_vec()),
        None => ("the password", ask(user, server)?),
    };
    let problem = |what: &str| Err(Problem::new(origin, what, "give the password of the user in --user"));
    if password.is_empty() {
        return problem("it is empty");
    }
    if password.len() > LONGEST {
        return problem("it is too long");
    }
    if password.iter().any(|octet| b"\r\n\0".contains(octet)) {
        return problem("it has a line break or a NUL in it, which cannot be sent");
    }
    Ok(password)
}

/// Asks the person at the terminal.
fn ask(user: &str, server: &str) -> Result<Vec<u8>, Problem> {
    let none = |what: String| Problem::new("--user", what, format!("set {VARIABLE}, or call it from a terminal"));
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let mut terminal = terminal.map_err(|_| none("there is no terminal to ask for the password".to_owned()))?;
    let failed = |error: std::io::Error| none(format!("the terminal cannot be used: {error}"));
    let question = safe(&format!("password of {user} at {server}: "));
    terminal.write_all(question.as_bytes()).map_err(failed)?;
    let quiet = Quiet::begin(terminal.try_clone().map_err(failed)?).map_err(|error| failed(error.into()))?;
    let read = line(&mut terminal);
    drop(quiet);
    let _ = terminal.write_all(b"\n");
    match read.map_err(failed)? {
        Some(password) => Ok(password),
        None => Err(none("no password was given".to_owned())),
    }
}

/// A terminal that shows nothing and sends no signals, until it is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin(terminal: File) -> rustix::io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        // Ctrl-C is read and not sent: it would end us, and leave the terminal so.
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Quiet { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nobody who could be told.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Reads keys up to Enter. `None` if the person gives up (Ctrl-C, or Ctrl-D at the beginning).
fn line(keys: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut key = [0];
    while keys.read(&mut key)? > 0 {
        match key[0] {
            b'\r' | b'\n' => return Ok(Some(line)),
            3 => return Ok(None),
            4 if line.is_empty() => return Ok(None),
            4 => return Ok(Some(line)),
            8 | 127 => {
                // A character, which may have several octets.
                while line.pop().is_some_and(|octet| (0x80..0xc0).contains(&octet)) {}
            }
            21 => line.clear(),
            // One more than may be, so that it is told.
            octet if line.len() <= LONGEST => line.push(octet),
            _ => {}
        }
    }
    Ok(Some(line).filter(|line| !line.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_a_line() {
        let typed =
            |mut keys: &[u8]| line(&mut keys).expect("octets").map(|line| String::from_utf8(line).expect("UTF-8"));
        assert_eq!(typed(b"secret\rmore").as_deref(), Some("secret"));
        assert_eq!(typed("aü\x7f\x7fb\n".as_bytes()).as_deref(), Some("b"));
        assert_eq!(typed(b"wrong\x15right\n").as_deref(), Some("right"));
        assert_eq!(typed(b"ab\x04").as_deref(), Some("ab"));
        assert_eq!((typed(b"ab\x03\n"), typed(b"\x04"), typed(b"")), (None, None, None));
        assert_eq!(typed(&[b'x'; 5000]).map(|line| line.len()), Some(LONGEST + 1));
    }
}
