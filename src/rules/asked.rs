//! What rules are asked besides what they make of a text: what they may do, so that nothing has to be kept for what they will not, and
//! which capability they take away.

use std::sync::Arc;

use super::action::{Action, NamesAction};
use super::condition::{Condition, Field, Truth};
use super::vary::Ways;
use super::{Rule, Rules, Scene};
use crate::event::Peer;

impl Rule {
    /// True if it takes away this capability by its name.
    fn drops(&self, name: &str) -> bool {
        matches!(&self.action, Action::Names(names @ NamesAction::Drop(..)) if names.hides(name.as_bytes()))
    }
}

impl Rules {
    /// True if strings of a client may become literals.
    #[must_use]
    pub fn asks_for_literals(&self) -> bool {
        let client = |rule: &&Rule| rule.lanes[Peer::Client.index()];
        self.rules.iter().filter(client).any(|rule| matches!(rule.action, Action::Vary(Ways { literal: true, .. })))
    }

    /// True if a condition asks who has logged in.
    #[must_use]
    pub fn asks_for_user(&self) -> bool {
        let asks = |condition: &Condition| condition.asks(Field::User);
        self.rules.iter().any(|rule| rule.condition.as_ref().is_some_and(asks))
    }

    /// True if a rule is enforced.
    #[must_use]
    pub fn has_enforced(&self) -> bool {
        self.rules.iter().any(|rule| rule.enforced)
    }

    /// The enforced rule that takes this capability away, if its condition holds for the text.
    #[must_use]
    pub fn enforced(&self, scene: &Scene<'_>, name: &str) -> Option<&Arc<str>> {
        let hides = |rule: &&Rule| matches!(&rule.action, Action::Names(names) if names.hides(name.as_bytes()));
        let holds = |rule: &&Rule| rule.condition.as_ref().is_none_or(|when| when.evaluate(scene) == Truth::Yes);
        self.rules.iter().filter(|rule| rule.enforced).filter(hides).find(holds).map(|rule| &rule.written)
    }

    /// The rule that takes this capability away by its name, rather than all others, if its condition holds for the text.
    #[must_use]
    pub fn dropping(&self, scene: &Scene<'_>, name: &str) -> Option<&Arc<str>> {
        let holds = |rule: &&Rule| rule.condition.as_ref().is_none_or(|when| when.evaluate(scene) == Truth::Yes);
        self.rules.iter().filter(|rule| rule.drops(name)).find(holds).map(|rule| &rule.written)
    }

    /// True if a rule takes away capabilities by their names.
    #[must_use]
    pub fn has_drops(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.action, Action::Names(NamesAction::Drop(..))))
    }

    /// True if a rule may say something in the place of a peer: answer a command, or put a line between.
    #[must_use]
    pub fn may_speak(&self) -> bool {
        let speaks = |rule: &Rule| rule.enforced || matches!(rule.action, Action::Refuse(_) | Action::Insert(_));
        !self.dry && self.rules.iter().any(speaks)
    }

    /// True if a rule takes away this capability by its name, rather than all others.
    #[must_use]
    pub fn drops(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| rule.drops(name))
    }

    /// True if a rule has a chance.
    #[must_use]
    pub fn has_chances(&self) -> bool {
        self.rules.iter().any(|rule| rule.limits.is_some_and(|(_, limits)| limits.chance.is_some()))
    }
}
