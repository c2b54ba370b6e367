use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the database is: `sqlite:PATH` or `postgres://…`. The scheme alone decides the backend, never the rest of the
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(SqliteUrl),
    /// A server, or several of which one takes writes.
    Postgres(PostgresUrl),
}

/// A file of SQLite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteUrl {
    path: PathBuf,
}

/// A connection URI as libpq reads it (PostgreSQL manual, "Connection URIs"), but for one parameter: `pooler=yes`.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    uri: String,
    has_pooler: bool,
}

/// The URL names no database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedUrl {
    /// Neither of the schemes that are known.
    #[error("a database is given as sqlite:PATH or postgres://USER@HOST/DATABASE")]
    Scheme,
    /// `sqlite:` and nothing behind it, or a database in memory.
    #[error("sqlite: needs the path of a file")]
    NoPath,
    /// A password with characters that end it, or a parameter that is spelled to look like another: it could not be kept
    /// out of what is shown.
    #[error(
        "in the password of a postgres: URL, `/`, `?`, `@` and `#` are written as %2F, %3F, %40 and %23; names of parameters are written as they are"
    )]
    Spelling,
    /// A pooler that is neither there nor not.
    #[error("in a postgres: URL, `pooler` is `yes`, or is left out")]
    Pooler,
    /// `postgres:` without the slashes, or without a database.
    #[error("PostgreSQL is given as postgres://USER@HOST/DATABASE")]
    NoDatabase,
}

/// Not libpq's: whether a pooler stands before the database, if that is not to be found out.
const POOLER: &str = "pooler";

impl DatabaseUrl {
    /// Reads `sqlite:PATH`, `sqlite://PATH`, `sqlite:///ABSOLUTE`, or `postgres://USER@HOST:PORT/DATABASE?…`, for which
    /// `postgresql:` is another name. A relative path is taken below `folder`.
    pub fn parse(url: &str, folder: &Path) -> Result<Self, UnsupportedUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(UnsupportedUrl::Scheme)?;
        match scheme {
            "sqlite" => SqliteUrl::parse(rest.strip_prefix("//").unwrap_or(rest), folder).map(Self::Sqlite),
            "postgres" | "postgresql" => PostgresUrl::parse(url, rest).map(Self::Postgres),
            _ => Err(UnsupportedUrl::Scheme),
        }
    }

    /// The database file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(url) => Some(url.path()),
            Self::Postgres(_) => None,
        }
    }
}

impl SqliteUrl {
    fn parse(path: &str, folder: &Path) -> Result<Self, UnsupportedUrl> {
        // SQLite itself gives `:memory:`, `file:` and a question mark other meanings.
        if path.is_empty() || path.starts_with(':') || path.starts_with("file:") || path.contains('?') {
            return Err(UnsupportedUrl::NoPath);
        }
        Ok(Self { path: folder.join(path) })
    }

    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another file beside it, whose name goes on like this.
    pub(crate) fn beside(&self, end: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(end);
        path.into()
    }
}

impl PostgresUrl {
    fn parse(url: &str, rest: &str) -> Result<Self, UnsupportedUrl> {
        let place = rest.strip_prefix("//").ok_or(UnsupportedUrl::NoDatabase)?;
        let place = place.split('?').next().unwrap_or_default();
        let authority = place.split('/').next().unwrap_or_default();
        let behind = &rest[2 + authority.len()..];
        let mut names = behind.split(['?', '&']).skip(1).map(|it| it.split('=').next().unwrap_or_default());
        if behind.contains('@') || names.any(|name| name.contains('%')) {
            return Err(UnsupportedUrl::Spelling);
        }
        // Without a name libpq takes that of the user, which nobody means.
        let has_database = place.rsplit_once('/').is_some_and(|(_, database)| !database.is_empty());
        if !has_database || url.contains('\0') {
            return Err(UnsupportedUrl::NoDatabase);
        }
        let mut read = Self { uri: url.to_owned(), has_pooler: false };
        if let Some(said) = read.parameter(POOLER) {
            if said != "yes" {
                return Err(UnsupportedUrl::Pooler);
            }
            read = Self { uri: without_parameter(url, POOLER), has_pooler: true };
        }
        Ok(read)
    }

