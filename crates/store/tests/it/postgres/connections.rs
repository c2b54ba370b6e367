//! How many connections there are.

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
    // Long enough for what is opened beside it to be there.
    for _ in 0..300 {
        database.read(|read| read.find_watermark()).await;
    }
    let ours = "(SELECT COUNT(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'attesto')";
    let count: i64 = diesel::select(diesel::dsl::sql::<BigInt>(ours)).get_result(&mut beside).unwrap();
    assert_eq!(count, 1);
}
