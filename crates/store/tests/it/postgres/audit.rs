//! Rows come to be seen in another order than that of their numbers.

use diesel::connection::SimpleConnection;

use super::Named;
use crate::audit_chain::{seal, walk};
use crate::fixture::Database;
use crate::place::Place;

#[tokio::test]
async fn a_row_that_is_committed_late_gets_its_place_late() {
    let named = Named::new();
    let [mut slow, mut fast] = [named.connect(), named.connect()];
    let database = Database::at(Place::Postgres(named)).await;
    seal(&database).await;
    let before = walk(&database).await;
    let insert = "INSERT INTO audit_events (at, event, actor) VALUES (1, 'signed_in', 'server')";
    slow.batch_execute(&format!("BEGIN; {insert}")).unwrap();
    fast.batch_execute(insert).unwrap();
    seal(&database).await;
    slow.batch_execute("COMMIT").unwrap();
    seal(&database).await;
    let ids = walk(&database).await;
    let (late, early) = (ids[ids.len() - 1], ids[ids.len() - 2]);
    assert!(ids.len() == before.len() + 2 && late < early, "{ids:?}");
}
