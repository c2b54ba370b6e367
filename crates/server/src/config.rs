//! Settings: from one TOML file, overridden by `ATTESTO_…` variables. A name that is unknown is an error.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use attesto_core::{KeyPolicy, Policy, Scope, ThrottleLimits, parse_audience};
use attesto_keyring::RsaBits;
use attesto_store::DatabaseUrl;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::Value;
use url::{Host, Url};

use crate::telemetry::{LogFormat, check_filter};
use crate::tls::TlsFiles;

/// Everything that can be configured. See `docs/configuration.md`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `iss` of every token.
    pub issuer: String,
    /// Where the database is.
    pub database: DatabaseUrl,
    /// Files of key-encryption keys; the first seals.
    pub key_encryption_keys: Vec<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificate and key, if the server speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// Whose word about a caller's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may read the metrics.
    pub metrics_from: Vec<IpNet>,
    /// Of the client that the SimpleJWT endpoints issue for.
    pub simplejwt: SimpleJwt,
    /// Lifetimes and algorithms.
    pub policy: Policy,
    /// How keys follow each other.
    pub keys: KeyPolicy,
    /// Of new RSA keys.
    pub rsa_key_bits: RsaBits,
    /// What caches are told about the JWK Set.
    pub jwks: JwksCaching,
    /// Whether the revocation feed is for those alone who have an access token.
    pub feed_requires_token: bool,
    /// Failed sign-ins.
    pub throttle: ThrottleLimits,
    /// How long audit rows are kept.
    pub audit_lifetime: Duration,
    /// From SIGTERM until connections are no longer accepted.
    pub shutdown_delay_interval: Duration,
    /// What is logged, as a filter of `tracing`.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
}

/// How long caches may serve a JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksCaching {
    /// `max-age` (RFC 9111 §5.2.2.1).
    pub max_age: Duration,
    /// `stale-while-revalidate` (RFC 5861 §3).
    pub stale_while_revalidate: Duration,
}

impl JwksCaching {
    /// The longest that a cache serves one answer.
    pub fn lifetime(&self) -> Duration {
        self.max_age + self.stale_while_revalidate
    }

    /// The header. For a day a cache may serve what it has while the authority is down: then no key begins to sign.
    pub fn cache_control(&self) -> HeaderValue {
        let (max_age, stale) = (self.max_age.as_secs(), self.stale_while_revalidate.as_secs());
        let text = format!("public, max-age={max_age}, stale-while-revalidate={stale}, stale-if-error=86400");
        HeaderValue::try_from(text).expect("words and numbers may stand in a header")
    }
}

/// The client `simplejwt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimpleJwt {
    /// The `aud` of its access tokens.
    pub audience: String,
    /// Their scope.
    pub scope: Scope,
    /// Whether a refresh gives a new refresh token (`ROTATE_REFRESH_TOKENS`).
    pub rotates: bool,
}

/// A setting that is missing or wrong: one line that names it.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// The file and name, or the variable.
    place: String,
    /// What is wrong, and what would be right.
    problem: String,
}