    /// As libpq reads it, with `defaults` for what it does not say itself.
    pub(crate) fn with_defaults(&self, defaults: &[(&str, &str)]) -> String {
        let missing = defaults.iter().filter(|(name, _)| self.parameter(name).is_none());
        missing.fold(self.uri.clone(), |uri, (name, value)| with_parameter(&uri, name, value))
    }

    /// With a setting for the process that serves the connection, unless the URL says it itself. `value` needs no escape.
    pub(crate) fn with_option(&self, (name, value): (&str, &str)) -> Self {
        let theirs = self.parameter("options");
        if theirs.is_some_and(|theirs| theirs.contains(name)) {
            return self.clone();
        }
        let theirs = theirs.map(|theirs| format!("{theirs}%20")).unwrap_or_default();
        let uri = with_parameter(&self.uri, "options", &format!("{theirs}-c%20{name}%3D{value}"));
        Self { uri, ..self.clone() }
    }

    /// Whether the operator says that a pooler stands before the database.
    pub(crate) fn has_pooler(&self) -> bool {
        self.has_pooler
    }

    /// Whether libpq may find such settings where an option of the URL would replace them.
    pub(crate) fn has_options_elsewhere(&self) -> bool {
        self.parameter("service").is_some()
            || ["PGOPTIONS", "PGSERVICE"].iter().any(|name| env::var_os(name).is_some())
    }

    /// A text that may repeat what stands in here, without what is secret.
    pub(crate) fn censor(&self, text: &str) -> String {
        self.secrets().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    /// Of the user, and whatever else libpq takes for a secret.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let place = self.uri.split('?').next().unwrap_or_default();
        let user = place.split_once("://").and_then(|(_, place)| place.rsplit_once('@'));
        let of_user = user.and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
        let others = ["password", "sslpassword"].into_iter().flat_map(|name| self.parameters(name));
        of_user.into_iter().chain(others).filter(|secret| !secret.is_empty())
    }

    /// Of one that is given twice, libpq takes the last.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters(name).last()
    }

    fn parameters(&self, name: &str) -> impl Iterator<Item = &str> {
        let (_, parameters) = self.uri.split_once('?').unwrap_or_default();
        parameters.split('&').filter_map(move |parameter| parameter.strip_prefix(name)?.strip_prefix('='))
    }
}

fn without_parameter(uri: &str, name: &str) -> String {
    let (place, parameters) = uri.split_once('?').unwrap_or((uri, ""));
    let others = parameters.split('&').filter(|parameter| parameter.split('=').next() != Some(name));
    others.fold(place.to_owned(), |uri, parameter| {
        let separator = if uri.contains('?') { '&' } else { '?' };
        format!("{uri}{separator}{parameter}")
    })
}

fn with_parameter(uri: &str, name: &str, value: &str) -> String {
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{name}={value}")
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => write!(f, "sqlite:{}", url.path.display()),
            Self::Postgres(url) => f.write_str(&url.censor(&url.uri)),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.censor(&self.uri))
    }
}

impl From<&SqliteUrl> for DatabaseUrl {
    fn from(url: &SqliteUrl) -> Self {
        Self::Sqlite(url.clone())
    }
}

