use super::command::{Begin, Commit, Rollback};
use crate::connection::AnyConnection;
use crate::error::StoreError;
use crate::store::Read;

/// Runs `queries` on one state of the database, whatever is written meanwhile.
pub(super) fn consistently<T>(
    connection: &mut AnyConnection,
    queries: impl FnOnce(&mut Read<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut reading = Reading::begin(connection)?;
    let found = queries(&mut Read { connection: reading.connection })?;
    reading.end()?;
    Ok(found)
}

/// A transaction that does not outlive this, also if the queries fail or panic: the next one gets the same connection.
struct Reading<'a> {
    connection: &'a mut AnyConnection,
    has_ended: bool,
}

impl<'a> Reading<'a> {
    fn begin(connection: &'a mut AnyConnection) -> Result<Self, StoreError> {
        if Begin.run(connection).is_err() {
            // Of a reading that could not even be rolled back.
            Rollback.run(connection)?;
            Begin.run(connection)?;
        }
        Ok(Self { connection, has_ended: false })
    }

    fn end(&mut self) -> Result<(), StoreError> {
        Commit.run(self.connection)?;
        self.has_ended = true;
        Ok(())
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            // Where this fails, the next one tries again.
            let _ = Rollback.run(self.connection);
        }
    }
}
