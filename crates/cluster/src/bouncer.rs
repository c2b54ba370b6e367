use std::env;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::server::Server;
use crate::url::{self, USER};

const VARIABLE: &str = "ATTESTO_TEST_PGBOUNCER";

const PORT: u16 = 6432;

/// A pooler in front of a cluster.
///
/// It hands a connection to the cluster to whoever begins a transaction, and takes it back at its end.
#[derive(Debug)]
pub struct PgBouncer {
    server: Server,
}

impl PgBouncer {
    /// The program that `ATTESTO_TEST_PGBOUNCER` names, or else that of the system.
    pub fn find() -> Result<PathBuf, ClusterError> {
        let named = env::var_os(VARIABLE).map(PathBuf::from);
        // No such folder is on everybody's path.
        let of_the_system = || ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(PathBuf::from).into_iter();
        named
            .or_else(|| of_the_system().find(|program| program.exists()))
            .ok_or(ClusterError::NoPgBouncer { variable: VARIABLE })
    }

    /// Starts a pooler; settings override the usual ones.
    pub fn start(program: &Path, cluster: &Cluster, settings: &[(&str, &str)]) -> Result<Self, ClusterError> {
        let mut server = Server::prepare()?;
        server.write("pgbouncer.ini", configuration(&server, cluster, settings).as_bytes())?;
        let socket = server.folder().join(format!(".s.PGSQL.{PORT}"));
        let mut pgbouncer = server.command(program);
        pgbouncer.arg("pgbouncer.ini");
        server.start(&mut pgbouncer, |_| UnixStream::connect(&socket).is_ok())?;
        Ok(Self { server })
    }

    /// Where a database of the cluster is, through the pooler.
    pub fn url(&self, database: &str) -> String {
        url::of_socket(self.server.folder(), PORT, database)
    }
}

fn configuration(server: &Server, cluster: &Cluster, settings: &[(&str, &str)]) -> String {
    let socket = server.folder().display().to_string();
    let port = PORT.to_string();
    let usual = [
        ("unix_socket_dir", socket.as_str()),
        ("listen_port", &port),
        ("auth_type", "any"),
        ("pool_mode", "transaction"),
        ("max_client_conn", "500"),
        ("default_pool_size", "20"),
    ];
    let databases = format!("* = host={} port={} user={USER}", cluster.folder().display(), cluster.port());
    let settings = usual.iter().chain(settings).map(|(name, value)| format!("{name} = {value}\n"));
    format!("[databases]\n{databases}\n[pgbouncer]\n{}", settings.collect::<String>())
}
