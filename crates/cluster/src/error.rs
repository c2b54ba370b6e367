use std::io;

/// A server could not be started, or did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// PostgreSQL is not there.
    #[error(
        "there is no PostgreSQL of version {oldest} or newer; install it (on Debian: apt-get install postgresql), or \
         name the folder of its programs in {variable}"
    )]
    NoPostgres {
        /// The first version that will do.
        oldest: u32,
        /// The variable that can name it.
        variable: &'static str,
    },
    /// PgBouncer is not there.
    #[error(
        "there is no pgbouncer; install it (on Debian: apt-get install pgbouncer), or name it in {variable}"
    )]
    NoPgBouncer {
        /// The variable that can name it.
        variable: &'static str,
    },
    /// Only root can read the program, and it does not run as root.
    #[error(
        "{program} cannot be run by the user nobody, who runs it if you are root; install it where everybody may enter (on \
         Debian: with apt-get install), or do not be root"
    )]
    NotForNobody {
        /// Its path.
        program: String,
    },
    /// The operating system refused.
    #[error("{what}: {cause}")]
    System {
        /// A file or a program.
        what: String,
        /// Its answer.
        #[source]
        cause: io::Error,
    },
    /// A program ended with a failure.
    #[error("{program} failed: {said}")]
    Failed {
        /// Its name.
        program: String,
        /// What it said about it.
        said: String,
    },
    /// A server ended, or did not answer in time.
    #[error("{server} {happened}; its log ends with:\n{log}")]
    NoAnswer {
        /// What was started.
        server: String,
        /// Which of the two.
        happened: &'static str,
        /// The last lines.
        log: String,
    },
    /// A cluster was not in the state that somebody waited for.
    #[error("waited in vain until {0}")]
    InVain(String),
}

impl ClusterError {
    pub(crate) fn system(what: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what: what.to_string(), cause }
    }
}
