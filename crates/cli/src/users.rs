use attesto_core::{CustomClaims, Ending, Event, Instant, Password, PasswordHash, Reason, User, UserId};
use attesto_server::Passwords;
use attesto_store::{Added, Store};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::context::{Place, event, now};
use crate::failure::Failure;
use crate::init::new_user;
use crate::input;
use crate::output::{Output, cell, rfc3339};

/// People who can sign in
#[derive(Subcommand)]
pub enum Users {
    /// Add a user; the password is asked for, or read from standard input
    Add(Name),
    /// List all users
    List,
    /// Refuse sign-ins and end all sessions
    Disable(Name),
    /// Allow sign-ins again; ended sessions stay ended
    Enable(Name),
    /// Set a password and end all sessions; it is asked for, or read from standard input
    Password(Name),
    /// Replace the claims that tokens of future sessions carry by the JSON object on standard input
    Claims(Claims),
    /// Remove a user and end all sessions
    Delete(Name),
}

/// Which user.
#[derive(Args)]
pub struct Name {
    /// The user's name, spelled exactly as it signs in
    username: String,
}

/// Whose claims, and whether at once.
#[derive(Args)]
pub struct Claims {
    /// The user's name, spelled exactly as it signs in
    username: String,
    /// End all sessions of the user as well, whose tokens carry the old claims
    #[arg(long)]
    end_sessions: bool,
}

#[derive(Serialize)]
struct Shown {
    username: String,
    id: String,
    state: &'static str,
    claims: Map<String, Value>,
    created_at: String,
    disabled_at: Option<String>,
}

impl Users {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let store = place.store().await?;
        match self {
            Self::Add(Name { username }) => add(&store, &username, output).await,
            Self::List => list(&store, output).await,
            Self::Disable(Name { username }) => disable(&store, &username, output).await,
            Self::Enable(Name { username }) => enable(&store, &username, output).await,
            Self::Password(Name { username }) => password(&store, &username, output).await,
            Self::Claims(claims) => claims.run(&store, output).await,
            Self::Delete(Name { username }) => delete(&store, &username, output).await,
        }
    }
}

/// The user of that name, or a failure that says so.
pub async fn find(store: &Store, username: &str) -> Result<User, Failure> {
    let name = username.to_owned();
    let found = store.read(move |tx| tx.find_user_by_name(&name)).await?;
    found
        .ok_or_else(|| Failure::new(format!("there is no user {username:?}; `attesto users list` shows all")))
}

/// All users, page by page.
async fn all(store: &Store) -> Result<Vec<User>, Failure> {
    const PAGE: i64 = 500;
    let mut users: Vec<User> = Vec::new();
    loop {
        let after = users.last().map(|user| user.username.to_string()).unwrap_or_default();
        let page = store.read(move |tx| tx.list_users(&after, PAGE)).await?;
        if page.is_empty() {
            return Ok(users);
        }
        users.extend(page);
    }
}

async fn add(store: &Store, username: &str, output: Output) -> Result<(), Failure> {
    let user = new_user(username, &input::new_password()?, now()).await?;
    let id = user.id.clone();
    let event = event(Event::UserAdded).user(&id);
    match store.write(move |tx| tx.insert_user(&user, &event)).await? {
        Added::Yes => done(output, &format!("{username} can sign in"), &id, username),
        Added::NameTaken => {
            Err(Failure::new(format!("there is a user {username:?} already; nothing was changed")))
        }
    }
}

async fn list(store: &Store, output: Output) -> Result<(), Failure> {
    let users: Vec<Shown> = all(store).await?.into_iter().map(Shown::from).collect();
    output.list(&users, &["user", "id", "state", "claims", "added", "disabled"], |user| {
        vec![
            user.username.clone(),
            user.id.clone(),
            user.state.to_owned(),
            Value::Object(user.claims.clone()).to_string(),
            user.created_at.clone(),
            cell(user.disabled_at.as_ref()),
        ]
    })
}

