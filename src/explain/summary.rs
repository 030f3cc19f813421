//! A connection in numbers, once it is over.

use super::Explainer;
use crate::check::session::CLOSED_WITHOUT_ANSWER;
use crate::event::{Closed, NoteKind, Peer, Summary, Time};

impl Explainer {
    /// What all of it comes to. What still waits was never answered.
    pub(super) fn summary(&mut self, closed: &Closed, at: Time) -> Summary {
        let verdict = self.verdict(closed, at);
        if let Some(idle) = self.idle.take() {
            self.tallies.idle = self.tallies.idle.saturating_add(at.since(idle.since));
        }
        for exchange in self.connection.waiting.all() {
            self.tallies.unanswered(exchange.row);
        }
        let tallies = std::mem::take(&mut self.tallies);
        // What was said before may have used any of them.
        self.connection.offers.blind |= self.connection.missing.beginning;
        let (unused, undetermined) = self.connection.offers.others(&self.grammar);
        let mut summary = Summary {
            verdict,
            lasted: at.after(self.began.unwrap_or(at)),
            commands: tallies.commands,
            used: self.connection.offers.uses.offered(),
            unused,
            undetermined,
            unadvertised: std::mem::take(&mut self.connection.offers.unadvertised),
            hidden_tried: std::mem::take(&mut self.connection.offers.hidden_tried),
            rules: tallies.rules,
            dry: tallies.dry,
            findings: tallies.findings,
            idle: tallies.idle,
            strict: self.strict.judged,
        };
        // What only the end shows is a finding like the others.
        if summary.verdict.cause.check == CLOSED_WITHOUT_ANSWER.id {
            summary.findings[Peer::Server.index()] += 1;
        }
        // The last event's own notes come before the summary is shown.
        for note in &self.notes {
            if let NoteKind::Finding(culprit) = note.kind {
                for peer in [Peer::Client, Peer::Server].into_iter().filter(|peer| culprit.has(*peer)) {
                    summary.findings[peer.index()] += 1;
                }
            }
        }
        summary
    }
}