impl Settings {
    /// Reads the file, if one is given, and the variables. Relative paths are taken below the file's folder.
    pub fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut given = Given::read(file, variables)?;
        given.only_settings()?;
        let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
        let issuer = given.required("issuer", "the URL at which clients reach the authority", issuer)?;
        let simplejwt = simplejwt(&mut given)?;
        if simplejwt.audience == issuer {
            return Err(given.wrong("simplejwt_audience", AUDIENCE_IS_ISSUER));
        }
        let shortest = Shortest::read(&mut given)?;
        let (keys, jwks) = (keys(&mut given, shortest)?, jwks(&mut given, shortest)?);
        let settings = Self {
            issuer,
            database: given.required("database", "for example \"sqlite:attesto.db\"", |text| {
                DatabaseUrl::parse(text, folder).map_err(|wrong| wrong.to_string())
            })?,
            key_encryption_keys: key_files(&mut given, folder)?,
            listen: given.optional("listen", address)?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            tls: tls(&mut given, folder)?,
            trusted_proxies: given.list("trusted_proxies", network)?.unwrap_or_default(),
            metrics_from: given.list("metrics_from", network)?.unwrap_or_else(loopback),
            simplejwt,
            policy: policy(&mut given)?,
            keys,
            rsa_key_bits: given.optional("rsa_key_bits", parsed)?.unwrap_or_default(),
            jwks,
            feed_requires_token: given.optional("feed_require_token", truth)?.unwrap_or(false),
            throttle: throttle(&mut given)?,
            audit_lifetime: given
                .optional("audit_lifetime", between(DAY, 36_500 * DAY))?
                .unwrap_or(400 * DAY),
            shutdown_delay_interval: given
                .optional("shutdown_delay_interval", between(Duration::ZERO, Duration::from_secs(300)))?
                .unwrap_or(Duration::from_secs(5)),
            log: given.optional("log", check_filter)?.unwrap_or_else(|| "info".to_owned()),
            log_format: given.optional("log_format", parsed)?.unwrap_or_default(),
        };
        Ok(settings)
    }
}

/// Every name that is read below.
const SETTINGS: [&str; 34] = [
    "access_token_algorithm",
    "access_token_lifetime",
    "allow_short_intervals",
    "audit_lifetime",
    "database",
    "feed_require_token",
    "grace_interval",
    "issuer",
    "jwks_max_age",
    "jwks_stale_while_revalidate",
    "key_confirmation_interval",
    "key_encryption_keys",
    "key_rotation_interval",
    "key_stage_interval",
    "listen",
    "log",
    "log_format",
    "metrics_from",
    "refresh_absolute_lifetime",
    "refresh_idle_lifetime",
    "refresh_token_algorithm",
    "rsa_key_bits",
    "shutdown_delay_interval",
    "simplejwt_audience",
    "simplejwt_rotates",
    "simplejwt_scope",
    "throttle_address_failures",
    "throttle_user_failures",
    "tls_certificate",
    "tls_key",
    "trusted_proxies",
    "verifier_cache_interval",
    "verifier_refresh_interval",
    "verifier_skew_interval",
];

/// What a service must not be called.
pub const AUDIENCE_IS_ISSUER: &str =
    "is the issuer, which is the audience of refresh tokens: a service of that name would accept them";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn key_files(given: &mut Given, folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let name = "key_encryption_keys";
    match given.list(name, |text| Ok(folder.join(text)))? {
        Some(files) if !files.is_empty() => Ok(files),
        _ => Err(given.missing(name, "a list of files; `attesto init` makes the first")),
    }
}

/// Both or none; nothing between the quotes is none.
fn tls(given: &mut Given, folder: &Path) -> Result<Option<TlsFiles>, ConfigError> {
    let mut file = |name| {
        let file = given.optional(name, |text| Ok((!text.is_empty()).then(|| folder.join(text))));
        Ok::<_, ConfigError>(file?.flatten())
    };
    match (file("tls_certificate")?, file("tls_key")?) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(given.missing("tls_key", "the private key of tls_certificate, as a PEM file")),
        (None, Some(_)) => Err(given.missing("tls_certificate", "the certificate of tls_key, as a PEM file")),
    }
}

fn simplejwt(given: &mut Given) -> Result<SimpleJwt, ConfigError> {
    Ok(SimpleJwt {
        audience: given.required(
            "simplejwt_audience",
            "the `aud` of access tokens, as the services that check them name themselves",
            |text| parse_audience(text).map_err(|wrong| wrong.to_string()),
        )?,
        scope: given.optional("simplejwt_scope", parsed)?.unwrap_or_default(),
        rotates: given.optional("simplejwt_rotates", truth)?.unwrap_or(true),
    })
}