impl From<&PostgresUrl> for DatabaseUrl {
    fn from(url: &PostgresUrl) -> Self {
        Self::Postgres(url.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<DatabaseUrl, UnsupportedUrl> {
        DatabaseUrl::parse(url, Path::new("/data"))
    }

    #[test]
    fn the_scheme_decides() {
        for url in ["sqlite:a.db", "sqlite://a.db"] {
            assert_eq!(parse(url).unwrap().file(), Some(Path::new("/data/a.db")));
        }
        assert_eq!(parse("sqlite:///var/a.db").unwrap().file(), Some(Path::new("/var/a.db")));
        for url in ["postgres://u:secret@h/d", "postgresql://h/d", "postgres:///d?host=/run/postgresql"] {
            assert!(matches!(parse(url), Ok(DatabaseUrl::Postgres(_))), "{url}");
        }
        for url in ["a.db", "host=127.0.0.1 port=1 dbname=x", "mysql://h/d", "", "SQLITE:a.db"] {
            assert_eq!(parse(url), Err(UnsupportedUrl::Scheme), "{url}");
        }
        for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:file:x", "sqlite:a.db?mode=ro"] {
            assert_eq!(parse(url), Err(UnsupportedUrl::NoPath), "{url}");
        }
        for url in ["postgres://u:p/a?ss@h/d", "postgres://u:pa/ss@h/d", "postgres://h/d?pass%77ord=x"] {
            assert_eq!(parse(url), Err(UnsupportedUrl::Spelling), "{url}");
        }
        for url in
            ["postgres:d", "postgres://h", "postgres://h/", "postgres://h/?dbname=/d", "postgres://h/d\0"]
        {
            assert_eq!(parse(url), Err(UnsupportedUrl::NoDatabase), "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for (url, shown) in [
            ("postgres://u:secret@h:5432/d", "postgres://u:***@h:5432/d"),
            ("postgres://u:se:cr@et@h,i/d?sslmode=require", "postgres://u:***@h,i/d?sslmode=require"),
            ("postgres://h/d?password=secret&user=u", "postgres://h/d?password=***&user=u"),
            ("postgres://h/d?sslpassword=secret", "postgres://h/d?sslpassword=***"),
            ("postgres://h/d?password=first&password=last", "postgres://h/d?password=***&password=***"),
            ("postgres://u@h/d", "postgres://u@h/d"),
        ] {
            assert_eq!(parse(url).unwrap().to_string(), shown);
            assert_eq!(format!("{:?}", parse(url).unwrap()), format!("Postgres({shown})"));
        }
    }

    #[test]
    fn what_is_said_is_no_default() {
        for (url, completed) in [
            ("postgres://h/d", "postgres://h/d?a=1&b=2"),
            ("postgres://h/d?b=7", "postgres://h/d?b=7&a=1"),
            ("postgres://h/d?ab=7", "postgres://h/d?ab=7&a=1&b=2"),
        ] {
            let Ok(DatabaseUrl::Postgres(url)) = parse(url) else { panic!("{url}") };
            assert_eq!(url.with_defaults(&[("a", "1"), ("b", "2")]), completed);
        }
    }

    #[test]
    fn a_pooler_is_said_to_attesto_and_not_to_libpq() {
        for (url, of_libpq) in [
            ("postgres://h/d?pooler=yes", "postgres://h/d"),
            ("postgres://h/d?a=1&pooler=yes&b=2", "postgres://h/d?a=1&b=2"),
        ] {
            let Ok(DatabaseUrl::Postgres(url)) = parse(url) else { panic!("{url}") };
            assert!(url.has_pooler());
            assert_eq!(url.uri, of_libpq);
        }
        let Ok(DatabaseUrl::Postgres(url)) = parse("postgres://h/pooler=yes?a=pooler") else { panic!() };
        assert!(!url.has_pooler());
        assert_eq!(parse("postgres://h/d?pooler=no"), Err(UnsupportedUrl::Pooler));
    }

    #[test]
    fn an_option_comes_behind_those_that_are_said() {
        for (url, with_another) in [
            ("postgres://h/d", "postgres://h/d?options=-c%20a%3D1"),
            (
                "postgres://h/d?options=-c%20b%3D1&options=-c%20b%3D2",
                "postgres://h/d?options=-c%20b%3D1&options=-c%20b%3D2&options=-c%20b%3D2%20-c%20a%3D1",
            ),
        ] {
            let Ok(DatabaseUrl::Postgres(url)) = parse(url) else { panic!("{url}") };
            assert_eq!(url.with_option(("a", "1")).uri, with_another);
            assert_eq!(url.with_option(("a", "1")).with_option(("a", "2")).uri, with_another);
            assert!(!url.has_options_elsewhere());
        }
        let Ok(DatabaseUrl::Postgres(url)) = parse("postgres:///d?service=attesto") else { panic!() };
        assert!(url.has_options_elsewhere());
    }
}
