use std::io::{IsTerminal as _, Write as _, stderr};

/// Says how far it is, to somebody who watches.
pub struct Progress {
    all: i64,
    is_watched: bool,
}

impl Progress {
    /// Of so many rows.
    pub fn of(all: i64) -> Self {
        const MANY: i64 = 50_000;
        Self { all, is_watched: all > MANY && stderr().is_terminal() }
    }

    /// So many are done.
    pub fn tell(&self, done: i64) {
        if self.is_watched {
            let end = if done == self.all { "\n" } else { "" };
            // Whoever watches may leave.
            let _ = write!(stderr(), "\r{done} of {} rows{end}", self.all);
        }
    }
}