fn policy(given: &mut Given) -> Result<Policy, ConfigError> {
    let default = Policy::default();
    let seconds = Duration::from_secs;
    let policy = Policy {
        access_lifetime: given
            .optional("access_token_lifetime", between(seconds(1), Policy::MAX_ACCESS_LIFETIME))?
            .unwrap_or(default.access_lifetime),
        idle_lifetime: given
            .optional("refresh_idle_lifetime", between(seconds(1), 400 * DAY))?
            .unwrap_or(default.idle_lifetime),
        absolute_lifetime: given
            .optional("refresh_absolute_lifetime", between(seconds(1), 400 * DAY))?
            .unwrap_or(default.absolute_lifetime),
        grace_interval: given
            .optional("grace_interval", between(Duration::ZERO, Policy::MAX_GRACE_INTERVAL))?
            .unwrap_or(default.grace_interval),
        access_token_algorithm: given.optional("access_token_algorithm", parsed)?.unwrap_or_default(),
        refresh_token_algorithm: given.optional("refresh_token_algorithm", parsed)?.unwrap_or_default(),
    };
    if policy.idle_lifetime > policy.absolute_lifetime {
        return Err(given.wrong("refresh_idle_lifetime", "is longer than refresh_absolute_lifetime"));
    }
    Ok(policy)
}

/// The lower bounds of the intervals by which keys move. They keep a slip of the keyboard from refusing good tokens;
/// `allow_short_intervals` lifts them for whoever wants to watch a rotation, and the guards hold all the same.
#[derive(Clone, Copy)]
struct Shortest {
    are_lifted: bool,
}

impl Shortest {
    fn read(given: &mut Given) -> Result<Self, ConfigError> {
        let are_lifted = given.optional("allow_short_intervals", truth)?.unwrap_or(false);
        Ok(Self { are_lifted })
    }

    fn or_zero(self, least: Duration) -> Duration {
        if self.are_lifted { Duration::ZERO } else { least }
    }

    fn or_second(self, least: Duration) -> Duration {
        if self.are_lifted { Duration::from_secs(1) } else { least }
    }
}

fn keys(given: &mut Given, shortest: Shortest) -> Result<KeyPolicy, ConfigError> {
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let default = KeyPolicy::default();
    let mut interval = |name, least, most, or| {
        Ok::<_, ConfigError>(given.optional(name, between(least, most))?.unwrap_or(or))
    };
    Ok(KeyPolicy {
        rotation_interval: interval(
            "key_rotation_interval",
            shortest.or_second(DAY),
            365 * DAY,
            default.rotation_interval,
        )?,
        stage_interval: interval(
            "key_stage_interval",
            shortest.or_zero(15 * MINUTE),
            365 * DAY,
            default.stage_interval,
        )?,
        verifier_refresh_interval: interval(
            "verifier_refresh_interval",
            shortest.or_zero(10 * MINUTE),
            DAY,
            default.verifier_refresh_interval,
        )?,
        verifier_cache_interval: interval(
            "verifier_cache_interval",
            shortest.or_zero(5 * MINUTE),
            DAY,
            default.verifier_cache_interval,
        )?,
        skew_interval: interval(
            "verifier_skew_interval",
            shortest.or_zero(MINUTE),
            HOUR,
            default.skew_interval,
        )?,
        confirmation_interval: interval(
            "key_confirmation_interval",
            shortest.or_second(Duration::from_secs(10)),
            MINUTE,
            default.confirmation_interval,
        )?,
    })
}

fn jwks(given: &mut Given, shortest: Shortest) -> Result<JwksCaching, ConfigError> {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let default = Duration::from_secs(300);
    Ok(JwksCaching {
        max_age: given
            .optional("jwks_max_age", between(shortest.or_second(Duration::from_secs(60)), HOUR))?
            .unwrap_or(default),
        stale_while_revalidate: given
            .optional("jwks_stale_while_revalidate", between(Duration::ZERO, HOUR))?
            .unwrap_or(default),
    })
}

fn throttle(given: &mut Given) -> Result<ThrottleLimits, ConfigError> {
    let default = ThrottleLimits::default();
    let positive = |text: &str| match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("is a whole number above 0".to_owned()),
    };
    Ok(ThrottleLimits {
        user_failures: given.optional("throttle_user_failures", positive)?.unwrap_or(default.user_failures),
        address_failures: given
            .optional("throttle_address_failures", positive)?
            .unwrap_or(default.address_failures),
    })
}

