use std::fmt;
use std::path::{Path, PathBuf};

/// Where the database is: `sqlite:PATH`. The scheme alone decides the backend, never the rest of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseUrl {
    path: PathBuf,
}

/// The URL names no database that this version can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedUrl {
    /// PostgreSQL is not part of this version.
    #[error("PostgreSQL is not supported by this version; use sqlite:PATH")]
    Postgres,
    /// Neither `sqlite:` nor anything else that is known.
    #[error("a database is given as sqlite:PATH")]
    Scheme,
    /// `sqlite:` and nothing behind it, or a database in memory.
    #[error("sqlite: needs the path of a file")]
    NoPath,
}

impl DatabaseUrl {
    /// Reads `sqlite:PATH`, `sqlite://PATH` or `sqlite:///ABSOLUTE`; a relative path is taken below `folder`.
    pub fn parse(url: &str, folder: &Path) -> Result<Self, UnsupportedUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(UnsupportedUrl::Scheme)?;
        match scheme {
            "sqlite" => Self::sqlite(rest.strip_prefix("//").unwrap_or(rest), folder),
            "postgres" | "postgresql" => Err(UnsupportedUrl::Postgres),
            _ => Err(UnsupportedUrl::Scheme),
        }
    }

    fn sqlite(path: &str, folder: &Path) -> Result<Self, UnsupportedUrl> {
        // SQLite itself gives `:memory:`, `file:` and a question mark other meanings.
        if path.is_empty() || path.starts_with(':') || path.starts_with("file:") || path.contains('?') {
            return Err(UnsupportedUrl::NoPath);
        }
        Ok(Self { path: folder.join(path) })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides() {
        let parse = |url: &str| DatabaseUrl::parse(url, Path::new("/data"));
        for url in ["sqlite:a.db", "sqlite://a.db"] {
            assert_eq!(parse(url).unwrap().path(), Path::new("/data/a.db"));
        }
        assert_eq!(parse("sqlite:///var/a.db").unwrap().path(), Path::new("/var/a.db"));
        assert_eq!(parse("postgres://u:secret@h/d"), Err(UnsupportedUrl::Postgres));
        assert_eq!(parse("postgresql://h/d"), Err(UnsupportedUrl::Postgres));
        for url in ["a.db", "host=127.0.0.1 port=1 dbname=x", "mysql://h/d", "", "SQLITE:a.db"] {
            assert_eq!(parse(url), Err(UnsupportedUrl::Scheme), "{url}");
        }
        for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:file:x", "sqlite:a.db?mode=ro"] {
            assert_eq!(parse(url), Err(UnsupportedUrl::NoPath), "{url}");
        }
    }
}
