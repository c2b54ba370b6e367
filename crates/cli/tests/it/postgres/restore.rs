use std::process::Command;

use attesto_cluster::{Cluster, Programs};

use super::authority_on;
use crate::authority::CONFIGURATION;
use crate::process::run;
use crate::restore::{nothing_works_again, since_the_copy};

#[test]
fn nothing_that_was_ended_since_the_dump_works_again() {
    let programs = Programs::find().unwrap();
    let cluster = Cluster::start(&programs, &[]).unwrap();
    for database in ["attesto", "again"] {
        cluster.create_database(database).unwrap();
    }
    let authority = authority_on(&cluster.url("attesto"));
    authority.set_up();
    let server = authority.start();
    let dump = authority.data().join("attesto.dump");
    let dump = dump.to_str().unwrap();
    let tool = |name: &str, arguments: &[&str]| {
        run(Command::new(programs.folder().join(name)).args(arguments), "").done();
    };
    let tokens = since_the_copy(&server, || {
        tool("pg_dump", &["--format=custom", "--file", dump, &cluster.url("attesto")]);
    });
    server.stop();
    tool("pg_restore", &["--no-owner", "--exit-on-error", "--dbname", &cluster.url("again"), dump]);
    authority.configure(&CONFIGURATION.replace("sqlite:attesto.db", &cluster.url("again")));

    let server = authority.start();
    let unsure = authority.run(&["restore", "--yes", "--emergency"]).refused(1);
    assert!(unsure.contains("--nothing-leaked"), "{unsure}");
    let running = authority.run(&["restore", "--yes", "--emergency", "--nothing-leaked"]).refused(1);
    assert!(running.contains("servers run on this database"), "{running}");
    server.stop();
    // What half a minute does: the dump has a row of the server that ran when it was made.
    cluster.sql("again", "DELETE FROM servers").unwrap();
    authority.run(&["restore", "--yes", "--emergency", "--nothing-leaked"]).done();
    let server = authority.start();
    nothing_works_again(&server, &tokens);
    server.stop();
    // Whoever was interrupted does it again, as long as nothing was signed.
    let again = authority.run(&["restore", "--yes", "--nothing-leaked"]).refused(75);
    assert!(again.contains("--emergency"), "{again}");
    let file = authority.run(&["restore", dump, "--yes"]).refused(1);
    assert!(file.contains("pg_restore"), "{file}");
}
