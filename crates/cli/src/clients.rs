use std::time::Duration;

use attesto_core::{
    Client, ClientId, ClientKind, Digest, Ending, Event, Line, Policy, Reason, Scope, SigningAlgorithm,
    Watermark, parse_audience, parse_redirect_uri,
};
use attesto_keyring::random_secret;
use attesto_server::config::{AUDIENCE_IS_ISSUER, Settings};
use attesto_store::{Added, Store};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::context::{Place, event, now};
use crate::failure::Failure;
use crate::output::{Output, cell, rfc3339};

/// Programs that obtain tokens
#[derive(Subcommand)]
pub enum Clients {
    /// Add a client for the OAuth endpoints to come; a confidential one's secret is shown once
    Add(Add),
    /// List all clients
    List,
    /// Refuse tokens and end all sessions; of `simplejwt`, those of everybody
    Disable(Id),
    /// Allow tokens again; ended sessions stay ended
    Enable(Id),
}

/// A new client.
#[derive(Args)]
pub struct Add {
    /// Its identifier
    client_id: String,
    /// The `aud` of its access tokens
    #[arg(long, value_parser = parse_audience)]
    audience: String,
    /// The scopes of its access tokens, separated by spaces
    #[arg(long, default_value = "")]
    scope: Scope,
    /// It can keep a secret, and is given one
    #[arg(long)]
    confidential: bool,
    /// Where its users may be sent back to; can be repeated
    #[arg(long = "redirect-uri", value_name = "URI", value_parser = parse_redirect_uri)]
    redirect_uris: Vec<String>,
    /// Keep the refresh token at each refresh; confidential clients only
    #[arg(long, requires = "confidential")]
    no_rotation: bool,
    /// How long the predecessor of a refresh token still gets the same successor, 0s to 2m
    #[arg(long = "grace-interval", value_name = "DURATION", value_parser = grace_interval)]
    grace_interval: Option<Duration>,
    /// What signs its access tokens, RS256 or ES256 [default: as configured]
    #[arg(long, value_name = "ALGORITHM")]
    access_token_algorithm: Option<SigningAlgorithm>,
    /// What signs its refresh tokens, RS256 or ES256 [default: as configured]
    #[arg(long, value_name = "ALGORITHM")]
    refresh_token_algorithm: Option<SigningAlgorithm>,
}

/// Which client.
#[derive(Args)]
pub struct Id {
    /// Its identifier
    client_id: String,
}

#[derive(Serialize)]
struct Shown {
    client_id: String,
    kind: &'static str,
    audience: String,
    scope: String,
    redirect_uris: Vec<String>,
    rotates: bool,
    grace_interval: Option<String>,
    access_token_algorithm: Option<&'static str>,
    refresh_token_algorithm: Option<&'static str>,
    state: &'static str,
    created_at: String,
    disabled_at: Option<String>,
}

impl Clients {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let store = place.store().await?;
        match self {
            Self::Add(add) => add.run(&store, &place.settings()?, output).await,
            Self::List => list(&store, output).await,
            Self::Disable(Id { client_id }) => disable(&store, client_id, output).await,
            Self::Enable(Id { client_id }) => enable(&store, client_id, output).await,
        }
    }
}

impl Add {
    async fn run(self, store: &Store, settings: &Settings, output: Output) -> Result<(), Failure> {
        if self.audience == settings.issuer {
            return Err(Failure::new(format!("--audience {AUDIENCE_IS_ISSUER}")));
        }
        if self.client_id.is_empty() || self.client_id.len() > 100 || !self.client_id.bytes().all(is_plain) {
            return Err(Failure::new("a client identifier has 1 to 100 letters, digits, and any of . _ ~ -"));
        }
        require_active_keys(store, [self.access_token_algorithm, self.refresh_token_algorithm]).await?;
        let secret = self.confidential.then(random_secret);
        let id = ClientId(self.client_id);
        let client = Client {
            id: id.clone(),
            kind: match &secret {
                None => ClientKind::Public,
                Some(secret) => ClientKind::Confidential(Digest::of(secret.as_bytes())),
            },
            redirect_uris: self.redirect_uris,
            audience: self.audience,
            scope: self.scope,
            rotates: !self.no_rotation,
            grace_interval: self.grace_interval,
            access_token_algorithm: self.access_token_algorithm,
            refresh_token_algorithm: self.refresh_token_algorithm,
            disabled_at: None,
            watermark: Watermark::default(),
            created_at: now(),
        };
        let event = event(Event::ClientAdded).client(&id);
        if store.write(move |tx| tx.insert_client(&client, &event)).await? == Added::NameTaken {
            return Err(Failure::new(format!("there is a client {id} already; nothing was changed")));
        }
        let secret = secret.as_deref().map(String::as_str);
        let sentence = match secret {
            None => format!("{id} is a public client"),
            Some(secret) => {
                format!("{id} is a confidential client. Its secret is not shown again:\n\n  {secret}\n")
            }
        };
        output.done(&sentence, &json!({"client_id": id.0, "client_secret": secret}))
    }
}

