use std::thread;
use std::time::Duration;

use diesel::connection::TransactionManager;
use diesel::r2d2::{self, ManageConnection, Pool, R2D2Connection};
use diesel::{Connection, ConnectionResult};

use crate::connection::AnyConnection;

pub(crate) type Connections = Pool<Opener>;

/// Opens connections of the kind that it was made for. Diesel's own manager would have the enum try one kind after the
/// other.
pub(crate) struct Opener(Box<dyn Fn() -> ConnectionResult<AnyConnection> + Send + Sync>);

/// Up to `size` connections, opened as they are needed. Who waits longer than `patience` gets none.
pub(crate) fn connections(
    size: u32,
    patience: Duration,
    open: impl Fn() -> ConnectionResult<AnyConnection> + Send + Sync + 'static,
) -> Connections {
    Pool::builder()
        .max_size(size)
        // Else each use of the last idle one has another opened, whether anybody needs it or not.
        .min_idle(Some(0))
        .connection_timeout(patience)
        // A question before each use would take as long as the use. Whoever finds a broken one takes another.
        .test_on_check_out(false)
        .build_unchecked(Opener(Box::new(open)))
}

impl ManageConnection for Opener {
    type Connection = AnyConnection;
    type Error = r2d2::Error;

    fn connect(&self) -> Result<AnyConnection, r2d2::Error> {
        (self.0)().map_err(r2d2::Error::ConnectionError)
    }

    fn is_valid(&self, connection: &mut AnyConnection) -> Result<(), r2d2::Error> {
        connection.ping().map_err(r2d2::Error::QueryError)
    }

    fn has_broken(&self, connection: &mut AnyConnection) -> bool {
        // Whatever a panic left in it goes with it.
        thread::panicking()
            || <AnyConnection as Connection>::TransactionManager::is_broken_transaction_manager(connection)
    }
}
