//! The servers that are measured, running, and who asks them for what.

use std::any::Any;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::header::ETAG as ETAG_HEADER;
use serde_json::json;

use super::asker::{Asker, Body, Newest};
use super::bare::ETAG;
use super::contender::{Contender, What, Who};
use super::peers::Peers;
use super::simplejwt::{Tokens, refreshing, sign_in, signing_in, verifying};
use super::{EVERYWHERE, MOST, Plan};
use crate::authority::{Authority, CHEAPLY_HASHED, USERNAME};
use crate::connection::Connection;
use crate::cores::Cores;
use crate::server::Server;
use crate::{Outcome, progress};

/// Access tokens outlive the run, and nobody who signs in as often as this is taken for a guesser.
const SETTINGS: &str = "access_token_lifetime = \"1h\"\nthrottle_user_failures = 1000000\n\
     throttle_address_failures = 1000000\nshutdown_delay_interval = \"0s\"\n";

/// Keys for ES256 are made with it; access tokens stay RS256.
const ES256: &str = "refresh_token_algorithm = \"ES256\"\n";

const JWKS: &str = "/.well-known/jwks.json";

/// A running server.
pub struct Running {
    pub who: Who,
    pub server: Server,
    /// From the start of the program to its first answer, several times.
    pub starts_ms: Vec<f64>,
    /// Before it was asked for anything else.
    pub idle_mib: Option<f64>,
}

/// A contender, and how many of its connections.
#[derive(Clone, Copy)]
pub struct Turn {
    pub contender: usize,
    pub connections: usize,
}

/// Everything that runs.
pub struct Scene {
    pub servers: Vec<Running>,
    pub contenders: Vec<Contender>,
    /// Folders that have to stay while they run.
    kept: Vec<Box<dyn Any>>,
}

impl Scene {
    /// Starts all servers. The caller's thread is where the load comes from.
    pub async fn set(plan: &Plan, server_cores: &Cores, all_cores: &Cores) -> Outcome<Self> {
        let mut scene = Self { servers: Vec::new(), contenders: Vec::new(), kept: Vec::new() };
        scene.add_attesto(plan, server_cores).await?;
        scene.add_program(server_cores).await?;
        scene.add_es256(plan, server_cores).await?;
        scene.add_on_all_cores(plan, all_cores).await?;
        if let Some(places) = &plan.peers {
            let peers = Peers::set_up(places)?;
            scene.add_simplejwt(plan, &peers, server_cores).await?;
            scene.add_oidc_provider(plan, &peers, server_cores).await?;
            scene.kept.push(Box::new(peers));
        }
        Ok(scene)
    }

    /// Everything that is measured, or only what is asked for, once.
    pub fn turns(&self, only: Option<What>) -> Vec<Turn> {
        let turns = |(contender, it): (usize, &Contender)| {
            let turn = move |connections: &usize| Turn { contender, connections: *connections };
            it.connections.iter().map(turn).collect::<Vec<_>>()
        };
        let wanted =
            self.contenders.iter().enumerate().filter(|(_, it)| only.is_none_or(|only| it.what == only));
        wanted.flat_map(turns).collect()
    }

    /// Those who ask `who` for `what`.
    pub fn askers(&mut self, who: Who, what: What) -> Option<&mut [Asker]> {
        let contender =
            self.contenders.iter_mut().find(|it| it.what == what && self.servers[it.server].who == who);
        contender.map(|contender| contender.askers.as_mut_slice())
    }