/// Names and texts, and where each was found.
struct Given {
    file: Option<PathBuf>,
    settings: BTreeMap<String, Setting>,
    /// Names that were read, for messages after their text is gone.
    places: BTreeMap<String, String>,
}

struct Setting {
    place: String,
    value: Value,
}

impl Given {
    fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut settings = BTreeMap::new();
        if let Some(path) = file {
            for (name, value) in parse_file(path)? {
                settings
                    .insert(name.clone(), Setting { place: format!("{}: {name}", path.display()), value });
            }
        }
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix("ATTESTO_") else { continue };
            let name = name.to_ascii_lowercase();
            if !is_no_setting(&name) {
                settings.insert(name, Setting { place: variable, value: Value::String(text) });
            }
        }
        let places = settings.iter().map(|(name, setting)| (name.clone(), setting.place.clone())).collect();
        Ok(Self { file: file.map(Path::to_owned), settings, places })
    }

    fn required<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        self.optional(name, parse)?.ok_or_else(|| self.missing(name, what))
    }

    fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(Setting { place, value }) = self.settings.remove(name) else { return Ok(None) };
        let text = match value {
            Value::String(text) => Ok(text),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Boolean(truth) => Ok(truth.to_string()),
            _ => Err("is neither text nor a number".to_owned()),
        };
        text.and_then(|text| parse(&text)).map(Some).map_err(|problem| ConfigError { place, problem })
    }

    fn list<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(Setting { place, value }) = self.settings.remove(name) else { return Ok(None) };
        let texts: Result<Vec<String>, String> = match value {
            Value::Array(items) => items
                .into_iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or("is a list of texts".to_owned()))
                .collect(),
            Value::String(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
            _ => Err("is a list of texts".to_owned()),
        };
        texts
            .and_then(|texts| texts.iter().map(|text| parse(text)).collect())
            .map(Some)
            .map_err(|problem| ConfigError { place, problem })
    }

    /// Before anything else: a setting that is missing may just be misspelled.
    fn only_settings(&self) -> Result<(), ConfigError> {
        match self.settings.iter().find(|(name, _)| !SETTINGS.contains(&name.as_str())) {
            None => Ok(()),
            Some((_, Setting { place, .. })) => Err(ConfigError {
                place: place.clone(),
                problem: "is not a setting; docs/configuration.md lists them".to_owned(),
            }),
        }
    }

    fn missing(&self, name: &str, what: &str) -> ConfigError {
        let variable = format!("ATTESTO_{}", name.to_ascii_uppercase());
        let place = self.file.as_ref().map_or(variable.clone(), |file| format!("{}: {name}", file.display()));
        let or = if self.file.is_some() { format!(" (or {variable})") } else { String::new() };
        ConfigError { place, problem: format!("is missing{or}: {what}") }
    }

    fn wrong(&self, name: &str, problem: &str) -> ConfigError {
        let place = self.places.get(name).cloned().unwrap_or_else(|| name.to_owned());
        ConfigError { place, problem: problem.to_owned() }
    }
}

/// Variables that others give our prefix: the test command, and Kubernetes for a service that is called attesto.
fn is_no_setting(name: &str) -> bool {
    name == "vectors" || name == "port" || name.starts_with("port_") || name.starts_with("service_")
}

fn parse_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError {
        place: place.clone(),
        problem: format!("cannot be read ({cause}); name an existing file with --config"),
    })?;
    text.parse().map_err(|cause: toml::de::Error| {
        let line = cause.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        ConfigError { place: format!("{place}: line {line}"), problem: cause.message().to_owned() }
    })
}

