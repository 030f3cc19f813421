//! `imapscope read`: what was recorded, through the explainer and the outputs of a live connection.

use jiff::tz::TimeZone;

use super::desk::Desk;
use super::extent::Extent;
use super::gate::Gatekeeper;
use super::protocols::Protocols;
use super::select::{Moment, Selected, Selection};
use super::source::Reading;
use super::{log, tell};
use crate::anonymise::{Anonymiser, Key};
use crate::cli::{self, SelectionFlags, Side};
use crate::event::Peer;
use crate::explain::Explainer;
use crate::foreign::Times;
use crate::problem::Problem;
use crate::recording::Head;
use crate::sink::Sink;

/// Shows a recording, or what other programs have written, or writes it in another form.
///
/// # Errors
/// Everything in the flags that cannot be meant, and files that cannot be read here.
pub fn run(flags: &cli::Read) -> Result<u8, Problem> {
    let protocols = Protocols::with(&flags.source.grammar)?;
    let wanted = selection(&flags.selection)?;
    let filter = log::filter(&flags.log)?;
    let gatekeeper = Gatekeeper::read(&flags.gate)?;
    let mut anonymiser = anonymiser(flags, &protocols)?;
    let reading = Reading::new(&flags.source, &protocols, flags.follow)?;
    let files = reading.open(&flags.files)?;
    if files.head().is_some() && flags.source.state.is_some() {
        let help = "leave it out: a recording has the state of every line";
        return Err(Problem::new("--state", "only for files of other programs", help));
    }
    let files = files.beginning_in(reading.state()?);
    log::spare(&flags.log, &flags.files)?;
    let mut shown = flags.log.clone();
    // Stand-ins show nothing.
    shown.show_secrets &= anonymiser.is_none();
    if files.times() == Times::Unknown && shown.time == cli::TimeStyle::Time {
        shown.time = cli::TimeStyle::None;
    }
    let mut explainer = files.explainer(shown.show_secrets);
    let mut head = match files.head() {
        Some(head) => Head { secrets: head.secrets && shown.show_secrets, ..head.clone() },
        None => log::head(&[], protocols.grammars(), &shown),
    };
    if let Some(anonymiser) = &mut anonymiser {
        head.routes.iter_mut().for_each(|route| *route = anonymiser.route(route));
        explainer = Explainer::of_recording;
    }
    let select = |sink| -> Box<dyn Sink> { Box::new(Selected::new(wanted.clone(), sink)) };
    let mut sinks = log::open_inside(&shown, filter.as_ref(), &head, Some(wanted.side), &select)?;
    if let Some(gatekeeper) = &gatekeeper {
        sinks.add("findings", select(gatekeeper.sink()));
    }
    let desk = Desk::new(protocols.grammars().to_vec(), sinks, head.secrets).reading(explainer);
    let place = if flags.files.len() > 1 { "what was read".to_owned() } else { files.name.clone() };
    let mut extent = Extent::new(&wanted, files.times());
    let passed = files.pass(desk, anonymiser, &mut extent)?;
    let lacks = if passed.whole { extent.lacks(&wanted, &flags.selection, &place) } else { Vec::new() };
    lacks.iter().for_each(|lack| tell(&format!("error: {lack}")));
    let code = u8::from(!(passed.shown && passed.read && lacks.is_empty()));
    Ok(gatekeeper.map_or(code, |gatekeeper| gatekeeper.judge(code)))
}

/// What replaces names, if that is wanted. No secret is left by it.
fn anonymiser(flags: &cli::Read, protocols: &Protocols) -> Result<Option<Anonymiser>, Problem> {
    if !flags.anonymise {
        return Ok(None);
    }
    let key = match &flags.anonymise_key {
        Some(text) => Some(Key::of_text(text)),
        None => Key::random(),
    };
    let key = key.ok_or_else(|| {
        Problem::new(
            "--anonymise",
            "the system gave no random numbers".to_owned(),
            "give a text of your own with --anonymise-key",
        )
    })?;
    Ok(Some(Anonymiser::new(key, protocols.grammars())))
}

/// Reads what of the files is wanted.
///
/// # Errors
/// What is no moment.
pub(super) fn selection(flags: &SelectionFlags) -> Result<Selection, Problem> {
    let zone = TimeZone::system();
    let moment =
        |option: &str, text: &Option<String>| text.as_deref().map(|text| Moment::read(option, text, &zone)).transpose();
    Ok(Selection {
        connections: flags.conn.iter().copied().collect(),
        side: flags.side.map(|side| match side {
            Side::Client => Peer::Client,
            Side::Server => Peer::Server,
        }),
        since: moment("--since", &flags.since)?,
        until: moment("--until", &flags.until)?,
        zone: Some(zone.clone()),
    })
}
