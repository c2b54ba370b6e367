//! How many connections there are.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::fixture::Database;
use crate::place::Place;
use crate::postgres::Named;

#[tokio::test]
async fn who_does_one_thing_after_the_other_needs_one() {
    let named = Named::new();
    let mut beside = named.connect();
    let database = Database::at(Place::Postgres(named)).await;
    for _ in 0..20 {
        database.read(|read| read.find_watermark()).await;
    }
    // What was opened beside it would be there by now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ours = "(SELECT COUNT(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'attesto')";
    let count: i64 = diesel::select(diesel::dsl::sql::<BigInt>(ours)).get_result(&mut beside).unwrap();
    assert_eq!(count, 1);
}
