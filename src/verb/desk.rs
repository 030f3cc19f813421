//! What explains and shows, live and from a recording: an explainer a connection, and the outputs.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::tell;
use crate::event::{Batch, What};
use crate::explain::Explainer;
use crate::grammar::Grammar;
use crate::sink::{Sink, Sinks};

/// Where batches of events go.
pub struct Desk {
    grammars: Vec<Arc<Grammar>>,
    /// Makes the explainer of a connection.
    explainer: fn(Arc<Grammar>, bool) -> Explainer,
    show_secrets: bool,
    /// Boxed, so that room for more of them costs little.
    explainers: HashMap<u64, Box<Explainer>>,
    sinks: Sinks,
    fine: bool,
    /// What goes on without an output that has failed.
    rest: &'static str,
    /// Nothing goes on without any.
    ends: bool,
}

impl Desk {
    /// For connections that are going on.
    #[must_use]
    pub fn new(grammars: Vec<Arc<Grammar>>, sinks: Sinks, show_secrets: bool) -> Self {
        Desk {
            grammars,
            explainer: Explainer::new,
            show_secrets,
            explainers: HashMap::new(),
            sinks,
            fine: true,
            rest: "the relay goes on without it",
            ends: false,
        }
    }

    /// For what comes from a file, with explainers made by `explainer`.
    #[must_use]
    pub fn reading(self, explainer: fn(Arc<Grammar>, bool) -> Explainer) -> Self {
        Desk { explainer, rest: "reading goes on without it", ends: true, ..self }
    }

    /// Explains the events of a batch, and hands them to the outputs.
    pub fn explain(&mut self, batch: &mut Batch) {
        let number = batch.connection;
        let over = batch.events.iter().any(|event| matches!(event.what, What::Closed(_)));
        let mut explainers = std::mem::take(&mut self.explainers);
        // The opening names the protocol. It comes first, and is never lost.
        for event in &batch.events {
            if let What::Opened(opened) = &event.what
                && let Some(grammar) = named(&self.grammars, &opened.protocol)
            {
                explainers.insert(number, Box::new((self.explainer)(grammar, self.show_secrets)));
            }
        }
        if let Some(explainer) = explainers.get_mut(&number) {
            explainer.explain(batch, &mut |event| self.shown(|sinks| sinks.put(event)));
        }
        if over {
            explainers.remove(&number);
        }
        self.explainers = explainers;
    }

    /// True if no output is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sinks.is_empty()
    }

    /// Makes visible what was put.
    pub fn flush(&mut self) {
        self.shown(|sinks| sinks.flush());
    }

    /// Nothing more will come. False if an output failed.
    #[must_use]
    pub fn end(mut self) -> bool {
        self.shown(|sinks| sinks.end());
        self.fine
    }

    /// Reports the failure of an output, which is then left out; everything else goes on.
    fn shown(&mut self, act: impl FnOnce(&mut Sinks) -> io::Result<()>) {
        match act(&mut self.sinks) {
            Ok(()) => {}
            // Whoever closes the pipe has read enough: that is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                if self.ends && self.sinks.is_empty() {
                    return;
                }
                tell(&format!("nobody reads the log any more; {}", self.rest));
            }
            Err(error) => {
                self.fine = false;
                tell(&format!("error: output {error}; {}", self.rest));
            }
        }
    }
}

/// The protocol of this name.
#[must_use]
pub fn named(grammars: &[Arc<Grammar>], name: &str) -> Option<Arc<Grammar>> {
    grammars.iter().find(|grammar| grammar.name == name).cloned()
}
