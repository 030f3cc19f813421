//! A page to attach to a bug report: one file that needs nothing else, with the log, what is wrong, capabilities over time, and the
//! time that answers took.
//!
//! The log is written as it comes, and of a connection only counts are kept; what all of them come to is kept by [`Run`]. What is told of it at its end stands behind its lines
//! in the file, and above them on the screen: the style sheet gives the order (and the script, if it may run, moves it).
//! A file that was cut off anywhere is still a page.

mod fact;
mod latency;
mod ledger;
mod line;
mod markup;
mod matrix;
mod run;
mod trouble;

use std::collections::HashMap;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};

use super::clock::Clock;
use super::style::{Body, Look, TimeStyle};
use super::{Sink, closing, phrase, secured};
use crate::event::{Event, Opened, Peer, State, What};
use crate::exchange::{Explained, Run};
use ledger::Ledger;
use markup::Markup;
use trouble::{Place, Trouble};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("regex.js"), include_str!("condition.js"), include_str!("page.js"));

/// The buffer should be written out when it holds so many octets.
const FULL: usize = 128 * 1024;

/// The accounts of so many connections are unfolded: of more, the log would be far down.
const UNFOLDED: u64 = 1;

/// A page, written to `W`.
#[derive(Debug)]
pub struct Html<W> {
    writer: W,
    page: Markup,
    clock: Clock,
    time: TimeStyle,
    body: Body,
    ledgers: HashMap<u64, Box<Ledger>>,
    trouble: Trouble,
    run: Run,
    /// Lines and connections so far.
    lines: u64,
    ended: u64,
    /// A list of lines has been begun.
    listing: bool,
}

impl<W: Write + Send> Html<W> {
    /// A page with the times of the local time zone.
    #[must_use]
    pub fn new(writer: W, look: Look) -> Self {
        Self::with_zone(writer, look, TimeZone::system())
    }

