//! The command behind `--`: it is started once the routes listen, is told where, and the proxy ends with it. Its output is kept
//! apart from the log: where that goes to standard output, the command's lines go to standard error, each behind a mark.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, stderr};
use tokio::process::{self, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::ending::{Caught, Hangups, LastResort, Signals};
use super::probe::password::VARIABLE;
use super::scope::tell;
use crate::problem::Problem;
use crate::sink::aside::Aside;

/// How long connections may go on behind the end of the command: servers still have to say goodbye.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long the command may take to end once it was asked to; so long again once it was told to.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time between the first signal and the end of the command.
pub const LONGEST: Duration = Duration::from_secs(11);

/// How long we listen to what others, which have its output, say behind the end of the command.
const REST: Duration = Duration::from_millis(500);

/// A line without an end is shown when nothing followed for so long: it may be a question.
const PAUSE: Duration = Duration::from_millis(200);

/// What stands before each line that the command writes to standard output, and to standard error.
const MARKS: [&str; 2] = ["$ ", "$! "];

/// A command that can be started.
#[derive(Debug, Clone)]
pub struct Child {
    words: Vec<OsString>,
    apart: bool,
}

impl Child {
    /// The command of these words, if there are any. With `apart` its output is marked, and goes to standard error; without,
    /// it has our standard output and standard error.
    ///
    /// # Errors
    /// A program that there is not, or that may not be run.
    pub fn read(words: &[OsString], apart: bool) -> Result<Option<Self>, Problem> {
        let Some(program) = words.first() else { return Ok(None) };
        find(Path::new(program))
            .map_err(|(what, help)| Problem::new(format!("COMMAND '{}'", program.to_string_lossy()), what, help))?;
        Ok(Some(Child { words: words.to_vec(), apart }))
    }

    /// Starts it with this environment beside our own, and waits for its end. Returns its exit code, 128 and the number of the signal if
    /// one has ended it, and 1 if it cannot be started. Signals are caught from the call on.
    pub fn run(self, environment: Vec<(String, String)>, hangups: Hangups) -> impl Future<Output = u8> {
        let resort = LastResort::prepare(hangups, true);
        let mut signals = Signals::catch(hangups);
        async move {
            let mut command = Command::new(&self.words[0]);
            command.args(&self.words[1..]).envs(environment).kill_on_drop(true);
            // It is for imapscope alone; what a command prints of its environment would show it.
            command.env_remove(VARIABLE);
            if self.apart {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
            }
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    tell(&format!("error: {} cannot be started: {error}", self.words[0].to_string_lossy()));
                    return 1;
                }
            };
            let mut voices = JoinSet::new();
            if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
                voices.spawn(show(out, MARKS[0]));
                voices.spawn(show(err, MARKS[1]));
            }
            let (code, caught) = attend(&mut child, &mut signals).await;
            // Whoever inherited its output may live on.
            let _ = timeout(REST, async { while voices.join_next().await.is_some() {} }).await;
            drop(resort);
            // The Ctrl-C that ended it may reach us later than its end does.
            signals.then_exit(if caught { 1 } else { 2 });
            code
        }
    }
}

/// Where a program is, as the system will look for it.
fn find(program: &Path) -> Result<(), (String, String)> {
    let help = "write COMMAND as its program and arguments; sh -c 'LINE' runs a line of shell";
    let runs = |path: &Path| path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
    if program.components().count() > 1 || program.is_absolute() || program.as_os_str().is_empty() {
        return match program.metadata() {
            _ if runs(program) => Ok(()),
            Ok(_) => Err(("this is no program that may be run".to_owned(), help.to_owned())),
            Err(error) => Err((format!("there is no such program: {error}"), help.to_owned())),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let there = std::env::split_paths(&folders).any(|folder: PathBuf| runs(&folder.join(program)));
    if there { Ok(()) } else { Err(("there is no such program in PATH".to_owned(), help.to_owned())) }
}

/// What the command is told of the routes: where the first one is, and where each is by the scheme that clients use there. A
/// scheme that several routes have is numbered from the second on.
#[must_use]
pub fn environment<'a>(routes: impl Iterator<Item = (&'a str, SocketAddr)>) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (nth, (scheme, address)) in routes.enumerate() {
        let scheme = scheme.split('+').next().unwrap_or_default();
        let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name: String = scheme.chars().map(fit).collect();
        let same = names.iter().filter(|known| **known == name).count();
        let end = if same == 0 { format!("_{name}") } else { format!("_{name}_{}", same + 1) };
        names.push(name);
        // Who listens everywhere is reached on loopback.
        let host = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        for end in [(nth == 0).then_some(""), Some(&end)].into_iter().flatten() {
            told.push((format!("IMAPSCOPE_HOST{end}"), host.to_string()));
            told.push((format!("IMAPSCOPE_PORT{end}"), address.port().to_string()));
        }
    }
    told
}