/// A client whose tokens nothing could sign would get none.
async fn require_active_keys(
    store: &Store,
    algorithms: [Option<SigningAlgorithm>; 2],
) -> Result<(), Failure> {
    let table = store.read(|tx| tx.find_key_table()).await?;
    let missing = |algorithm: &SigningAlgorithm| table.active(Line::of_tokens(*algorithm)).is_none();
    match algorithms.into_iter().flatten().find(missing) {
        None => Ok(()),
        Some(algorithm) => Err(Failure::new(format!(
            "no {algorithm} key signs; run `attesto keys stage --algorithm {algorithm}`, and \
             `attesto keys rotate --algorithm {algorithm}` when it allows"
        ))),
    }
}

async fn list(store: &Store, output: Output) -> Result<(), Failure> {
    let clients: Vec<Shown> = all(store).await?.into_iter().map(Shown::from).collect();
    output.list(
        &clients,
        &["client", "kind", "audience", "scope", "rotates", "grace", "state", "added", "disabled"],
        |client| {
            vec![
                client.client_id.clone(),
                client.kind.to_owned(),
                client.audience.clone(),
                client.scope.clone(),
                client.rotates.to_string(),
                client.grace_interval.clone().unwrap_or_else(|| "default".to_owned()),
                client.state.to_owned(),
                client.created_at.clone(),
                cell(client.disabled_at.as_ref()),
            ]
        },
    )
}

/// All clients, page by page.
async fn all(store: &Store) -> Result<Vec<Client>, Failure> {
    const PAGE: i64 = 500;
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let after = clients.last().map(|client| client.id.0.clone()).unwrap_or_default();
        let page = store.read(move |tx| tx.list_clients(&after, PAGE)).await?;
        if page.is_empty() {
            return Ok(clients);
        }
        clients.extend(page);
    }
}

async fn disable(store: &Store, client_id: String, output: Output) -> Result<(), Failure> {
    let id = ClientId(client_id);
    let target = id.clone();
    let disabled = store.write(move |tx| {
        let event = event(Event::ClientDisabled).client(&target).because(Reason::ClientDisabled);
        tx.disable_client(&target, &event)
    });
    let sentence = match disabled.await? {
        Ending::Ended => format!("{id} obtains no more tokens; all its sessions are over"),
        Ending::AlreadyOver => format!("{id} was disabled already; nothing was changed"),
        Ending::Unknown => return Err(unknown(&id)),
    };
    output.done(&sentence, &json!({"client_id": id.0, "done": sentence}))
}

async fn enable(store: &Store, client_id: String, output: Output) -> Result<(), Failure> {
    let id = ClientId(client_id);
    let (target, event) = (id.clone(), event(Event::ClientEnabled).client(&id));
    let (changed, known) = store
        .write(move |tx| Ok((tx.enable_client(&target, &event)?, tx.find_client(&target)?.is_some())))
        .await?;
    let sentence = match (changed, known) {
        (true, _) => format!("{id} obtains tokens again"),
        (false, true) => format!("{id} was not disabled; nothing was changed"),
        (false, false) => return Err(unknown(&id)),
    };
    output.done(&sentence, &json!({"client_id": id.0, "done": sentence}))
}

/// A failure that says so.
pub fn unknown(id: &ClientId) -> Failure {
    Failure::new(format!("there is no client {id}; `attesto clients list` shows all"))
}

/// RFC 3986 §2.3: needs no escaping anywhere.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~-".contains(&byte)
}

fn grace_interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|wrong| wrong.to_string())?;
    (interval <= Policy::MAX_GRACE_INTERVAL).then_some(interval).ok_or("lies between 0s and 2m".to_owned())
}

impl From<Client> for Shown {
    fn from(client: Client) -> Self {
        Self {
            kind: match client.kind {
                ClientKind::Public => "public",
                ClientKind::Confidential(_) => "confidential",
            },
            state: if client.disabled_at.is_some() { "disabled" } else { "enabled" },
            scope: client.scope.to_string(),
            grace_interval: client.grace_interval.map(|grace| humantime::format_duration(grace).to_string()),
            access_token_algorithm: client.access_token_algorithm.map(SigningAlgorithm::as_str),
            refresh_token_algorithm: client.refresh_token_algorithm.map(SigningAlgorithm::as_str),
            created_at: rfc3339(client.created_at),
            disabled_at: client.disabled_at.map(rfc3339),
            client_id: client.id.0,
            audience: client.audience,
            redirect_uris: client.redirect_uris,
            rotates: client.rotates,
        }
    }
}
