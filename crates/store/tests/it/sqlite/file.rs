use std::path::{Path, PathBuf};

use attesto_store::DatabaseUrl;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

pub(crate) fn url_in(folder: &Path) -> DatabaseUrl {
    DatabaseUrl::parse("sqlite:attesto.db", folder).unwrap()
}

pub(crate) fn path(url: &DatabaseUrl) -> &Path {
    url.file().unwrap()
}

/// The database's own file and those that SQLite keeps beside it.
pub(crate) fn files(url: &DatabaseUrl) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| PathBuf::from(format!("{}{suffix}", path(url).display())))
}

pub(crate) fn tamper(url: &DatabaseUrl, sql: &str) {
    connect(url).batch_execute(&format!("PRAGMA ignore_check_constraints = ON; {sql}")).unwrap();
}

pub(crate) fn connect(url: &DatabaseUrl) -> SqliteConnection {
    SqliteConnection::establish(path(url).to_str().unwrap()).unwrap()
}

pub(crate) fn rows(url: &DatabaseUrl, table: &str) -> Vec<String> {
    let connection = &mut connect(url);
    let columns = texts(connection, &format!("SELECT name AS text FROM pragma_table_info('{table}')"));
    let row: Vec<_> = columns.iter().map(|name| format!("'{name}=' || quote({name})")).collect();
    texts(connection, &format!("SELECT {} AS text FROM {table} ORDER BY 1", row.join(" || ' ' || ")))
}

pub(crate) fn tables(url: &DatabaseUrl) -> Vec<String> {
    texts(&mut connect(url), "SELECT name AS text FROM sqlite_master WHERE type = 'table' ORDER BY name")
}

fn texts(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let rows: Vec<Row> = diesel::sql_query(query).load(connection).unwrap();
    rows.into_iter().map(|row| row.text).collect()
}