/// Waits for the end of the command. Of Ctrl-C it hears itself, of SIGTERM from us; if it does not end in time it is told to,
/// and then ended. Returns its code, and whether a signal was caught.
async fn attend(child: &mut process::Child, signals: &mut Signals) -> (u8, bool) {
    let (mut caught, mut told, mut due) = (false, false, None);
    loop {
        tokio::select! {
            ended = child.wait() => return (ended.map_or(1, code), caught),
            signal = signals.next() => {
                match signal {
                    // Who asks twice does not want to wait.
                    _ if caught => end(child),
                    Caught::Interrupt => {}
                    Caught::Terminate => told = tell_to_end(child),
                }
                caught = true;
                due = Some(Instant::now() + PATIENCE);
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = Some(Instant::now() + PATIENCE);
                if told {
                    tell_aside("the command did not end, and is killed");
                    end(child);
                } else {
                    tell_aside("the command goes on, and is told to end");
                    told = tell_to_end(child);
                }
            }
        }
    }
}

/// Like [`tell`], and does not wait for whoever reads standard error.
fn tell_aside(sentence: &'static str) {
    tokio::task::spawn_blocking(|| tell(sentence));
}

/// Sends it SIGTERM.
fn tell_to_end(child: &process::Child) -> bool {
    let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    // It may have ended just now.
    let _ = id.map(|id| kill_process(id, Signal::TERM));
    true
}

/// Sends it SIGKILL.
fn end(child: &mut process::Child) {
    // It may have ended just now.
    let _ = child.start_kill();
}

/// The exit code of a shell for this end.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Shows what comes from the command on standard error, line by line.
async fn show(mut from: impl AsyncRead + Unpin, mark: &'static str) {
    let (mut aside, mut out, mut buffer) = (Aside::new(mark), Vec::new(), vec![0; 4096]);
    loop {
        let read = from.read(&mut buffer);
        let read = if aside.is_empty() { Ok(read.await) } else { timeout(PAUSE, read).await };
        match read {
            Ok(Ok(count @ 1..)) => aside.take(&buffer[..count], &mut out),
            Ok(_) => break,
            Err(_) => aside.rest(&mut out),
        }
        say(&mut out).await;
    }
    aside.rest(&mut out);
    say(&mut out).await;
}

/// If nobody reads it, nothing is lost; and the command is read on, so that it is not held up.
async fn say(out: &mut Vec<u8>) {
    let mut to = stderr();
    if to.write_all(out).await.is_ok() {
        let _ = to.flush().await;
    }
    out.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_told_of_each_route() {
        let routes = [
            ("imap", "127.0.0.1:1143"),
            ("imaps", "0.0.0.0:2"),
            ("submission+starttls", "[::]:3"),
            ("imap+starttls", "127.0.0.2:4"),
            ("x-y", "127.0.0.1:5"),
        ];
        let routes = routes.map(|(scheme, address)| (scheme, address.parse().expect("an address")));
        let told: Vec<_> =
            environment(routes.into_iter()).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let told: Vec<_> = told.iter().map(|it| it.strip_prefix("IMAPSCOPE_").expect("ours")).collect();
        let expected = "HOST=127.0.0.1 PORT=1143 HOST_IMAP=127.0.0.1 PORT_IMAP=1143 HOST_IMAPS=127.0.0.1 PORT_IMAPS=2 \
                        HOST_SUBMISSION=::1 PORT_SUBMISSION=3 HOST_IMAP_2=127.0.0.2 PORT_IMAP_2=4 HOST_X_Y=127.0.0.1 PORT_X_Y=5";
        assert_eq!(told.join(" "), expected);
    }

    #[test]
    fn a_command_is_found_as_the_system_finds_it() {
        let find = |program: &str| Child::read(&[program.into()], false).map(|child| child.is_some());
        assert!(find("sh") == Ok(true) && find("/bin/sh") == Ok(true));
        assert_eq!(Child::read(&[], true).map(|child| child.is_none()), Ok(true));
        for (program, what) in [
            ("no-such-program-here", "no such program in PATH"),
            ("/nonexistent/x", "no such program: "),
            ("./src", "no program that may be run"),
            ("", "no such program"),
        ] {
            let problem = find(program).expect_err(program);
            assert!(problem.what.contains(what) && problem.help.contains("sh -c"), "{problem}");
        }
    }
}
