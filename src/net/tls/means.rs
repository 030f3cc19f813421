//! What it takes to follow a STARTTLS: made when the first client asks for it, for most conversations have none.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{Identity, Trust};
use crate::problem::Problem;

/// Who we are to clients, and whom we believe.
pub type Both = (Arc<Identity>, Arc<Trust>);

/// Makes both, once.
pub struct Means {
    make: Box<dyn Fn() -> Result<Both, Problem> + Send + Sync>,
    made: OnceLock<Result<Both, String>>,
}

impl Means {
    /// Both will be made by this.
    pub fn new(make: impl Fn() -> Result<Both, Problem> + Send + Sync + 'static) -> Self {
        Means { make: Box::new(make), made: OnceLock::new() }
    }

    /// Both, or why there are none.
    ///
    /// # Errors
    /// Files that cannot be used, or a system without roots.
    pub fn both(&self) -> Result<&Both, &str> {
        let made = self.made.get_or_init(|| (self.make)().map_err(|problem| problem.to_string()));
        made.as_ref().map_err(String::as_str)
    }
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Means")
    }
}
