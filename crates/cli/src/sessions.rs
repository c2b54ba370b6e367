use attesto_core::{ClientId, Ending, Event, Reason, SessionId, UserId};
use attesto_store::{ListedSession, Store};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::context::{Place, event, now};
use crate::failure::Failure;
use crate::input;
use crate::keys::reason::Why;
use crate::output::{Output, rfc3339};
use crate::{clients, users};

/// Who is signed in
#[derive(Subcommand)]
pub enum Sessions {
    /// List live sessions
    List(List),
    /// End one session, or all of a user, of a client, or of everybody
    Revoke(Revoke),
}

/// Which sessions to list.
#[derive(Args)]
pub struct List {
    /// Only of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Ended sessions as well, until they are removed
    #[arg(long)]
    all: bool,
}

/// Which sessions to end, and why.
#[derive(Args)]
pub struct Revoke {
    #[command(flatten)]
    which: Which,
    /// Do not ask; only --all does
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    why: Why,
}

/// Which sessions to end.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The identifier of a session: the `sid` of its tokens
    sid: Option<String>,
    /// All sessions of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// All sessions of this client
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// All sessions of everybody
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Shown {
    sid: String,
    username: Option<String>,
    user_id: String,
    client_id: String,
    state: &'static str,
    generation: i64,
    created_at: String,
    last_used_at: String,
    expires_at: String,
}

impl Sessions {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let store = place.store().await?;
        match self {
            Self::List(List { user, all }) => list(&store, user.as_deref(), all, output).await,
            Self::Revoke(revoke) => revoke.run(&store, output).await,
        }
    }
}

impl Revoke {
    async fn run(self, store: &Store, output: Output) -> Result<(), Failure> {
        let Self { which, yes, why: Why { reason } } = self;
        match which {
            Which { sid: Some(sid), .. } => one(store, sid, reason, output).await,
            Which { user: Some(username), .. } => of_user(store, &username, reason, output).await,
            Which { client: Some(client_id), .. } => of_client(store, client_id, reason, output).await,
            Which { .. } if yes => of_everybody(store, reason, output).await,
            Which { .. } => {
                input::confirm("This signs everybody out.")?;
                of_everybody(store, reason, output).await
            }
        }
    }
}

async fn list(store: &Store, username: Option<&str>, ended_too: bool, output: Output) -> Result<(), Failure> {
    let user_id = match username {
        None => None,
        Some(username) => Some(users::find(store, username).await?.id),
    };
    let mut sessions = all(store, user_id).await?;
    sessions.retain(|listed| ended_too || listed.is_live);
    sessions.sort_by_key(|listed| std::cmp::Reverse(listed.session.last_used_at));
    let sessions: Vec<Shown> = sessions.into_iter().map(Shown::from).collect();
    output.list(
        &sessions,
        &["sid", "user", "client", "state", "generation", "signed in", "last used", "expires"],
        |session| {
            vec![
                session.sid.clone(),
                session.username.clone().unwrap_or_else(|| "(deleted)".to_owned()),
                session.client_id.clone(),
                session.state.to_owned(),
                session.generation.to_string(),
                session.created_at.clone(),
                session.last_used_at.clone(),
                session.expires_at.clone(),
            ]
        },
    )
}

/// All sessions, page by page.
async fn all(store: &Store, user_id: Option<UserId>) -> Result<Vec<ListedSession>, Failure> {
    const PAGE: i64 = 500;
    let now = now();
    let mut sessions: Vec<ListedSession> = Vec::new();
    loop {
        let after = sessions.last().map(|listed| listed.session.id.0.clone()).unwrap_or_default();
        let user_id = user_id.clone();
        let page = store.read(move |tx| tx.list_sessions(user_id.as_ref(), &after, PAGE, now)).await?;
        if page.is_empty() {
            return Ok(sessions);
        }
        sessions.extend(page);
    }
}

async fn one(store: &Store, sid: String, why: String, output: Output) -> Result<(), Failure> {
    let id = SessionId(sid);
    let target = id.clone();
    let revoked = store.write(move |tx| {
        tx.revoke_session(&target, Reason::Operator, &event(Event::SessionRevoked).note(&why))
    });
    let sentence = match revoked.await? {
        Ending::Ended => format!("session {id} is over"),
        Ending::AlreadyOver => format!("session {id} was over already; nothing was changed"),
        Ending::Unknown => {
            return Err(Failure::new(format!("there is no session {id}; `attesto sessions list` shows all")));
        }
    };
    output.done(&sentence, &json!({"sid": id.0, "done": sentence}))
}

async fn of_user(store: &Store, username: &str, why: String, output: Output) -> Result<(), Failure> {
    let id = users::find(store, username).await?.id;
    let target = id.clone();
    let revoked = store.write(move |tx| {
        tx.revoke_user_sessions(&target, &event(Event::UserSessionsRevoked).user(&target).note(&why))
    });
    if revoked.await? == Ending::Unknown {
        return Err(users::vanished(username));
    }
    let sentence = format!("all sessions of {username} are over");
    output.done(&sentence, &json!({"username": username, "id": id.0, "done": sentence}))
}

async fn of_client(store: &Store, client_id: String, why: String, output: Output) -> Result<(), Failure> {
    let id = ClientId(client_id);
    let target = id.clone();
    let revoked = store.write(move |tx| {
        tx.revoke_client_sessions(&target, &event(Event::ClientSessionsRevoked).client(&target).note(&why))
    });
    if revoked.await? == Ending::Unknown {
        return Err(clients::unknown(&id));
    }
    let sentence = format!("all sessions of {id} are over; it still obtains tokens");
    output.done(&sentence, &json!({"client_id": id.0, "done": sentence}))
}

async fn of_everybody(store: &Store, why: String, output: Output) -> Result<(), Failure> {
    store.write(move |tx| tx.revoke_all_sessions(&event(Event::AllSessionsRevoked).note(&why))).await?;
    let sentence = "all sessions of everybody are over";
    output.done(sentence, &json!({"done": sentence}))
}

impl From<ListedSession> for Shown {
    fn from(ListedSession { session, username, is_live }: ListedSession) -> Self {
        Self {
            sid: session.id.0,
            username,
            user_id: session.user_id.0,
            client_id: session.client_id.0,
            state: if is_live { "live" } else { "ended" },
            generation: session.generation,
            created_at: rfc3339(session.created_at),
            last_used_at: rfc3339(session.last_used_at),
            expires_at: rfc3339(session.idle_expires_at),
        }
    }
}
