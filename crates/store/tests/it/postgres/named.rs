use std::path::Path;

use attesto_cluster::Scratch;
use attesto_store::DatabaseUrl;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

/// A database of one test.
pub(crate) struct Named {
    scratch: Scratch,
}

impl Named {
    pub(crate) fn new() -> Self {
        Self { scratch: Scratch::new().unwrap() }
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.scratch.url(), Path::new("/")).unwrap()
    }

    /// Without constraints: this database serves one test, and some are about what constraints do not allow.
    pub(crate) fn tamper(&self, sql: &str) {
        const UNBIND: &str = "DO $$ DECLARE it record; BEGIN \
            FOR it IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint \
                      WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace \
            LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', it.owner, it.conname); END LOOP; END $$; \
            CREATE OR REPLACE FUNCTION zeroblob(n integer) RETURNS bytea LANGUAGE sql \
            AS $$ SELECT decode(repeat('00', n), 'hex') $$";
        // Bytes are written otherwise.
        let sql = sql.replace(" x'", " '\\x");
        self.connect().batch_execute(&format!("{UNBIND}; {sql}")).unwrap();
    }

    /// Every commit of a record takes up to 5 ms longer, while its locks are held.
    pub(crate) fn delay_records(&self) {
        const DELAY: &str = "CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql             AS $$ BEGIN PERFORM pg_sleep(random() * 0.005); RETURN NULL; END $$;             CREATE CONSTRAINT TRIGGER delay AFTER INSERT ON revocations DEFERRABLE INITIALLY DEFERRED             FOR EACH ROW EXECUTE FUNCTION delay()";
        self.connect().batch_execute(DELAY).unwrap();
    }

    /// With literals as SQLite writes them.
    pub(crate) fn rows(&self, table: &str) -> Vec<String> {
        let connection = &mut self.connect();
        let columns = format!(
            "SELECT column_name || ' ' || data_type AS text FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        );
        let column = |text: &String| {
            let (name, data_type) = text.split_once(' ').unwrap();
            let literal = match data_type {
                "bytea" => format!("'X''' || upper(encode({name}, 'hex')) || ''''"),
                "boolean" => format!("{name}::int::text"),
                "integer" | "bigint" => format!("{name}::text"),
                _ => format!("quote_literal({name})"),
            };
            format!("'{name}=' || coalesce({literal}, 'NULL')")
        };
        let row: Vec<_> = texts(connection, &columns).iter().map(column).collect();
        texts(connection, &format!("SELECT {} AS text FROM {table} ORDER BY 1", row.join(" || ' ' || ")))
    }

    pub(crate) fn tables(&self) -> Vec<String> {
        let tables = "SELECT table_name::text AS text FROM information_schema.tables \
                      WHERE table_schema = 'public' ORDER BY 1";
        texts(&mut self.connect(), tables)
    }

    /// Whether somebody is within `pg_sleep`.
    pub(crate) fn has_sleeper(&self) -> bool {
        let sleepers = "SELECT 'asleep' AS text FROM pg_stat_activity \
                        WHERE datname = current_database() AND wait_event = 'PgSleep'";
        !texts(&mut self.connect(), sleepers).is_empty()
    }

    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.scratch.url()).unwrap()
    }
}

fn texts(connection: &mut PgConnection, query: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let rows: Vec<Row> = diesel::sql_query(query).load(connection).unwrap();
    rows.into_iter().map(|row| row.text).collect()
}