/// RFC 8414 §2: https, no query, no fragment. Plain http is for the machine that it runs on. Tokens carry the text byte
/// for byte, so it has to be spelled as URLs are.
fn issuer(text: &str) -> Result<String, String> {
    const MAX_BYTES: usize = 256;
    let url = Url::parse(text).map_err(|_| "is a URL such as https://auth.example.com")?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err("begins with https:// (http:// only on loopback)".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() || text.ends_with('/') {
        return Err("has no query, no fragment and no slash at the end".to_owned());
    }
    if text.len() > MAX_BYTES || !url.username().is_empty() || url.password().is_some() {
        return Err("has no user and at most 256 bytes".to_owned());
    }
    let spelled = url.as_str().trim_end_matches('/');
    (spelled == text).then(|| text.to_owned()).ok_or(format!("is spelled {spelled}"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "is an address and a port such as \"127.0.0.1:8080\", not a name".to_owned())
}

fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "is true or false".to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"))
}

/// This machine.
fn loopback() -> Vec<IpNet> {
    vec![
        Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
    ]
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "is a duration such as \"30s\", \"10m\" or \"7d\"".to_owned())
}

fn between(least: Duration, most: Duration) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |text| {
        let value = duration(text)?;
        let (low, high) = (humantime::format_duration(least), humantime::format_duration(most));
        (least..=most).contains(&value).then_some(value).ok_or(format!("lies between {low} and {high}"))
    }
}

