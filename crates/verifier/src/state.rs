//! What is known, kept in a file: a restart while the issuer is down then begins with keys and with revocations.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use attesto_token::feed::{EpochRecords, MAX_FEED_BYTES, Position, RevocationList, RevocationRecord, Salt};
use attesto_token::{base64url_decode, base64url_encode};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// Between two writes there is this pause, and twenty times what the last one took.
const PAUSE: Duration = Duration::from_secs(1);
const SHARE: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// That nothing has changed is written this often: who is killed has not much older keys after the restart.
const CONFIRMED: Duration = Duration::from_secs(60 * 60);

/// What a state file holds, and who waits for it to change.
pub(crate) struct Kept {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    issuer: String,
    keys: Option<KeptKeys>,
    feed_keys: Option<String>,
    revocations: Option<(RevocationList, i64)>,
    /// To be written soon.
    changed: bool,
    /// To be written with the next change, in an hour, or in the end.
    confirmed: bool,
    stopped: bool,
}

/// The file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Saved {
    version: u32,
    issuer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<KeptKeys>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) feed: Option<SavedFeed>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeptKeys {
    /// The JWK Set as it came.
    pub(crate) jwks: String,
    /// In seconds since 1970.
    pub(crate) confirmed_at: i64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SavedFeed {
    pub(crate) jwks: String,
    pub(crate) confirmed_at: i64,
    epochs: Vec<SavedEpoch>,
}

#[derive(Serialize, Deserialize)]
struct SavedEpoch {
    epoch: u64,
    seq: u64,
    salt: String,
    records: String,
}

impl Kept {
    /// Begins with what was kept before, so that none of it is lost when only a part of it changes.
    pub(crate) fn new(issuer: &str, before: Option<Saved>, list: &RevocationList) -> Self {
        let mut content = Content { issuer: issuer.to_owned(), ..Content::default() };
        if let Some(Saved { keys, feed, .. }) = before {
            content.keys = keys;
            let readable = feed.filter(|_| list.position().is_some());
            content.revocations = readable.as_ref().map(|feed| (list.clone(), feed.confirmed_at));
            content.feed_keys = readable.map(|feed| feed.jwks);
        }
        Self { content: Mutex::new(content), changed: Condvar::new() }
    }

    pub(crate) fn keys(&self, jwks: &[u8], confirmed_at: i64) {
        let jwks = String::from_utf8_lossy(jwks).into_owned();
        self.change(|content| content.keys = Some(KeptKeys { jwks, confirmed_at }));
    }

    pub(crate) fn keys_confirmed(&self, at: i64) {
        let mut content = self.content();
        if let Some(keys) = &mut content.keys {
            keys.confirmed_at = at;
            content.confirmed = true;
        }
    }

    pub(crate) fn feed_keys(&self, jwks: &[u8]) {
        let jwks = String::from_utf8_lossy(jwks).into_owned();
        self.change(|content| content.feed_keys = Some(jwks));
    }

    pub(crate) fn revocations(&self, list: &RevocationList, confirmed_at: i64) {
        let list = list.clone();
        self.change(|content| content.revocations = Some((list, confirmed_at)));
    }

    pub(crate) fn revocations_confirmed(&self, at: i64) {
        let mut content = self.content();
        if let Some((_, confirmed_at)) = &mut content.revocations {
            *confirmed_at = at;
            content.confirmed = true;
        }
    }

    pub(crate) fn stop(&self) {
        self.content().stopped = true;
        self.changed.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut Content)) {
        let mut content = self.content();
        change(&mut content);
        content.changed = true;
        drop(content);
        self.changed.notify_all();
    }

    /// The next thing to write; `None` when there will be nothing more.
    fn next(&self, pause: Duration, confirmed: Duration) -> Option<Saved> {
        let began = Instant::now();
        let mut content = self.content();
        loop {
            let passed = began.elapsed();
            if content.changed && (content.stopped || passed >= pause)
                || content.confirmed && (content.stopped || passed >= confirmed)
            {
                (content.changed, content.confirmed) = (false, false);
                return Some(content.to_saved());
            }
            if content.stopped {
                return None;
            }
            let wait = if content.changed { pause.saturating_sub(passed) } else { confirmed };
            content = self.changed.wait_timeout(content, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what is known to `path` whenever it changes, in a thread that ends with [`Kept::stop`].
pub(crate) fn keep_writing(
    kept: Arc<Kept>,
    path: PathBuf,
    failed: impl Fn(&str) + Send + 'static,
) -> io::Result<()> {
    let run = move || {
        let mut pause = Duration::ZERO;
        while let Some(saved) = kept.next(pause, CONFIRMED) {
            let began = Instant::now();
            if let Err(error) = write(&path, &saved) {
                failed(&format!("{}: {error}", path.display()));
            }
            pause = (PAUSE + SHARE * began.elapsed()).min(LONGEST_PAUSE);
        }
    };
    thread::Builder::new().name("attesto-state".to_owned()).spawn(run).map(drop)
}

/// Reads what was kept. `Ok(None)` if there is no file yet.
pub(crate) fn read(path: &Path, issuer: &str) -> Result<Option<Saved>, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        // To open a pipe would be to wait.
        Ok(metadata) if !metadata.is_file() => return Err(failed(io::Error::other("it is no file"))),
        Ok(_) => {}
    }
    let mut file = File::open(path).map_err(failed)?;
    refuse_what_others_made(path, &file).map_err(failed)?;
    let mut text = String::new();
    let limit = u64::try_from(2 * MAX_FEED_BYTES).unwrap_or(u64::MAX);
    (&mut file).take(limit).read_to_string(&mut text).map_err(failed)?;
    let saved: Saved = serde_json::from_str(&text)
        .map_err(|_| format!("{}: it is no state file of a verifier, or was cut", path.display()))?;
    if saved.version != VERSION || saved.issuer != issuer {
        return Err(format!("{}: it is of another issuer, or of another version", path.display()));
    }
    Ok(Some(saved))
}

/// Its keys are believed: who could write it, or put another in its place, could sign tokens.
#[cfg(unix)]
fn refuse_what_others_made(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    const ROOT: u32 = 0;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (file, folder) = (file.metadata()?, fs::metadata(folder)?);
    let others_write = |metadata: &fs::Metadata| metadata.mode() & 0o022 != 0;
    if others_write(&file) {
        return Err(io::Error::other("others may write to it: chmod 600"));
    }
    if others_write(&folder) {
        return Err(io::Error::other("others may write to its folder: use one of the service alone"));
    }
    let owners = [file.uid(), folder.uid()];
    if owners == [ROOT, ROOT] {
        return Ok(());
    }
    let ours = our_user(path)?;
    match owners.map(|owner| owner == ROOT || owner == ours) {
        [true, true] => Ok(()),
        [false, _] => Err(io::Error::other("it belongs to another user: chown it to that of the service")),
        [true, false] => {
            Err(io::Error::other("its folder belongs to another user: use one of the service alone"))
        }
    }
}

/// Whose the files are that this process makes. Where it may make none, the kernel says whose the process is.
#[cfg(unix)]
fn our_user(path: &Path) -> io::Result<u32> {
    let new = new_file(path);
    let made = create(&new).and_then(|file| file.metadata());
    let _ = fs::remove_file(&new);
    let owned = made.or_else(|error| fs::metadata("/proc/self").map_err(|_| error))?;
    Ok(std::os::unix::fs::MetadataExt::uid(&owned))
}

#[cfg(not(unix))]
fn refuse_what_others_made(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// A crash leaves the file as it was before, or as it is after.
fn write(path: &Path, saved: &Saved) -> io::Result<()> {
    let new = new_file(path);
    let written = write_new(&new, saved).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, saved: &Saved) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(&serde_json::to_vec(saved)?)?;
    file.sync_all()
}

/// Where something is written before it takes its place: under a name that nobody else has, since the verifier before
/// this one may be writing its last, and every container has a process 1.
fn new_file(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", RandomState::new().hash_one(())));
    path.with_file_name(name)
}

fn create(path: &Path) -> io::Result<File> {
    // What somebody has put there is not written into.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl Content {
    fn to_saved(&self) -> Saved {
        let feed = self.revocations.as_ref().zip(self.feed_keys.as_ref());
        let feed = feed.map(|((list, confirmed_at), jwks)| SavedFeed {
            jwks: jwks.clone(),
            confirmed_at: *confirmed_at,
            epochs: list.to_epochs().iter().map(SavedEpoch::of).collect(),
        });
        Saved { version: VERSION, issuer: self.issuer.clone(), keys: self.keys.clone(), feed }
    }
}

impl SavedFeed {
    /// The list that was kept; `None` if it cannot be read.
    pub(crate) fn list(&self) -> Option<RevocationList> {
        let epochs: Option<Vec<_>> = self.epochs.iter().map(SavedEpoch::read).collect();
        Some(RevocationList::restore(epochs?)).filter(|list| list.position().is_some())
    }
}

impl SavedEpoch {
    fn of(epoch: &EpochRecords) -> Self {
        let records: Vec<u8> = epoch.records.iter().flat_map(RevocationRecord::to_bytes).collect();
        Self {
            epoch: epoch.position.epoch,
            seq: epoch.position.seq,
            salt: base64url_encode(epoch.salt.as_bytes()),
            records: base64url_encode(records),
        }
    }

    fn read(&self) -> Option<EpochRecords> {
        Some(EpochRecords {
            position: Position { epoch: self.epoch, seq: self.seq },
            salt: Salt::new(base64url_decode(&self.salt)?.try_into().ok()?)?,
            records: RevocationRecord::read_all(&base64url_decode(&self.records)?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn kept() -> Arc<Kept> {
        let kept = Kept::new("https://auth.example", None, &RevocationList::default());
        kept.keys(b"{}", 1);
        Arc::new(kept)
    }

    /// What is to be written, which has to be said some time.
    fn next(kept: &Arc<Kept>, pause: Duration, confirmed: Duration) -> Option<Saved> {
        let (kept, (said, saved)) = (Arc::clone(kept), mpsc::channel());
        thread::spawn(move || said.send(kept.next(pause, confirmed)));
        saved.recv_timeout(Duration::from_secs(60)).expect("nothing is written")
    }

    fn confirmed_at(saved: &Saved) -> i64 {
        saved.keys.as_ref().unwrap().confirmed_at
    }

    #[test]
    fn what_was_confirmed_is_written_after_a_while() {
        let (kept, long) = (kept(), Duration::from_secs(3_600));
        assert_eq!(confirmed_at(&next(&kept, Duration::ZERO, long).unwrap()), 1);
        kept.keys_confirmed(2);
        let soon = Duration::from_millis(1);
        assert_eq!(confirmed_at(&next(&kept, long, soon).unwrap()), 2, "though nothing has changed");
        kept.keys_confirmed(3);
        kept.stop();
        assert_eq!(confirmed_at(&next(&kept, long, long).unwrap()), 3, "and in the end");
        assert!(next(&kept, Duration::ZERO, Duration::ZERO).is_none());
    }

    #[test]
    fn revocations_that_could_not_be_read_are_not_written_as_none() {
        let feed = SavedFeed { jwks: "{}".to_owned(), confirmed_at: 1, epochs: Vec::new() };
        let before = Saved { version: VERSION, issuer: String::new(), keys: None, feed: Some(feed) };
        let kept = Arc::new(Kept::new("https://auth.example", Some(before), &RevocationList::default()));
        kept.keys(b"{}", 1);
        assert!(next(&kept, Duration::ZERO, Duration::ZERO).unwrap().feed.is_none());
    }
}
