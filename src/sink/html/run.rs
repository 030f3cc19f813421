//! What a run of several connections comes to, above everything else.

use super::markup::Markup;
use crate::event::VerdictKind;
use crate::exchange::Run;
use crate::sink::run::{broken, heading, lists, more, totals, verdicts};

/// Writes it, with links to the accounts of connections.
pub fn write(page: &mut Markup, run: &Run) {
    page.within("<section id=run aria-labelledby=run-h><h2 id=run-h>", &heading(run), "</h2>");
    let (shown, others) = verdicts(run, usize::MAX);
    if !shown.is_empty() {
        page.raw("<ul class=verdicts>");
    }
    for verdict in &shown {
        let wrong = matches!(verdict.kind, VerdictKind::Server | VerdictKind::Client);
        page.raw(if wrong { "<li class=wrong>" } else { "<li>" });
        page.text(&verdict.text);
        for (at, number) in verdict.connections.iter().enumerate() {
            page.raw(if at > 0 { ", <a href=\"#c" } else { " <a href=\"#c" });
            page.number(*number);
            page.raw("\">#");
            page.number(*number);
            page.raw("</a>");
        }
        page.within("", &more(verdict), "</li>");
    }
    page.raw(if shown.is_empty() { "" } else { "</ul>" });
    for text in others.into_iter().chain([totals(run)]).chain(broken(run)) {
        page.within("<p>", &text, "</p>");
    }
    for (heading, names) in lists(run) {
        page.within("<p>", heading, " ");
        page.within("", &names.join(", "), "</p>");
    }
    page.raw("</section>\n");
}
