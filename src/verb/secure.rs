//! TLS of routes: who we are to clients, and whom we believe, as the flags say; and where the local certificate
//! authority is kept.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::protocols::Tls;
use super::route::Route;
use super::tell;
use crate::cli::{StartTls, TlsFlags};
use crate::event::Certificate;
use crate::net::tls::{Authority, Identity, Means, Trust, key_log as secrets};
use crate::problem::Problem;
use crate::wording::date;

/// What the routes need of both; nothing is read or made that no route needs.
#[derive(Debug, Default)]
pub struct Secure {
    /// Who we are to clients.
    pub identity: Option<Arc<Identity>>,
    /// Whom we believe.
    pub trust: Option<Arc<Trust>>,
    /// What it takes to follow STARTTLS on routes without TLS.
    pub means: Option<Arc<Means>>,
}

impl Secure {
    /// Reads the flags. What they name is looked at even if no route needs it, for a mistake is a mistake.
    ///
    /// # Errors
    /// Files that cannot be used, flags that do not go together.
    pub fn read(flags: &TlsFlags, routes: &[Route]) -> Result<Self, Problem> {
        let follows = flags.starttls == StartTls::Follow && routes.iter().any(|route| route.tls == [Tls::Asked; 2]);
        let needed = |leg: usize| routes.iter().any(|route| route.tls[leg] != Tls::Asked);
        let identity = match (&flags.cert, &flags.key) {
            (Some(chain), Some(key)) => {
                let identity = Identity::given(chain, key)?;
                if let Some(fault) = identity.certificate().and_then(out_of_date) {
                    tell(&format!("warning: --cert {}: {fault}: clients will refuse it", chain.display()));
                }
                Some(identity)
            }
            (Some(chain), None) => {
                return Err(alone("--cert", chain, "the private key of this certificate", "--key FILE"));
            }
            (None, Some(key)) => return Err(alone("--key", key, "the certificate of this key", "--cert FILE")),
            (None, None) if needed(0) => Some(Identity::local(Authority::open(&folder()?)?)?),
            (None, None) => None,
        };
        let trust = match &flags.server_ca {
            Some(file) => Some(Trust::file(file, flags.insecure)?),
            None if needed(1) => Some(Trust::system(flags.insecure)?),
            None => None,
        };
        if flags.cert.is_some() && !needed(0) && !follows {
            tell("warning: --cert and --key have no effect: no route listens with TLS, as imaps://:1993=… does");
        }
        if (flags.server_ca.is_some() || flags.insecure) && !needed(1) && !follows {
            tell("warning: --server-ca and --insecure have no effect: no route has a server with TLS, as imaps:// has");
        } else if flags.insecure {
            tell("warning: --insecure: no server is verified; whoever is in between can read and change everything");
        }
        if needed(0) || needed(1) || follows {
            key_log()?;
        }
        let (identity, trust) = (identity.map(Arc::new), trust.map(Arc::new));
        let means = follows.then(|| Arc::new(means(identity.clone(), trust.clone(), flags.insecure)));
        Ok(Secure { identity, trust, means })
    }
}

/// What it takes to follow STARTTLS: what is there already, and for the rest what is usual, made when it is needed.
fn means(identity: Option<Arc<Identity>>, trust: Option<Arc<Trust>>, insecure: bool) -> Means {
    Means::new(move || {
        let identity = match &identity {
            Some(identity) => identity.clone(),
            None => Arc::new(Identity::local(Authority::open(&folder()?)?)?),
        };
        let trust = match &trust {
            Some(trust) => trust.clone(),
            None => Arc::new(Trust::system(insecure)?),
        };
        Ok((identity, trust))
    })
}

/// What is wrong with the dates of a certificate today.
fn out_of_date(certificate: &Certificate) -> Option<String> {
    let now = jiff::Timestamp::now().as_second();
    match now {
        _ if now > certificate.not_after => Some(format!("it expired on {}", date(certificate.not_after))),
        _ if now < certificate.not_before => Some(format!("it is valid from {} only", date(certificate.not_before))),
        _ => None,
    }
}

fn alone(option: &str, file: &Path, missing: &str, help: &str) -> Problem {
    Problem::new(format!("{option} {}", file.display()), format!("{missing} is missing"), format!("add {help}"))
}

/// Says that secrets are written, and makes sure that they can be.
///
/// # Errors
/// A file that cannot be written.
pub fn key_log() -> Result<(), Problem> {
    let Some(file) = secrets::named() else { return Ok(()) };
    let warning = secrets::open(&file).map_err(|refused| {
        let origin = format!("SSLKEYLOGFILE {}", file.display());
        let help = if refused.help.is_empty() { "name another file, or unset the variable" } else { &refused.help };
        Problem::new(origin, format!("the file cannot be written: {refused}"), help)
    })?;
    tell(&format!("the secrets of TLS connections are written to {} (SSLKEYLOGFILE)", file.display()));
    if let Some(warning) = warning {
        tell(&format!("warning: SSLKEYLOGFILE: {warning}"));
    }
    Ok(())
}

/// Where the local certificate authority is kept: IMAPSCOPE_HOME, or `imapscope` in the folder for the user's data.
///
/// # Errors
/// An environment without any of these.
pub fn folder() -> Result<PathBuf, Problem> {
    place(&|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn place(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Problem> {
    if let Some(home) = variable("IMAPSCOPE_HOME") {
        return Ok(home);
    }
    // A relative path there is to be passed over, says the standard of these folders.
    let data = variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let data = data.or_else(|| Some(variable("HOME")?.join(".local/share")));
    data.map(|data| data.join("imapscope")).ok_or_else(|| {
        let what = "there is no folder for the local certificate authority: HOME is not set";
        Problem::new("IMAPSCOPE_HOME", what, "set it to a folder that only you can read")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_it_was_asked_for() {
        let find = |set: &[(&str, &str)]| {
            place(&|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
                .map(|path| path.display().to_string())
        };
        let all = [("IMAPSCOPE_HOME", "/i"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(find(&all).as_deref(), Ok("/i"));
        assert_eq!(find(&all[1..]).as_deref(), Ok("/x/imapscope"));
        assert_eq!(find(&all[2..]).as_deref(), Ok("/h/.local/share/imapscope"));
        assert_eq!(find(&[("XDG_DATA_HOME", "x"), ("HOME", "/h")]).as_deref(), Ok("/h/.local/share/imapscope"));
        assert!(find(&[]).is_err());
    }
}