    /// A page with the times of a given zone.
    #[must_use]
    pub fn with_zone(writer: W, look: Look, zone: TimeZone) -> Self {
        Html {
            writer,
            page: Markup::default(),
            clock: Clock::new(look.time, zone),
            time: look.time,
            body: look.body,
            ledgers: HashMap::new(),
            trouble: Trouble::default(),
            run: Run::default(),
            lines: 0,
            ended: 0,
            listing: false,
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let written = self.writer.write_all(self.page.bytes());
        self.page.clear();
        written
    }

    /// Everything before the log. The first connection gives the page its name; there may be none.
    fn head(&mut self, event: Option<&Explained<'_>>) {
        let page = &mut self.page;
        page.raw("<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'sha256-");
        page.bare(&STANDARD.encode(digest(&SHA256, STYLE.as_bytes())));
        page.raw("'; script-src 'sha256-");
        page.bare(&STANDARD.encode(digest(&SHA256, SCRIPT.as_bytes())));
        page.raw("'; base-uri 'none'; form-action 'none'\"><meta name=viewport content=\"width=device-width, initial-scale=1\"><meta name=color-scheme content=\"light dark\"><meta name=referrer content=no-referrer><title>");
        let server = match event.map(|event| &event.event.what) {
            Some(What::Opened(opened)) => opened.server.as_str(),
            _ => "a mail server",
        };
        page.bare(server);
        page.raw(" – imapscope</title><style>");
        page.raw(STYLE);
        page.raw("</style><script>");
        page.raw(SCRIPT);
        page.raw("</script></head><body><a class=skip href=\"#log\">To the log</a><header><p class=name>imapscope ");
        page.raw(env!("CARGO_PKG_VERSION"));
        page.within("</p><h1>", server, "</h1><p>");
        if let Some(date) = event.and_then(|event| self.clock.date(event.at)) {
            page.within("", &date, ". ");
        }
        page.raw("What was said between a mail client and this server, as it passed imapscope.</p><nav aria-label=Page><a href=\"#wrong\">Findings</a> <a href=\"#accounts\">Connections</a> <a href=\"#log\">Log</a></nav><p class=unfinished><strong>This page was cut off</strong>, or is not complete yet: the log ends where it was left, without what is told at its end.</p></header>\n<span id=accounts></span>");
        page.raw(FILTER);
    }

    /// Begins the list of lines, unless it has begun.
    fn list(&mut self) {
        if !std::mem::replace(&mut self.listing, true) {
            self.page.raw(match self.time {
                TimeStyle::None => "<ol class=\"log timeless\" role=list>\n",
                TimeStyle::Iso | TimeStyle::Epoch => "<ol class=\"log long\" role=list>\n",
                TimeStyle::Now | TimeStyle::Delta => "<ol class=log role=list>\n",
            });
        }
    }

    /// Begins a line: who speaks, whether it is to be noticed, and in which state.
    fn begin(&mut self, place: &Place, from: Option<Peer>, mark: &'static str, odd: [bool; 2], state: Option<State>) {
        let page = &mut self.page;
        page.raw("<li id=e");
        page.number(place.line);
        page.raw(match from {
            Some(Peer::Client) => " class=\"client",
            Some(Peer::Server) => " class=\"server",
            None => " class=\"imapscope",
        });
        page.raw(if odd[0] { " odd" } else { "" });
        page.raw(if odd[1] { " wrong" } else { "" });
        page.raw("\" data-conn=");
        page.number(place.connection);
        page.raw(" data-ink=");
        page.number(place.connection % 5);
        page.raw("><a href=\"#e");
        page.number(place.line);
        page.within("\">", &place.stamp, "</a><b class=nr>#");
        page.number(place.connection);
        page.raw("</b><b class=way>");
        page.raw(mark);
        page.raw("</b><span class=state>");
        page.raw(state.map_or("", State::short));
        page.raw("</span><div>");
    }

    /// A line of what a peer sent.
    fn begin_from(&mut self, place: &Place, from: Peer, odd: [bool; 2], state: State, secured: bool) {
        let mark = match (from, odd[0], secured) {
            (Peer::Client, true, _) => "C*",
            (Peer::Server, true, _) => "S*",
            (Peer::Client, false, false) => "C:",
            (Peer::Server, false, false) => "S:",
            (Peer::Client, false, true) => "C~",
            (Peer::Server, false, true) => "S~",
        };
        self.begin(place, Some(from), mark, odd, Some(state));
    }

    /// A line of our own.
    fn say(&mut self, event: &Explained<'_>, place: &Place, mark: &'static str, head: &str, rest: &str) {
        let wrong = line::is_surprise(event) || matches!(event.event.what, What::Lag { .. } | What::Gap { .. });
        self.begin(place, None, mark, [wrong; 2], None);
        self.page.within("<b>", head, "</b>");
        self.page.text(rest);
    }

    fn opened(&mut self, event: &Explained<'_>, place: &Place, opened: &Opened) {
        self.say(event, place, "==", &format!("{} → {}", opened.client, opened.server), "");
        let date = self.clock.date(event.at).map_or_else(String::new, |date| format!(", {date}"));
        self.page.within("<p>", &format!("{}{date}; {}", opened.protocol, phrase::lanes(opened.edit)), "</p>");
        if let Some(middle) = opened.middle {
            self.page.within("<p>", &phrase::middle(middle), "</p>");
        }
    }

    /// Puts down what an account has of an event.
    fn note_down(&mut self, event: &Explained<'_>, place: &Place) {
        let ledger = self.ledger(place.connection);
        match &event.event.what {
            What::Opened(_) => ledger.open(event.connection, place),
            What::Tls(_) => ledger.secure(event.connection),
            What::Text(text) => {
                let secured = [Peer::Client, Peer::Server].into_iter().any(|peer| event.connection.has_tls(peer));
                ledger.matrix.hear(event, text, place.line, secured);
                ledger.latency.hear(event, text);
            }
            _ => {}
        }
    }

    fn ledger(&mut self, connection: u64) -> &mut Ledger {
        self.ledgers.entry(connection).or_default()
    }

    /// One event as a line of the log.
    fn line(&mut self, event: &Explained<'_>, place: &Place) {
        let Event { from, what } = event.event;
        let from = *from;
        match what {
            What::Octets(_) => return,
            What::Text(text) => {
                let odd = line::is_odd(event, text);
                let secured = event.connection.has_tls(from);
                self.begin_from(place, from, [odd, line::is_surprise(event)], text.state, secured);
                line::text(&mut self.page, event, from, text);
            }
            What::Data(data) => {
                let odd = phrase::is_short(data) || line::is_surprise(event) || !data.oddities.is_empty();
                let secured = event.connection.has_tls(from);
                self.begin_from(place, from, [odd, line::is_surprise(event)], data.state, secured);
                line::data(&mut self.page, event, data, self.body);
            }
            What::Opened(opened) => self.opened(event, place, opened),
            What::Closed(closed) => {
                let after = event.summary.map(closing::after).unwrap_or_default();
                self.say(event, place, "==", closing::ended(closed.by), &after);
                if let Some(why) = &closed.why {
                    self.page.within("<p>", why, "</p>");
                }
                if let Some(summary) = event.summary {
                    self.page.within("<p><strong>", &summary.verdict.text, "</strong></p>");
                }
                self.page.within("<p>", &closing::passed(closed), "</p>");
            }
            What::Tls(facts) => {
                let (head, rest) = secured::settled(from, facts);
                self.say(event, place, "--", &head, &rest);
                let (verdict, certificate) = secured::judged(facts);
                self.page.within("<p>", verdict, "");
                self.page.within("", &certificate, "</p>");
            }
            What::Hello(hello) => {
                let (head, rest) = secured::seen(from, hello);
                self.say(event, place, "--", &head, &rest);
            }
            What::Abrupt => self.say(event, place, "--", &phrase::abrupt(from), ""),
            What::Upgrade(layer) => self.say(event, place, "--", &phrase::begins(*layer, from), ""),
            What::Lag { events, bytes } => self.say(event, place, "--", "! ", &phrase::lag(*events, *bytes)),
            What::Gap { bytes, .. } => self.say(event, place, "--", "! ", &phrase::gap(from, *bytes)),
            What::Missed(rule) => self.say(event, place, "--", "", &phrase::missed(rule)),
            What::Waiting(_) => {
                let said = event.waiting.map_or("", |waiting| waiting.text.as_str());
                self.say(event, place, "--", said, "");
            }
            What::HalfClosed => self.say(event, place, "--", &phrase::half_closed(from), ""),
        }
        if !matches!(what, What::Text(_) | What::Data(_)) {
            line::notes(&mut self.page, event);
        }
        self.page.raw("</div>");
        if let Some(known) = event.known {
            let told = &mut self.ledgers.entry(place.connection).or_default().told;
            fact::write(&mut self.page, event, known, line::holds(event, self.body), told);
        }
        self.page.raw("</li>\n");
    }
}

/// What the script unfolds: without it there is nothing to filter with.
const FILTER: &str = "<div id=log tabindex=-1></div><form class=bar id=filter hidden role=search><h2>Log</h2>\
    <label>Connection <select name=conn><option value=\"\">all</option></select></label>\
    <label>From <select name=from><option value=\"\">all</option><option>client</option><option>server</option><option>imapscope</option></select></label>\
    <label><input type=checkbox name=odd> only what is marked *</label>\
    <button type=button name=fold aria-pressed=false>Unfold all</button>\
    <output name=count aria-live=polite></output>\
    <label class=when>Condition <input type=search name=when autocomplete=off spellcheck=false aria-describedby=mistake placeholder=\"status == NO || check == any\"></label>\
    <label class=find>Find <input type=search name=find autocomplete=off spellcheck=false placeholder=\"words\"></label>\
    <div class=mistake id=mistake role=alert hidden><p></p><pre></pre><p></p></div></form>\n";

impl<W: Write + Send> Sink for Html<W> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        if matches!(event.event.what, What::Octets(_)) {
            return Ok(());
        }
        self.run.see(event);
        if self.lines == 0 {
            self.head(Some(event));
        }
        self.lines += 1;
        let mut stamp = String::from_utf8_lossy(self.clock.stamp(event.at)).trim_ascii().to_owned();
        if stamp.is_empty() {
            // What a line is linked by has to have words.
            stamp = format!("line {}", self.lines);
        }
        let place = Place { line: self.lines, connection: event.connection.number, stamp };
        self.list();
        self.note_down(event, &place);
        self.line(event, &place);
        self.trouble.see(event, &place);
        self.ledger(place.connection).count(event.notes);
        if let What::Closed(closed) = &event.event.what
            && let Some(mut ledger) = self.ledgers.remove(&event.connection.number)
        {
            // The list goes on behind it.
            self.page.raw("</ol>");
            self.listing = false;
            if let Some(summary) = event.summary {
                ledger.matrix.judge(summary);
                self.trouble.leave_out(ledger.unshown(summary));
            }
            ledger.write(&mut self.page, event.connection.number, self.ended < UNFOLDED, Some((closed, event.summary)));
            self.ended += 1;
        }
        Ok(())
    }

    fn skip(&mut self, event: &Explained<'_>) {
        match event.event.what {
            What::Octets(_) => {}
            What::Closed(_) => drop(self.ledgers.remove(&event.connection.number)),
            // The accounts of connections are whole; line 0 is none.
            _ => self.note_down(event, &Place { line: 0, connection: event.connection.number, stamp: String::new() }),
        }
    }

    fn is_full(&self) -> bool {
        self.page.bytes().len() >= FULL
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()?;
        self.writer.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.lines == 0 {
            self.head(None);
            self.page.raw("<p>Nothing passed, or nothing of it was to be shown.</p>");
        }
        self.page.raw(if self.listing { "</ol>" } else { "" });
        let mut open: Vec<_> = self.ledgers.drain().collect();
        open.sort_by_key(|(number, _)| *number);
        for (number, ledger) in open {
            ledger.write(&mut self.page, number, self.ended < UNFOLDED, None);
            self.ended += 1;
        }
        if self.run.is_worth_telling() {
            run::write(&mut self.page, &self.run);
        }
        self.trouble.write(&mut self.page);
        self.page.raw("<footer><p>Passwords and tokens are hidden unless that was switched off; names, addresses and mail are not. Look before you pass this page on.</p></footer></body></html>\n");
        self.flush()
    }
}
