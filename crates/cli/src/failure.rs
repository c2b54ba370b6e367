use std::fmt;
use std::process::ExitCode;

use attesto_keyring::{AuditHeadError, KeyringError};
use attesto_server::config::ConfigError;
use attesto_server::{AuditError, KeyError, StartError};
use attesto_store::{OpenError, RestoreError, StoreError};

use crate::output::presentable;

/// Why a command did not do what it was asked for: one line, and an exit code.
#[derive(Debug)]
pub struct Failure {
    line: String,
    code: u8,
}

/// `EX_CONFIG` of sysexits: the remedy is in the configuration.
const CONFIGURATION: u8 = 78;

/// `EX_TEMPFAIL` of sysexits: the same will do later.
const TEMPORARY: u8 = 75;

/// `EX_DATAERR` of sysexits: what stands in the database is not what was written there.
const BROKEN: u8 = 65;

impl Failure {
    /// A failure of the command itself.
    pub fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 1 }
    }

    /// A failure that time heals.
    pub fn temporary(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: TEMPORARY }
    }

    /// The audit does not say any more what it said.
    pub fn broken(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: BROKEN }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        self.code.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What somebody typed may stand in it.
        f.write_str(&presentable(&self.line))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { line: error.to_string(), code: CONFIGURATION }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let code = if error.is_configuration() { CONFIGURATION } else { 1 };
        Self { line: error.to_string(), code }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            // Nothing is wrong with the keys that are there.
            KeyError::Keyring(error @ (KeyringError::AlreadyHere { .. } | KeyringError::NotGenerated)) => {
                Self::new(format!("{error}; nothing was changed"))
            }
            other => StartError::from(other).into(),
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        let line = error.to_string();
        match error {
            AuditError::Store(_) => Self::new(line),
            AuditError::Head(AuditHeadError::KekMissing { .. }) => Self { line, code: CONFIGURATION },
            AuditError::OlderServers { .. } | AuditError::RenewedMeanwhile => Self::temporary(line),
            AuditError::Head(AuditHeadError::Altered)
            | AuditError::HeadMissing { .. }
            | AuditError::HeadSetBack { .. }
            | AuditError::WentBack { .. }
            | AuditError::Replaced { .. }
            | AuditError::Broken(_) => Self::broken(line),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}
