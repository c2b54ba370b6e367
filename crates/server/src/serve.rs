use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{HttpServer, rt, web};
use rustix::net::listen;
#[cfg(target_os = "linux")]
use rustix::net::sockopt::set_tcp_user_timeout;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::app::App;
use crate::audit::seal_before_stop;
use crate::config::Settings;
use crate::jobs::Jobs;
use crate::keys::sign_off;
use crate::router::application;
use crate::start::{Environment, StartError, open};

/// Connections of each worker, of which there are as many as cores. Further ones wait in the kernel.
const CONNECTIONS: usize = 25_600;

/// How many new connections wait until they are taken, if the system lets as many.
const ARRIVING: i32 = 4096;

/// A client has this long to send its headers, and before that as long for the handshake of TLS.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection without a request is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A client that takes nothing of what it is sent is waited for this long.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests in flight have this long to finish, in seconds.
const FINISH_SECONDS: u64 = 25;

/// Runs the server on `listener` until it is told to stop. `listening` is called when it accepts connections.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    listening: impl FnOnce(),
) -> Result<(), StartError> {
    let (app, _lock) = open(&settings, Environment::system()).await?;
    let signals = Signals::listen()?;
    lengthen_queue(&listener)?;
    hang_up_on_dead_readers(&listener)?;
    raise_file_limit();
    let jobs = Jobs::start(&app, settings.audit_lifetime);
    let server = HttpServer::new({
        let app = app.clone();
        move || application(app.clone())
    })
    .disable_signals()
    .max_connections(CONNECTIONS)
    // All of them may be in the handshake: a few that never finish it would keep everybody else out.
    .max_connection_rate(CONNECTIONS)
    .client_request_timeout(HEADER_TIMEOUT)
    .tls_handshake_timeout(HEADER_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    // Whoever hangs up does not wait any more, and his file is needed.
    .h1_allow_half_closed(false)
    .shutdown_timeout(FINISH_SECONDS);
    let server = match &app.tls {
        None => server.listen(listener)?,
        Some(tls) => server.listen_rustls_0_23(listener, tls.server_config()?)?,
    };
    let server = server.run();
    rt::spawn(stop_when_told(signals, app.clone(), server.handle(), settings.shutdown_delay_interval));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        issuer = settings.issuer,
        database = %settings.database,
        keyring_version = app.keys.loaded().keyring.version(),
        "serving"
    );
    listening();
    server.await?;
    jobs.stop();
    seal_before_stop(&app).await;
    if let Err(cause) = sign_off(&app).await {
        tracing::warn!(%cause, "this server is shown as running for another half minute");
    }
    if let Err(cause) = app.store.checkpoint().await {
        tracing::warn!(%cause, "the write-ahead log stays beside the database; keep them together");
    }
    Ok(())
}

/// Each who waits for news of the feed is an open file. Many systems set the limit low, for programs of old, and let it be
/// raised.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused, it stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Whoever arrives while all are busy would otherwise, beyond the 128 of the standard library, not be answered at all.
fn lengthen_queue(listener: &TcpListener) -> std::io::Result<()> {
    Ok(listen(listener, ARRIVING)?)
}

/// Connections inherit it. Where the kernel does not offer it, they are kept for as long as the client is.
fn hang_up_on_dead_readers(listener: &TcpListener) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    set_tcp_user_timeout(listener, u32::try_from(READ_TIMEOUT.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

/// SIGTERM: readiness fails at once, so that load balancers look elsewhere; after `delay` nothing new is accepted, and
/// what is in flight finishes. SIGINT is somebody at a terminal, who does not want to wait; so is a second signal.
async fn stop_when_told(mut signals: Signals, app: web::Data<App>, server: ServerHandle, delay: Duration) {
    tokio::select! {
        _ = signals.terminate.recv() => {
            tracing::info!("stopping: no longer ready");
            app.stopping.set();
            tokio::select! {
                () = sleep(delay) => {}
                _ = signals.interrupt.recv() => {}
                _ = signals.terminate.recv() => {}
            }
        }
        _ = signals.interrupt.recv() => app.stopping.set(),
    }
    tracing::info!("stopping: finishing what is in flight");
    server.stop(true).await;
}