    async fn add_attesto(&mut self, plan: &Plan, cores: &Cores) -> Outcome<()> {
        progress("serving: attesto");
        let authority = authority(plan, "rs256", "").await?;
        let tokens = first_tokens(plan, &authority, MOST).await?;
        let start = || Ok(attesto(plan, &authority));
        let server = self.start(Who::Attesto, cores, plan.starts, JWKS, start).await?;
        let address = self.servers[server].server.address;

        let Document { etag, .. } = Document::get(address).await?;
        self.add(server, What::Verify, &EVERYWHERE, verifying(address, &tokens[0].access, MOST));
        self.add(server, What::Refresh, &EVERYWHERE, refreshing(address, tokens));
        self.add(server, What::Jwks, &EVERYWHERE, all(|| Asker::get(address, JWKS)));
        self.add(
            server,
            What::JwksUnchanged,
            &EVERYWHERE,
            all(|| Asker::get_unchanged(address, JWKS, &etag)),
        );

        let hashing = self::authority(plan, "signins", "").await?;
        let start = || Ok(attesto(plan, &hashing));
        let server = self.start(Who::AttestoSignIns, cores, 1, JWKS, start).await?;
        let address = self.servers[server].server.address;
        self.add(server, What::SignIn, &[1, 16], signing_in(address, USERNAME, 16));
        self.add(server, What::Pair, &EVERYWHERE, signing_in(address, CHEAPLY_HASHED, MOST));
        self.kept.push(Box::new([authority, hashing]));
        Ok(())
    }

    async fn add_program(&mut self, cores: &Cores) -> Outcome<()> {
        let Document { bytes, .. } = Document::get(self.servers[0].server.address).await?;
        let this = std::env::current_exe()?;
        let start = || {
            let mut program = Command::new(&this);
            program.args(["bare", "--document-bytes", &bytes.to_string()]);
            Ok(program)
        };
        let server = self.start(Who::Program, cores, 1, "/document", start).await?;
        let address = self.servers[server].server.address;
        // A refresh token is as long as this.
        let body = json!({"refresh": "a".repeat(900)}).to_string();
        let pairs = all(|| Asker::post(address, "/pair", Body::Fixed(body.clone())));
        self.add(server, What::Refresh, &EVERYWHERE, pairs);
        self.add(server, What::Jwks, &EVERYWHERE, all(|| Asker::get(address, "/document")));
        let unchanged = all(|| Asker::get_unchanged(address, "/document", ETAG));
        self.add(server, What::JwksUnchanged, &EVERYWHERE, unchanged);
        Ok(())
    }

    async fn add_es256(&mut self, plan: &Plan, cores: &Cores) -> Outcome<()> {
        progress("serving: attesto, refresh tokens signed by ES256");
        self.add_refreshing(plan, Who::AttestoEs256, cores, "es256", ES256, &EVERYWHERE).await
    }

    async fn add_on_all_cores(&mut self, plan: &Plan, cores: &Cores) -> Outcome<()> {
        progress("serving: attesto on all cores");
        self.add_refreshing(plan, Who::AttestoOnAllCores, cores, "cores", "", &[16, MOST]).await
    }

    /// A server that is asked for nothing but refreshes.
    async fn add_refreshing(
        &mut self,
        plan: &Plan,
        who: Who,
        cores: &Cores,
        name: &str,
        settings: &str,
        connections: &'static [usize],
    ) -> Outcome<()> {
        let authority = authority(plan, name, settings).await?;
        let tokens = first_tokens(plan, &authority, MOST).await?;
        let server = self.start(who, cores, 1, JWKS, || Ok(attesto(plan, &authority))).await?;
        let address = self.servers[server].server.address;
        self.add(server, What::Refresh, connections, refreshing(address, tokens));
        self.kept.push(Box::new(authority));
        Ok(())
    }

    async fn add_simplejwt(&mut self, plan: &Plan, peers: &Peers, cores: &Cores) -> Outcome<()> {
        progress("serving: SimpleJWT under gunicorn");
        let server = self.start(Who::SimpleJwt, cores, plan.starts, "/", || Ok(peers.simplejwt())).await?;
        let address = self.servers[server].server.address;
        let mut tokens = Vec::new();
        for _ in 0..MOST {
            tokens.push(sign_in(address).await?);
        }
        self.add(server, What::Verify, &EVERYWHERE, verifying(address, &tokens[0].access, MOST));
        self.add(server, What::Pair, &EVERYWHERE, signing_in(address, CHEAPLY_HASHED, MOST));
        self.add(server, What::Refresh, &EVERYWHERE, refreshing(address, tokens));
        Ok(())
    }

