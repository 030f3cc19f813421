//! The verbs: from flags to a plan, and where the parts meet. Every error of the user is raised here, before a socket opens.

pub mod explain;
pub mod grammar;
