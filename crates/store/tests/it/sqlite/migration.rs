//! A database of an older version comes along with all that is in it.

use attesto_core::{AuditFilter, AuthorityId, KeyState, SessionId, UserId};
use attesto_store::Store;
use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::file::{connect, url_in};
use crate::fixture::Database;
use crate::place::Place;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// A row in every table, as version 0.1.0 wrote them.
const ROWS_OF_0_1_0: &str = r#"
    INSERT INTO authority VALUES (1, 'a-old', 'https://issuer.example', 300000);
    INSERT INTO users VALUES ('ada', 'ada', '$argon2id$', 2, '{"role":"x"}', 1, 2000, 3);
    INSERT INTO clients VALUES
        ('web', zeroblob(32), '["https://a.example/cb"]', 'shop', 'read', 1, 5000, 4, 5000, 6),
        ('simplejwt', NULL, '[]', 'simplejwt', '', 0, NULL, NULL, NULL, 7);
    INSERT INTO sessions VALUES
        ('s', 'ada', 'web', 'read', 'shop', 8, '{}', 3, zeroblob(32), zeroblob(32), 9, 'k', x'0102', zeroblob(32),
         10, 11, 12, 13, 14, 'logout');
    INSERT INTO keys VALUES
        ('k', 'RS256', 'token', 'active', '{"kty":"RSA"}', x'00ff', '00ff', 'a-old', 15, 16, 17, NULL, NULL, NULL,
         NULL, x'0a'),
        ('n', 'RS256', 'token', 'staged', '{"kty":"RSA"}', x'01ff', '00ff', 'a-old', 18, 19, NULL, NULL, NULL, NULL,
         NULL, x'0b');
    UPDATE revocation_counter SET seq = 41;
    INSERT INTO revocations VALUES (41, 3, 'ada', 20, 21);
    INSERT INTO throttles VALUES ('user:ada', 3, 22, 23);
    INSERT INTO audit_events VALUES (5, 24, 'signed_in', 'address:::1', 'r', 'ada', 'web', 's', 'logout');
"#;

#[tokio::test]
async fn a_database_of_0_1_0_loses_nothing() {
    let database = old_database();
    for table in database.tables() {
        assert_ne!(database.rows(&table), [""; 0], "{table} is tried with a row");
    }
    let expected: Vec<_> = database.contents().iter().map(|row| migrated(row)).collect();

    assert_eq!(issuer(&database).await.as_deref(), Some("https://issuer.example"));
    assert!(database.store.require_current().await.is_err());
    database.store.migrate().await.unwrap();
    database.store.require_current().await.unwrap();

    let (newly_run, found): (Vec<_>, Vec<_>) = database
        .contents()
        .into_iter()
        .partition(|row| row.starts_with("__diesel") && !row.contains("version='0001'"));
    assert_eq!((newly_run.len(), found), (3, expected));
    assert_eq!(issuer(&database).await.as_deref(), Some("https://issuer.example"));
    let migrated = database.contents();
    database.store.migrate().await.unwrap();
    Store::open(&database.url).unwrap().require_current().await.unwrap();
    assert_eq!(database.contents(), migrated);
}

#[tokio::test]
async fn what_a_database_of_0_1_0_held_is_read() {
    let database = old_database();
    database.store.migrate().await.unwrap();
    let authority = database.read(|read| read.find_authority()).await.unwrap();
    let bounds = [
        authority.longest_access_lifetime,
        authority.longest_refresh_lifetime,
        authority.longest_jwks_lifetime,
    ];
    assert_eq!(
        (authority.id, bounds.map(|bound| bound.as_secs())),
        (AuthorityId("a-old".to_owned()), [300, 0, 0])
    );
    let table = database.key_table().await;
    let keys: Vec<_> =
        table.keys.iter().map(|key| (key.kid.as_str(), key.state, key.line().to_string())).collect();
    let line = "token RS256".to_owned();
    assert_eq!(keys, [("k", KeyState::Active, line.clone()), ("n", KeyState::Staged, line)]);
    assert_eq!(table.ledger, None);
    let clients = database.read(|read| read.list_clients("", 10)).await;
    assert!(clients.iter().all(|client| client.access_token_algorithm.is_none()));
    assert!(clients.iter().all(|client| client.refresh_token_algorithm.is_none()));
    assert_eq!(clients.len(), 2);
    let standing = database.read(|read| read.find_standing(&SessionId("s".to_owned()))).await.unwrap();
    assert_eq!(standing.session.user_id, UserId("ada".to_owned()));
    let events = database.read(|read| read.list_audit_events(&AuditFilter::default(), 10)).await;
    assert_eq!(events.iter().map(|event| (event.id, event.kid.as_deref())).collect::<Vec<_>>(), [(5, None)]);
    assert_eq!(database.read(|read| read.list_revocations(40, 10)).await.len(), 1);
    assert_eq!(database.read(|read| read.list_servers()).await, []);
    assert!(database.read(|read| read.find_key_facts()).await.uses.is_empty());
}

#[tokio::test]
async fn a_migration_that_fails_halfway_changes_nothing() {
    let database = old_database();
    // It comes late in the migration.
    database.tamper("CREATE TABLE servers (id TEXT)");
    let before = (database.tables(), database.contents());
    let failed = database.store.migrate().await.unwrap_err().to_string();
    assert!(failed.contains("servers"), "{failed}");
    assert_eq!((database.tables(), database.contents()), before);
    database.tamper("DROP TABLE servers");
    database.store.migrate().await.unwrap();
}

#[tokio::test]
async fn the_way_down_leads_to_what_was() {
    let database = old_database();
    let before = (database.tables(), database.contents());
    database.store.migrate().await.unwrap();
    let connection = &mut connect(&database.url);
    for _ in 2..=4 {
        connection.revert_last_migration(MIGRATIONS).unwrap();
    }
    assert_eq!((database.tables(), database.contents()), before);
    connection.revert_last_migration(MIGRATIONS).unwrap();
    assert_eq!(database.tables(), ["__diesel_schema_migrations", "sqlite_sequence"]);
}

/// A database as version 0.1.0 left it.
fn old_database() -> Database {
    let folder = tempfile::tempdir().unwrap();
    let url = url_in(folder.path());
    let connection = &mut connect(&url);
    connection.batch_execute("PRAGMA journal_mode = WAL").unwrap();
    assert_eq!(connection.run_next_migration(MIGRATIONS).unwrap().to_string(), "0001");
    connection.batch_execute(ROWS_OF_0_1_0).unwrap();
    Database { store: Store::open(&url).unwrap(), url, place: Place::Folder(folder) }
}

/// A row of version 0.1.0, as the migration leaves it.
fn migrated(row: &str) -> String {
    let (table, _) = row.split_once(':').unwrap();
    let new = match table {
        "authority" => {
            " longest_refresh_lifetime=0 longest_jwks_lifetime=0 latest_seen_at=NULL watermark_at=NULL"
        }
        "clients" => " access_token_algorithm=NULL refresh_token_algorithm=NULL",
        "audit_events" => " kid=NULL chain_seq=NULL chain_hash=NULL",
        "schema_requirement" => return row.replace("'0.1.0'", "'0.3.0'"),
        _ => "",
    };
    format!("{row}{new}")
}

async fn issuer(database: &Database) -> Option<String> {
    database.read(|read| read.find_issuer()).await
}
