//! From columns to values: what cannot be is an error that names table, column and row.

use std::time::Duration;

use attesto_core::{Digest, Instant};

use crate::error::StoreError;

/// Names the row that is being read.
pub(crate) struct RowOf<'a> {
    pub(crate) table: &'static str,
    pub(crate) row: &'a str,
}

impl RowOf<'_> {
    /// The value, or the column that is impossible.
    pub(crate) fn need<T, E>(&self, column: &'static str, value: Result<T, E>) -> Result<T, StoreError> {
        value.map_err(|_| self.impossible(column))
    }

    pub(crate) fn digest(&self, column: &'static str, bytes: &[u8]) -> Result<Digest, StoreError> {
        Digest::from_bytes(bytes).ok_or_else(|| self.impossible(column))
    }

    /// A length of time, which is never negative.
    pub(crate) fn duration(&self, column: &'static str, millis: i64) -> Result<Duration, StoreError> {
        self.need(column, u64::try_from(millis)).map(Duration::from_millis)
    }

    fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent { table: self.table, column, row: self.row.to_owned() }
    }
}

pub(crate) fn instant(millis: Option<i64>) -> Option<Instant> {
    millis.map(Instant::from_millis)
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
