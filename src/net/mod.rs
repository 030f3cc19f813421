//! Sockets: listening, connecting, one task a connection, four guarded arms each. Knows events and sessions; is handed a sender of events.
