use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use attesto_cluster::{Cluster, PgBouncer, Programs};
use diesel::QueryResult;
use diesel::sql_types::{BigInt, Integer};
use tempfile::TempDir;

use super::*;
use crate::connection::on_either;
use crate::fixed::fixed;
use crate::url::DatabaseUrl;

#[test]
fn statements_are_kept_where_no_pooler_stands_in_between() {
    let cluster = cluster();
    let door = Door::find(&parse(&cluster.url("postgres"))).unwrap().0;
    assert_eq!(kept(&mut door.open().unwrap()), 1);

    let program = PgBouncer::find().unwrap();
    // It refuses the mark, or forgets it.
    for settings in [&[][..], &[("ignore_startup_parameters", "options")]] {
        let pooler = PgBouncer::start(&program, &cluster, settings).unwrap();
        let behind = parse(&pooler.url("postgres"));
        assert_eq!(kept_through(&behind), [0, 0], "{settings:?}");
        // It was put in between later.
        let moved = Door { url: behind, ..door };
        assert_eq!(kept(&mut moved.open().unwrap()), 0, "{settings:?}");
    }
}

#[test]
fn a_pooler_that_passes_the_mark_on_is_found_out() {
    let cluster = cluster();
    let pooler = || share_one_process(&cluster.url("postgres"));
    let behind = |pooler: &TempDir| {
        parse(&format!("postgres://attesto@localhost:1/postgres?host={}", pooler.path().display()))
    };
    let alone = open_marked(&behind(&pooler())).unwrap();
    assert!(alone.is_some(), "the first one has its mark");
    assert!(!Door::find(&behind(&pooler())).unwrap().0.is_direct, "the second one has it too");
}

#[test]
fn settings_of_the_url_stay() {
    let cluster = cluster();
    let url = parse(&format!("{}&options=-c%20work_mem%3D5MB", cluster.url("postgres")));
    let mut connection = Door::find(&url).unwrap().0.open().unwrap();
    let work_mem = diesel::select(sql::<Text>("current_setting('work_mem')"));
    assert_eq!(work_mem.get_result(&mut connection), Ok("5MB".to_owned()));
    assert_eq!(kept(&mut connection), 1);
}

fn cluster() -> Cluster {
    Cluster::start(&Programs::find().unwrap(), &[]).unwrap()
}

fn parse(url: &str) -> PostgresUrl {
    match DatabaseUrl::parse(url, Path::new("/")).unwrap() {
        DatabaseUrl::Postgres(url) => url,
        DatabaseUrl::Sqlite(_) => panic!("{url}"),
    }
}

/// By the connection that found out what stands in between, and by another one.
fn kept_through(url: &PostgresUrl) -> [i64; 2] {
    let (door, mut first) = Door::find(url).unwrap();
    [kept(&mut first), kept(&mut door.open().unwrap())]
}

/// How many statements the process knows after one that can be kept.
fn kept(connection: &mut AnyConnection) -> i64 {
    let seven: QueryResult<i32> =
        on_either!(connection, |connection| fixed!(connection, diesel::select(sql::<Integer>("7"))));
    assert_eq!(seven, Ok(7));
    let kept = sql::<BigInt>("(SELECT COUNT(*) FROM pg_prepared_statements)");
    diesel::select(kept).get_result(connection).unwrap()
}

/// A pooler with one process, which it began as the first client told it. Where its socket is.
fn share_one_process(url: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let clients = UnixListener::bind(folder.path().join(".s.PGSQL.1")).unwrap();
    let process = Arc::new(Mutex::new(UnixStream::connect(socket(url)).unwrap()));
    thread::spawn(move || {
        let mut greeting = Vec::new();
        for client in clients.incoming() {
            let mut client = client.unwrap();
            let start = some(&mut client).expect("a client says who it is");
            if greeting.is_empty() {
                greeting = asked(&process, &start);
            }
            client.write_all(&greeting).unwrap();
            let process = Arc::clone(&process);
            thread::spawn(move || {
                while let Some(question) = some(&mut client).filter(|question| question[0] != b'X') {
                    client.write_all(&asked(&process, &question)).unwrap();
                }
            });
        }
    });
    folder
}

fn socket(url: &str) -> String {
    let (server, folder) = url.split_once("/postgres?host=").unwrap();
    let (_, port) = server.rsplit_once(':').unwrap();
    format!("{}/.s.PGSQL.{port}", folder.replace("%2F", "/"))
}

/// What libpq sends at once.
fn some(client: &mut UnixStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1 << 16];
    let length = client.read(&mut bytes).ok().filter(|length| *length > 0)?;
    bytes.truncate(length);
    Some(bytes)
}

/// All messages of the answer, up to the one that says that the process is ready.
fn asked(process: &Mutex<UnixStream>, question: &[u8]) -> Vec<u8> {
    let mut process = process.lock().unwrap();
    process.write_all(question).unwrap();
    let mut answer = Vec::new();
    loop {
        let mut head = [0; 5];
        process.read_exact(&mut head).unwrap();
        let [tag, length @ ..] = head;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - length.len()];
        process.read_exact(&mut rest).unwrap();
        answer.extend(head.into_iter().chain(rest));
        if tag == b'Z' {
            return answer;
        }
    }
}
