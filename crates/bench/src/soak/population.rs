use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attesto_core::{Line, SigningAlgorithm};
use attesto_keyring::{Signer, sign_jws};
use attesto_server::Clock;
use attesto_store::Store;
use attesto_token::{RefreshTokenClaims, typ};

use super::refreshing::refresh;
use super::rows::{Held, Rows};
use crate::authority::Authority;
use crate::connection::Connection;
use crate::presented::claims;
use crate::server::Server;
use crate::serving::simplejwt::sign_in;
use crate::stats::real;
use crate::{Outcome, progress};

const SETTINGS: &str = "shutdown_delay_interval = \"0s\"\n";

/// An authority with as many sessions as it is told, and refresh tokens for some of them.
pub struct Population {
    pub authority: Authority,
    /// Its database.
    pub file: PathBuf,
    pub sessions: usize,
    /// By how many bytes these let the database grow.
    pub bytes: usize,
    /// Of sessions that take their turn.
    pub tokens: VecDeque<String>,
    /// Of the session that all the others are copies of.
    model: RefreshTokenClaims,
    signer: Arc<dyn Signer>,
}

impl Population {
    /// Sets an authority up, and has its server write the one session that is copied.
    pub async fn found(program: &Path) -> Outcome<Self> {
        let authority = Authority::set_up(SETTINGS).await?;
        authority.add_cheaply_hashed().await?;
        let model = claims(&first_token(program, &authority).await?)?;
        let file = authority.settings.database.file().ok_or("the database is no file")?.to_owned();
        let signer = signer(&authority).await?;
        Ok(Self { authority, file, sessions: 0, bytes: 0, tokens: VecDeque::new(), model, signer })
    }

    /// Lets it have so many sessions. No server may run.
    pub fn grow(&mut self, sessions: usize) -> Outcome<()> {
        self.bytes += Rows::alone(&self.file)?.fill(self.sessions, sessions, Clock::system().now())?;
        self.sessions = sessions;
        Ok(())
    }

    /// Signs tokens for so many sessions, drawn from all of them. Those that were drawn before are given up.
    pub async fn draw(&mut self, count: usize) -> Outcome<()> {
        progress(&format!("soak: signing tokens for {count} of {} sessions", self.sessions));
        let drawn = Rows::alone(&self.file)?.draw(count)?;
        self.tokens.clear();
        for session in drawn {
            let token = self.token_of(session).await?;
            self.tokens.push_back(token);
        }
        Ok(())
    }

    /// Indices included, users not.
    pub fn bytes_per_session(&self) -> f64 {
        real(self.bytes / self.sessions.max(1))
    }

    async fn token_of(&self, session: Held) -> Outcome<String> {
        let claims = RefreshTokenClaims {
            sub: session.user_id.clone(),
            user_id: session.user_id,
            sid: session.id,
            ..self.model.clone()
        };
        Ok(sign_jws(self.signer.as_ref(), typ::REFRESH, &claims).await?)
    }
}

/// Signs in and refreshes once: then the row has everything that a session in use has.
async fn first_token(program: &Path, authority: &Authority) -> Outcome<String> {
    let server = Server::start(program, &authority.config)?;
    let signed_in = sign_in(server.address).await?;
    let mut connection = Connection::open(server.address).await?;
    let token = refresh(&mut connection, server.address, &signed_in.refresh).await?;
    server.stop()?;
    Ok(token)
}

/// What the authority signs refresh tokens with.
async fn signer(authority: &Authority) -> Outcome<Arc<dyn Signer>> {
    let store = Store::open(&authority.settings.database)?;
    let (keyring, _) = attesto_server::keeper(&store, &authority.settings).await?.read().await?;
    let signer = keyring.active(Line::of_tokens(SigningAlgorithm::Rs256)).ok_or("no key signs")?;
    Ok(Arc::clone(signer))
}
