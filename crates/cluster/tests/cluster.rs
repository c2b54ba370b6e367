//! Against real servers. `cargo xtask test` finds or installs them; a plain `cargo test` needs them on the machine.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, abort};
use std::thread::sleep;
use std::time::{Duration, Instant};

use attesto_cluster::{Cluster, ClusterError, Options, PgBouncer, Programs};

const DYING: &str = "ATTESTO_TEST_DYING";

/// Nothing if somebody asked for a run without them.
fn programs() -> Option<Programs> {
    let without = env::var("ATTESTO_TEST_WITHOUT").unwrap_or_default();
    if without.split(',').any(|step| step == "postgres") {
        return None;
    }
    Some(said(Programs::find()))
}

/// A failure for people to read.
fn said<T>(outcome: Result<T, ClusterError>) -> T {
    outcome.unwrap_or_else(|failure| panic!("{failure}"))
}

fn folder_of(cluster: &Cluster) -> String {
    let url = cluster.url("postgres");
    let (_, folder) = url.split_once("?host=").unwrap();
    folder.replace("%2F", "/")
}

#[test]
fn a_cluster_has_databases() {
    let Some(programs) = programs() else { return };
    let cluster = said(Cluster::start(&programs, &[("work_mem", "5MB")]));

    said(cluster.create_database("of/one's \"own\""));
    let answer = said(cluster.sql("of/one's \"own\"", "CREATE TABLE t (n int); SELECT 1, 'a'; SELECT 2"));
    assert_eq!(answer, "1|a\n2\n");
    assert_eq!(
        said(cluster.sql("postgres", "SHOW work_mem; SHOW fsync; SHOW server_encoding")),
        "5MB\noff\nUTF8\n"
    );
    said(cluster.drop_database("of/one's \"own\""));

    let failure = cluster.sql("of/one's \"own\"", "SELECT 1").unwrap_err().to_string();
    assert!(failure.contains("does not exist"), "{failure}");
    let failure = cluster.sql("postgres", "SELECT 1/0; SELECT 1").unwrap_err().to_string();
    assert!(failure.contains("division by zero"), "{failure}");
}

#[test]
fn what_was_committed_is_there_after_a_crash() {
    let Some(programs) = programs() else { return };
    let mut cluster = said(Cluster::start(&programs, &[("fsync", "on"), ("synchronous_commit", "on")]));
    said(cluster.sql("postgres", "CREATE TABLE t (n int)"));

    let ends = [Cluster::crash, Cluster::kill9, Cluster::stop];
    for (n, end) in ends.into_iter().enumerate() {
        said(cluster.sql("postgres", &format!("INSERT INTO t VALUES ({n})")));
        said(end(&mut cluster));
        assert!(cluster.sql("postgres", "SELECT 1").is_err(), "it has ended");
        said(cluster.start_again());
    }

    assert_eq!(said(cluster.sql("postgres", "SELECT n FROM t ORDER BY n")), "0\n1\n2\n");
}

#[test]
fn a_promoted_standby_has_what_the_primary_confirmed() {
    let Some(programs) = programs() else { return };
    let mut primary = said(Cluster::start(&programs, &[]));
    said(primary.sql("postgres", "CREATE TABLE t (n int)"));
    let mut standby = said(primary.standby("second"));
    said(primary.synchronize_with("second"));

    said(primary.sql("postgres", "INSERT INTO t VALUES (1)"));
    said(primary.kill9());
    assert!(standby.sql("postgres", "INSERT INTO t VALUES (2)").is_err(), "it can only be read");
    said(standby.promote());

    assert_eq!(said(standby.sql("postgres", "INSERT INTO t VALUES (2); SELECT n FROM t")), "1\n2\n");
}

