//! Bounds are raised before they are needed, each by itself, and never fall.

use std::time::Duration;

use attesto_store::Bounds;

use crate::fixture::{Database, LONGEST_ACCESS_LIFETIME, LONGEST_JWKS_LIFETIME, LONGEST_REFRESH_LIFETIME};

#[tokio::test]
async fn each_bound_rises_by_itself_and_none_falls() {
    let millisecond = Duration::from_millis(1);
    let (access, refresh, jwks) = (LONGEST_ACCESS_LIFETIME, LONGEST_REFRESH_LIFETIME, LONGEST_JWKS_LIFETIME);
    let table = [
        ([access, refresh, jwks], [access, refresh, jwks]),
        ([access + millisecond, Duration::ZERO, jwks], [access + millisecond, refresh, jwks]),
        ([access, refresh + millisecond, Duration::ZERO], [access, refresh + millisecond, jwks]),
        ([Duration::ZERO, refresh, jwks + millisecond], [access, refresh, jwks + millisecond]),
        ([Duration::ZERO; 3], [access, refresh, jwks]),
    ];
    for (given, expected) in table {
        let database = Database::empty().await;
        assert_eq!(raised(&database, given).await, expected, "from the first bounds");
    }
    let database = Database::empty().await;
    let mut highest = [access, refresh, jwks];
    for (given, _) in table {
        highest = std::array::from_fn(|which| highest[which].max(given[which]));
        assert_eq!(raised(&database, given).await, highest, "one after the other");
    }
}

/// The bounds after they were raised to `given`.
async fn raised(database: &Database, given: [Duration; 3]) -> [Duration; 3] {
    let [access_lifetime, refresh_lifetime, jwks_lifetime] = given;
    let bounds = Bounds { access_lifetime, refresh_lifetime, jwks_lifetime };
    database.write(move |write| write.raise_bounds(bounds)).await;
    let authority = database.read(|read| read.find_authority()).await.unwrap();
    [authority.longest_access_lifetime, authority.longest_refresh_lifetime, authority.longest_jwks_lifetime]
}