async fn disable(store: &Store, username: &str, output: Output) -> Result<(), Failure> {
    let id = find(store, username).await?.id;
    let target = id.clone();
    let disabled = store.write(move |tx| {
        let event = event(Event::UserDisabled).user(&target).because(Reason::UserDisabled);
        tx.disable_user(&target, &event)
    });
    let sentence = match disabled.await? {
        Ending::Ended => format!("{username} cannot sign in any more; all sessions are over"),
        Ending::AlreadyOver => format!("{username} was disabled already; nothing was changed"),
        Ending::Unknown => return Err(vanished(username)),
    };
    done(output, &sentence, &id, username)
}

async fn enable(store: &Store, username: &str, output: Output) -> Result<(), Failure> {
    let id = find(store, username).await?.id;
    let (target, event) = (id.clone(), event(Event::UserEnabled).user(&id));
    let changed = store.write(move |tx| tx.enable_user(&target, &event)).await?;
    let sentence = if changed { "can sign in again" } else { "was not disabled; nothing was changed" };
    done(output, &format!("{username} {sentence}"), &id, username)
}

async fn password(store: &Store, username: &str, output: Output) -> Result<(), Failure> {
    let id = find(store, username).await?.id;
    let hash = chosen_hash(username).await?;
    let target = id.clone();
    let changed = store.write(move |tx| {
        let event = event(Event::PasswordChanged).user(&target).because(Reason::PasswordChanged);
        tx.set_password(&target, &hash, &event)
    });
    match changed.await? {
        Ending::Ended | Ending::AlreadyOver => {
            done(output, &format!("{username} has a new password; all sessions are over"), &id, username)
        }
        Ending::Unknown => Err(vanished(username)),
    }
}

async fn chosen_hash(username: &str) -> Result<PasswordHash, Failure> {
    let typed = input::new_password()?;
    let chosen =
        Password::chosen(typed.to_string(), username).map_err(|wrong| Failure::new(wrong.to_string()))?;
    Passwords::new().hash(chosen).await.map_err(|cause| Failure::new(cause.to_string()))
}

impl Claims {
    async fn run(self, store: &Store, output: Output) -> Result<(), Failure> {
        let Self { username, end_sessions } = self;
        let id = find(store, &username).await?.id;
        let claims = CustomClaims::parse(&input::everything()?)
            .map_err(|wrong| Failure::new(format!("{wrong}; nothing was changed")))?;
        let target = id.clone();
        let set = store.write(move |tx| {
            let set = tx.set_claims(&target, &claims, &event(Event::ClaimsChanged).user(&target))?;
            if set && end_sessions {
                let event = event(Event::UserSessionsRevoked).user(&target).because(Reason::ClaimsChanged);
                tx.revoke_user_sessions(&target, &event)?;
            }
            Ok(set)
        });
        if !set.await? {
            return Err(vanished(&username));
        }
        let ended = if end_sessions { "; all sessions are over" } else { "" };
        let sentence = format!("tokens of {username} carry these claims from the next sign-in on{ended}");
        done(output, &sentence, &id, &username)
    }
}

async fn delete(store: &Store, username: &str, output: Output) -> Result<(), Failure> {
    let id = find(store, username).await?.id;
    let target = id.clone();
    let deleted = store.write(move |tx| {
        let event = event(Event::UserDeleted).user(&target).because(Reason::UserDeleted);
        tx.delete_user(&target, &event)
    });
    match deleted.await? {
        Ending::Ended | Ending::AlreadyOver => {
            done(output, &format!("{username} is gone; all sessions are over"), &id, username)
        }
        Ending::Unknown => Err(vanished(username)),
    }
}

/// A failure that says so.
pub fn vanished(username: &str) -> Failure {
    Failure::new(format!("{username} was deleted in the meantime; nothing was changed"))
}

fn done(output: Output, sentence: &str, id: &UserId, username: &str) -> Result<(), Failure> {
    output.done(sentence, &json!({"username": username, "id": id.0, "done": sentence}))
}

impl From<User> for Shown {
    fn from(user: User) -> Self {
        Self {
            state: if user.disabled_at.is_some() { "disabled" } else { "enabled" },
            username: user.username.to_string(),
            claims: user.claims.as_map().clone(),
            created_at: rfc3339(user.created_at),
            disabled_at: user.disabled_at.map(|at: Instant| rfc3339(at)),
            id: user.id.0,
        }
    }
}