#[test]
fn a_paused_cluster_answers_later() {
    let Some(programs) = programs() else { return };
    let mut cluster = said(Cluster::start(&programs, &[]));
    let impatient = format!("{}&connect_timeout=2", cluster.url("postgres"));

    cluster.pause();
    let failure = programs.sql(&impatient, "SELECT 1").unwrap_err().to_string();
    assert!(failure.contains("timeout expired"), "{failure}");
    cluster.resume();
    assert_eq!(said(programs.sql(&impatient, "SELECT 1")), "1\n");

    cluster.pause();
    said(cluster.stop());
}

#[test]
fn it_listens_on_tcp_if_told() {
    let Some(programs) = programs() else { return };
    let nobody = ("pg_hba.conf", "local all all trust\nhost all all 127.0.0.1/32 reject\n");
    let closed =
        said(Cluster::start_with(&programs, &Options { tcp: true, files: &[nobody], ..Options::default() }));
    let open = said(Cluster::start_with(&programs, &Options { tcp: true, ..Options::default() }));

    assert_eq!(said(programs.sql(&open.tcp_url("postgres").unwrap(), "SELECT 1")), "1\n");
    let failure = programs.sql(&closed.tcp_url("postgres").unwrap(), "SELECT 1").unwrap_err().to_string();
    assert!(failure.contains("pg_hba.conf rejects"), "{failure}");
    assert_eq!(said(closed.sql("postgres", "SELECT 1")), "1\n");
}

#[test]
fn a_bouncer_lends_connections_for_a_transaction() {
    let Some(programs) = programs() else { return };
    let bouncer = said(PgBouncer::find());
    let cluster = said(Cluster::start(&programs, &[]));
    let bouncer = said(PgBouncer::start(&bouncer, &cluster, &[("default_pool_size", "1")]));
    said(cluster.create_database("pooled"));

    let ask = || said(programs.sql(&bouncer.url("pooled"), "SELECT pg_backend_pid(), current_database()"));
    let first = ask();
    assert!(first.ends_with("|pooled\n"), "{first}");
    assert_eq!(first, ask(), "another client has the same connection");
}

#[test]
fn why_it_does_not_start_is_said() {
    let Some(programs) = programs() else { return };
    let failure = Cluster::start(&programs, &[("no_such_setting", "1")]).unwrap_err().to_string();
    assert!(failure.contains("ended at once"), "{failure}");
    assert!(failure.contains("unrecognized configuration parameter \"no_such_setting\""), "{failure}");

    let nowhere = Programs::at("/nowhere".into());
    let failure = Cluster::start(&nowhere, &[]).unwrap_err().to_string();
    assert!(failure.starts_with("/nowhere/initdb: No such file"), "{failure}");
}

#[test]
fn nothing_is_left_behind() {
    let Some(programs) = programs() else { return };
    let mut cluster = said(Cluster::start(&programs, &[]));
    let folder = folder_of(&cluster);
    assert!(Path::new(&folder).exists());
    said(cluster.crash());
    said(cluster.start_again());
    drop(cluster);
    assert!(!Path::new(&folder).exists());
}

#[test]
fn nothing_is_left_behind_by_a_process_that_dies() {
    let Some(programs) = programs() else { return };
    if env::var_os(DYING).is_some() {
        let cluster = said(Cluster::start(&programs, &[]));
        println!("folder={}", folder_of(&cluster));
        abort();
    }
    let mut dying = Command::new(env::current_exe().unwrap());
    dying.args(["--exact", "nothing_is_left_behind_by_a_process_that_dies", "--nocapture"]);
    let output = dying.env(DYING, "yes").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let folder = said.lines().find_map(|line| line.strip_prefix("folder=")).expect(&said);

    let deadline = Instant::now() + Duration::from_secs(30);
    while Path::new(folder).exists() {
        assert!(Instant::now() < deadline, "{folder} is still there");
        sleep(Duration::from_millis(20));
    }
    assert_eq!(who_runs_in(folder), [""; 0]);
}

fn who_runs_in(folder: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let folders = processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok());
    folders.map(|cwd| cwd.display().to_string()).filter(|cwd| cwd.starts_with(folder)).collect()
}