    async fn add_oidc_provider(&mut self, plan: &Plan, peers: &Peers, cores: &Cores) -> Outcome<()> {
        progress("serving: oidc-provider");
        let server =
            self.start(Who::OidcProvider, cores, plan.starts, "/jwks", || Ok(peers.oidc_provider())).await?;
        let address = self.servers[server].server.address;
        let newest = || Newest {
            before: "grant_type=refresh_token&client_id=bench&refresh_token=",
            token: String::new(),
            after: "",
            member: "refresh_token",
            // Its memory holds a thousand things, so a session that pauses is forgotten.
            seed: Some("/seed"),
        };
        let rotating = all(|| Asker::post_form(address, "/token", Body::Newest(newest())));
        self.add(server, What::Refresh, &EVERYWHERE, rotating);
        self.add(server, What::Jwks, &EVERYWHERE, all(|| Asker::get(address, "/jwks")));
        Ok(())
    }

    fn add(&mut self, server: usize, what: What, connections: &'static [usize], askers: Vec<Asker>) {
        self.contenders.push(Contender { what, server, askers, connections });
    }

    /// Starts a server several times, the last time to stay.
    async fn start(
        &mut self,
        who: Who,
        cores: &Cores,
        times: usize,
        path: &str,
        command: impl Fn() -> Outcome<Command>,
    ) -> Outcome<usize> {
        let mut starts_ms = Vec::new();
        loop {
            let command = command()?;
            let begun_at = Instant::now();
            let server = cores.run(|| Server::spawn(command))?;
            Connection::open(server.address).await?.ask(get(path).as_bytes()).await?;
            starts_ms.push(begun_at.elapsed().as_secs_f64() * 1000.0);
            if starts_ms.len() == times {
                // Whatever it still does on its own account is done then.
                tokio::time::sleep(Duration::from_secs(1)).await;
                let idle_mib = server.proportional_memory();
                self.servers.push(Running { who, server, starts_ms, idle_mib });
                return Ok(self.servers.len() - 1);
            }
            server.stop()?;
        }
    }
}

/// As many askers as there are connections at most.
fn all(asker: impl Fn() -> Asker) -> Vec<Asker> {
    (0..MOST).map(|_| asker()).collect()
}

/// A key set as it is published.
struct Document {
    etag: String,
    bytes: usize,
}

impl Document {
    async fn get(address: SocketAddr) -> Outcome<Self> {
        let answer = reqwest::get(format!("http://{address}{JWKS}")).await?.error_for_status()?;
        let etag = answer.headers().get(ETAG_HEADER).ok_or("the key set has no ETag")?.to_str()?.to_owned();
        Ok(Self { etag, bytes: answer.bytes().await?.len() })
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
}

/// On a database of its own: SQLite's lies in its own folder, and of any other its name is a part.
pub async fn authority(plan: &Plan, name: &str, settings: &str) -> Outcome<Authority> {
    let database = plan.database.replace("{}", name);
    let authority = Authority::set_up_on(&database, &format!("{SETTINGS}{settings}")).await?;
    authority.add_cheaply_hashed().await?;
    Ok(authority)
}

pub fn attesto(plan: &Plan, authority: &Authority) -> Command {
    let mut command = Command::new(&plan.program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&authority.config);
    command
}

/// Signs in so many times, with a server that goes away again: the next one starts with these sessions in its database.
pub async fn first_tokens(plan: &Plan, authority: &Authority, count: usize) -> Outcome<Vec<Tokens>> {
    let server = Server::start(&plan.program, &authority.config)?;
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(sign_in(server.address).await?);
    }
    server.stop()?;
    Ok(tokens)
}
