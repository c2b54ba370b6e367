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
    let (door, _first) = Door::find(&parse(&cluster.url("postgres"))).unwrap();
    assert_eq!([&door; 2].map(|door| kept(&mut door.open().unwrap())), [1, 1], "a spare one and a new one");

    let program = PgBouncer::find().unwrap();
    // It refuses the mark, or forgets it.
    for settings in [&[][..], &[("ignore_startup_parameters", "options")]] {
        let pooler = PgBouncer::start(&program, &cluster, settings).unwrap();
        let behind = parse(&pooler.url("postgres"));
        assert_eq!(kept_through(&behind), [0, 0], "{settings:?}");
        // It was put in between later.
        let moved = Door { url: behind, is_direct: AtomicBool::new(true), spare: Mutex::new(None) };
        assert_eq!(kept(&mut moved.open().unwrap()), 0, "{settings:?}");
        assert!(!moved.is_direct(), "{settings:?}");
    }
}

#[test]
fn a_pooler_whose_clients_have_their_marks_is_found_out() {
    let cluster = cluster();
    for sets_anew in [false, true] {
        let folder = share_one_process(&cluster.url("postgres"), sets_anew);
        let behind =
            parse(&format!("postgres://attesto@localhost:1/postgres?host={}", folder.path().display()));
        assert!(!Door::find(&behind).unwrap().0.is_direct(), "{sets_anew}");
        let of_both = [open_marked(&behind), open_marked(&behind)].map(|marked| marked.unwrap().is_some());
        assert_eq!(of_both, [sets_anew; 2], "the process has the mark of a connection before");
    }
}

#[test]
fn whoever_says_that_there_is_a_pooler_is_believed() {
    let cluster = cluster();
    let pooler = PgBouncer::start(&PgBouncer::find().unwrap(), &cluster, &[]).unwrap();
    for url in [cluster.url("postgres"), pooler.url("postgres")] {
        assert_eq!(kept_through(&parse(&format!("{url}&pooler=yes"))), [0, 0]);
    }
}

#[test]
fn settings_of_the_url_stay() {
    let cluster = cluster();
    let options = "-c%20work_mem%3D5MB%20-c%20lock_timeout%3D7s";
    let url = parse(&format!("{}&options={options}", cluster.url("postgres")));
    let mut connection = Door::find(&url).unwrap().0.open().unwrap();
    for (name, value) in [("work_mem", "5MB"), ("lock_timeout", "7s")] {
        let setting = diesel::select(sql::<Text>(&format!("current_setting('{name}')")));
        assert_eq!(setting.get_result(&mut connection), Ok(value.to_owned()));
    }
    assert_eq!(kept(&mut connection), 1);
}

#[test]
fn nobody_is_asked_twice_who_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let silent = UnixListener::bind(folder.path().join(".s.PGSQL.1")).unwrap();
    let first = thread::spawn(move || {
        drop(silent.accept().unwrap());
        silent
    });
    let url = parse(&format!("postgres://attesto@localhost:1/postgres?host={}", folder.path().display()));
    assert!(Door::find(&url).is_err());
    let silent = first.join().unwrap();
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_err(), "once more without a mark");
}

pub(in crate::postgres) fn cluster() -> Cluster {
    Cluster::start(&Programs::find().unwrap(), &[]).unwrap()
}

pub(in crate::postgres) fn parse(url: &str) -> PostgresUrl {
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

/// A pooler with one process, which has what the first client said at its start, or is told for each question what the client that
/// asks it said. Where its socket is.
fn share_one_process(url: &str, sets_anew: bool) -> TempDir {
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
            let setting = sets_anew.then(|| set_mark(&start));
            thread::spawn(move || {
                while let Some(question) = some(&mut client).filter(|question| question[0] != b'X') {
                    if let Some(setting) = &setting {
                        asked(&process, setting);
                    }
                    client.write_all(&asked(&process, &question)).unwrap();
                }
            });
        }
    });
    folder
}

/// The question that sets the mark which a client gave at its start.
fn set_mark(start: &[u8]) -> Vec<u8> {
    let start = String::from_utf8_lossy(start);
    let (_, mark) = start.split_once("attesto.connection=").expect("it has a mark");
    let sql = format!("SET attesto.connection = '{}'\0", &mark[..16]);
    let length = u32::try_from(4 + sql.len()).unwrap();
    [&b"Q"[..], &length.to_be_bytes(), sql.as_bytes()].concat()
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
