//! Explaining: a batch of events in, the same events with marks, notes, latency and findings out, secrets masked.
//! Lives on events and the grammar alone; knows no session, socket or sink.
