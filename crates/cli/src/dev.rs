//! `serve --dev`: everything that a newcomer needs, in one folder.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind::NotFound;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use attesto_core::{Client, ClientId, ClientKind, Digest, Instant, Scope, Watermark};
use attesto_keyring::random_secret;
use attesto_server::init::{Beginning, Found, find, initialise};
use attesto_store::{DatabaseUrl, ServerLock};
use serde::{Deserialize, Serialize};

use crate::context::{FILE_IN_DATA, Place, now, operator};
use crate::failure::Failure;
use crate::init::new_user;

/// For scripts.
const DEV_FILE: &str = "dev.json";

const DATABASE: &str = "sqlite:attesto.db";

/// What stands in [`DEV_FILE`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DevFile {
    issuer: String,
    audience: String,
    username: String,
    password: String,
    client_id: String,
    client_secret: String,
    public_client_id: String,
    redirect_uri: String,
}

/// A data directory that is set up.
pub struct Ready {
    folder: PathBuf,
    file: DevFile,
}

/// Finds a data directory as it was left, or sets it up. An interrupted first start goes on where it stopped.
pub async fn prepare(folder: &Path, address: SocketAddr) -> Result<Ready, Failure> {
    make_folder(folder)?;
    let database = DatabaseUrl::parse(DATABASE, folder).map_err(|wrong| Failure::new(wrong.to_string()))?;
    let lock = ServerLock::acquire(&database)?;
    if database.file().is_some_and(Path::exists) && !folder.join(DEV_FILE).exists() {
        return Err(unusable(&folder.join(DEV_FILE), &"the file is gone, and its passwords with it"));
    }
    let file = read_or_create(folder, address)?;
    write_new(&folder.join(FILE_IN_DATA), &configuration(&file))?;
    let settings = Place::settings_of(folder)?;
    if matches!(find(&settings).await?, Found::Nothing) {
        let user = new_user(&file.username, &file.password, now()).await?;
        let beginning = Beginning { user, clients: clients(&file, now()) };
        initialise(&lock, &settings, beginning, operator(), now()).await?;
    }
    Ok(Ready { folder: folder.to_owned(), file })
}

impl Ready {
    /// How to sign in.
    pub fn welcome(&self, address: SocketAddr) -> String {
        let Self { folder, file: DevFile { issuer, username, password, .. } } = self;
        let base = base_url(address);
        let stays = if *issuer == base {
            String::new()
        } else {
            format!("\n            (stays as it was at the first start; this time it listens on {base})")
        };
        let sign_in = format!("curl -s {base}/api/token/ -d username={username} -d password={password}");
        let refresh = format!(r#"$({sign_in} | sed 's/.*"refresh":"\([^"]*\)".*/\1/')"#);
        format!(
            "A token authority for development, in {}\n\n  issuer    {issuer}{stays}\n  user      {username}\n  \
             password  {password}\n\nSign in for a pair of tokens:\n\n  {sign_in}\n\n\
             Sign in, and renew the pair with its refresh token:\n\n  \
             curl -s {base}/api/token/refresh/ -d refresh={refresh}\n",
            folder.display()
        )
    }
}

fn read_or_create(folder: &Path, address: SocketAddr) -> Result<DevFile, Failure> {
    let path = folder.join(DEV_FILE);
    if path.exists() {
        let text = fs::read_to_string(&path).map_err(|cause| unusable(&path, &cause))?;
        return serde_json::from_str(&text).map_err(|cause| unusable(&path, &cause));
    }
    let file = DevFile {
        issuer: base_url(address),
        audience: "attesto-dev".to_owned(),
        username: "dev".to_owned(),
        password: random_secret().to_string(),
        client_id: "dev-confidential".to_owned(),
        client_secret: random_secret().to_string(),
        public_client_id: "dev-public".to_owned(),
        redirect_uri: "http://127.0.0.1:3000/callback".to_owned(),
    };
    let text = serde_json::to_string_pretty(&file).map_err(|cause| unusable(&path, &cause))?;
    write_new(&path, &format!("{text}\n"))?;
    Ok(file)
}

fn configuration(file: &DevFile) -> String {
    let text = |value: &str| toml::Value::from(value).to_string();
    format!(
        "# Made by `attesto serve --dev`.\nissuer = {}\ndatabase = \"{DATABASE}\"\n\
         key_encryption_keys = [\"kek\"]\nsimplejwt_audience = {}\nshutdown_delay_interval = \"0s\"\n\
         log = \"warn\"\n",
        text(&file.issuer),
        text(&file.audience),
    )
}

fn clients(file: &DevFile, now: Instant) -> Vec<Client> {
    let client = |id: &str, kind| Client {
        id: ClientId(id.to_owned()),
        kind,
        redirect_uris: vec![file.redirect_uri.clone()],
        audience: file.audience.clone(),
        scope: Scope::default(),
        rotates: true,
        grace_interval: None,
        access_token_algorithm: None,
        refresh_token_algorithm: None,
        disabled_at: None,
        watermark: Watermark::default(),
        created_at: now,
    };
    let secret = Digest::of(file.client_secret.as_bytes());
    vec![
        client(&file.client_id, ClientKind::Confidential(secret)),
        client(&file.public_client_id, ClientKind::Public),
    ]
}

/// Where a browser or `curl` on this machine finds the server.
fn base_url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("http://{address}")
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|cause| unusable(folder, &cause))
}

/// Writes a file that only its owner can read, unless it is there. An interrupted start leaves all of it or none.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let draft = path.with_extension("draft");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> std::io::Result<()> {
        // What an interrupted start left, or somebody put there.
        fs::remove_file(&draft)
            .or_else(|cause| if cause.kind() == NotFound { Ok(()) } else { Err(cause) })?;
        let mut file = options.open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|cause| unusable(path, &cause))
}

fn unusable(path: &Path, cause: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!(
        "{}: {cause}; choose another folder with --data, or repair this one",
        path.display()
    ))
}