fn parsed<T: std::str::FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|wrong: T::Err| wrong.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        issuer = "https://auth.example.com"
        database = "sqlite:attesto.db"
        key_encryption_keys = ["kek"]
        simplejwt_audience = "orders"
    "#;

    fn read(toml: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("attesto.toml");
        std::fs::write(&file, toml).unwrap();
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let shown = format!("{}/", folder.path().display());
        Settings::read(Some(&file), variables).map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn four_settings_are_enough_and_the_rest_has_defaults() {
        let settings = read(GOOD, &[]).unwrap();
        assert_eq!(settings.policy, Policy::default());
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        let file = settings.database.file().unwrap();
        assert!(file.ends_with("attesto.db") && file.is_absolute());
        assert!(settings.key_encryption_keys[0].is_absolute());
        assert!(settings.simplejwt.rotates);
        let shown: Vec<_> = settings.metrics_from.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.0/8", "::1/128"]);
    }

    #[test]
    fn variables_override_the_file() {
        let variables = [
            ("ATTESTO_GRACE_INTERVAL", "45s"),
            ("ATTESTO_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("ATTESTO_METRICS_FROM", ""),
            ("PATH", "/bin"),
        ];
        let settings = read(&format!("{GOOD}\ngrace_interval = \"1s\""), &variables).unwrap();
        assert_eq!(settings.policy.grace_interval, Duration::from_secs(45));
        assert_eq!(settings.trusted_proxies.len(), 2);
        assert!(settings.metrics_from.is_empty(), "nobody");
    }

    #[test]
    fn every_name_that_passes_is_read() {
        for name in SETTINGS {
            let without = GOOD.lines().filter(|line| !line.contains(name)).collect::<Vec<_>>().join("\n");
            let error = read(&format!("{without}\n{name} = 1.5"), &[]).unwrap_err();
            assert!(error.starts_with(&format!("attesto.toml: {name}: is ")), "{error}");
        }
    }

    #[test]
    fn the_documented_file_names_every_setting_with_its_default() {
        let documented = include_str!("../../../deploy/attesto.toml");
        let lines = documented.lines().filter_map(|line| line.strip_prefix('#'));
        let lines: Vec<_> =
            lines.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())).collect();
        let mut names: Vec<_> = lines.iter().map(|line| line.split_once(" = ").unwrap().0).collect();
        names.sort_unstable();
        assert_eq!(names, SETTINGS);

        let folder = tempfile::tempdir().unwrap();
        let settings_of = |text: &str| {
            let file = folder.path().join("attesto.toml");
            std::fs::write(&file, text).unwrap();
            Settings::read(Some(&file), []).map(|settings| format!("{settings:#?}")).unwrap()
        };
        assert_eq!(settings_of(&lines.join("\n")), settings_of(GOOD));
    }

    #[test]
    fn variables_alone_are_enough() {
        let variables = [
            ("ATTESTO_ISSUER", "http://127.0.0.1:9"),
            ("ATTESTO_DATABASE", "sqlite:a.db"),
            ("ATTESTO_KEY_ENCRYPTION_KEYS", "a,b"),
            ("ATTESTO_SIMPLEJWT_AUDIENCE", "orders"),
            ("ATTESTO_VECTORS", "elsewhere"),
            ("ATTESTO_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("ATTESTO_SERVICE_HOST", "10.0.0.1"),
        ];
        let settings = Settings::read(None, variables.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap();
        assert_eq!(settings.key_encryption_keys, [PathBuf::from("a"), PathBuf::from("b")]);
    }

    #[test]
    fn what_is_wrong_is_named_in_one_line() {
        let with = |line: &str| format!("{GOOD}\n{line}");
        let without = |name: &str| {
            GOOD.lines().filter(|line| !line.trim().starts_with(name)).collect::<Vec<_>>().join("\n")
        };
        let table = [
            (without("issuer"), "attesto.toml: issuer: is missing (or ATTESTO_ISSUER): the URL"),
            (without("database"), "attesto.toml: database: is missing"),
            (without("key_enc"), "attesto.toml: key_encryption_keys: is missing"),
            (without("simplejwt"), "attesto.toml: simplejwt_audience: is missing"),
            (with("log = \"loud,,=\""), "attesto.toml: log: is a level"),
            (with("isuer = 1"), "attesto.toml: isuer: is not a setting"),
            (GOOD.replace("issuer", "isuer"), "attesto.toml: isuer: is not a setting"),
            (with("simplejwt_rotates = \"no\""), "attesto.toml: simplejwt_rotates: is true or false"),
            (with("grace_interval = \"3m\""), "attesto.toml: grace_interval: lies between 0s and 2m"),
            (with("grace_interval = 30"), "attesto.toml: grace_interval: is a duration"),
            (with("listen = \"here\""), "attesto.toml: listen: is an address and a port"),
            (with("trusted_proxies = [\"lan\"]"), "attesto.toml: trusted_proxies: \"lan\" is neither"),
            (
                with("metrics_from = [\"10.0.0.0/40\"]"),
                "attesto.toml: metrics_from: \"10.0.0.0/40\" is neither",
            ),
            (
                with("tls_key = \"k\""),
                "attesto.toml: tls_certificate: is missing (or ATTESTO_TLS_CERTIFICATE): the",
            ),
            (with("tls_certificate = \"c\"\ntls_key = \"\""), "attesto.toml: tls_key: is missing"),
            (with("throttle_user_failures = 0"), "attesto.toml: throttle_user_failures: is a whole number"),
            (with("refresh_idle_lifetime = \"31d\""), "attesto.toml: refresh_idle_lifetime: is longer than"),
            (with("= 1"), "attesto.toml: line 7: "),
            (GOOD.replace("https://auth", "http://auth"), "attesto.toml: issuer: begins with https://"),
            (GOOD.replace("example.com", "example.com/"), "attesto.toml: issuer: has no query"),
            (
                GOOD.replace("https://auth.example.com", "http://127.0.0.1.evil.com"),
                "attesto.toml: issuer: begins with",
            ),
            (GOOD.replace("https://auth", "https://me@auth"), "attesto.toml: issuer: has no user"),
            (
                GOOD.replace("https://auth", "https://AUTH"),
                "attesto.toml: issuer: is spelled https://auth.example.com",
            ),
            (GOOD.replace("https://auth.example.com", "https://a:b:c"), "attesto.toml: issuer: is a URL"),
            (
                GOOD.replace("orders", "https://auth.example.com"),
                "attesto.toml: simplejwt_audience: is the issuer",
            ),
            (with("shutdown_delay_interval = \"1h\""), "attesto.toml: shutdown_delay_interval: lies between"),
            (
                GOOD.replace("sqlite:", "postgres:"),
                "attesto.toml: database: PostgreSQL is given as postgres://",
            ),
        ];
        for (toml, expected) in table {
            let error = read(&toml, &[]).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
        }
        let error = read(GOOD, &[("ATTESTO_LISTEM", "x")]).unwrap_err();
        assert_eq!(error, "ATTESTO_LISTEM: is not a setting; docs/configuration.md lists them");
    }
}
