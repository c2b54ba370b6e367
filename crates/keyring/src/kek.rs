use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use attesto_core::KekId;
use attesto_token::{base64url_decode, base64url_encode};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::{digest, hkdf, hmac};
use zeroize::Zeroizing;

use crate::error::KekError;
use crate::exposure::{Exposure, exposure};
use crate::random::random;
use crate::subkey::{pseudorandom_key, subkey};

const LEN: usize = 32;

/// What the one line of the file begins with, for people and for scanners that look for lost secrets.
const PREFIX: &[u8] = b"attesto-kek-v1:";

/// Longer than any file that [`KeyEncryptionKey::create`] writes.
const MAX_FILE_BYTES: usize = 128;

/// The key that seals private keys: 256 bits that never stand in the database. It has no `Debug`.
///
/// ```compile_fail,E0277
/// println!("{:?}", attesto_keyring::KeyEncryptionKey::generate());
/// ```
pub struct KeyEncryptionKey(Zeroizing<[u8; LEN]>);

impl KeyEncryptionKey {
    /// Draws a new one.
    pub fn generate() -> Self {
        Self(Zeroizing::new(random()))
    }

    /// Reads one from its file, which nobody else may have access to ([`exposure`]).
    pub fn read(path: &Path) -> Result<Self, KekError> {
        let unreadable = |reason: io::Error| match reason.kind() {
            io::ErrorKind::NotFound => KekError::Absent { path: path.to_owned() },
            _ => KekError::Unreadable { path: path.to_owned(), reason },
        };
        let file = File::open(path).map_err(unreadable)?;
        // Asked of the open file, so that nothing can be put in its place in between.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(KekError::NotAFile { path: path.to_owned() });
        }
        if let Some(Exposure { mode, remedy }) = exposure(&metadata) {
            return Err(KekError::Exposed { path: path.to_owned(), mode, remedy });
        }
        let mut content = Zeroizing::new(Vec::with_capacity(2 * MAX_FILE_BYTES));
        file.take(MAX_FILE_BYTES as u64).read_to_end(&mut content).map_err(unreadable)?;
        Self::parse(&content).ok_or_else(|| KekError::Malformed { path: path.to_owned() })
    }

    /// Draws a new one and writes it to a new file, for its owner only. It is on the disk when this returns.
    pub fn create(path: &Path) -> Result<Self, KekError> {
        let kek = Self::generate();
        let unwritable = |reason: io::Error| match reason.kind() {
            io::ErrorKind::AlreadyExists => KekError::Exists { path: path.to_owned() },
            _ => KekError::Unwritable { path: path.to_owned(), reason },
        };
        let file = private_file().open(path).map_err(unwritable)?;
        if let Err(reason) = kek.write(file).and_then(|()| sync_folder_of(path)) {
            // Half a key would stand in the way of the next attempt. If it cannot be removed, that one says so.
            let _ = fs::remove_file(path);
            return Err(unwritable(reason));
        }
        Ok(kek)
    }

    /// Its name: the digest of something that is derived from it, and says nothing about it.
    pub fn id(&self) -> KekId {
        let mut output = Zeroizing::new([0; LEN]);
        pseudorandom_key(self.0.as_slice())
            .expand(&[b"kek-id"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(output.as_mut_slice()))
            .expect("32 bytes are within HKDF's limit");
        let digest = digest::digest(&digest::SHA256, output.as_slice());
        let first = digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
        KekId(format!("{:016x}", u64::from_be_bytes(*first)))
    }

    /// Wraps the data keys of sealed private keys.
    pub(crate) fn wrapping_key(&self) -> LessSafeKey {
        LessSafeKey::new(subkey::<_, UnboundKey>(self.0.as_slice(), b"key-wrap", &AES_256_GCM))
    }

    /// Makes the MACs of key rows.
    pub(crate) fn row_key(&self) -> hmac::Key {
        subkey(self.0.as_slice(), b"key-row", hmac::HMAC_SHA256)
    }

    /// Makes the MAC of the ledger over all key rows.
    pub(crate) fn ledger_key(&self) -> hmac::Key {
        subkey(self.0.as_slice(), b"key-ledger", hmac::HMAC_SHA256)
    }

    /// Makes the MAC of the head of the audit's chain.
    pub(crate) fn audit_key(&self) -> hmac::Key {
        subkey(self.0.as_slice(), b"audit-head", hmac::HMAC_SHA256)
    }

    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        let line = content.strip_suffix(b"\n").unwrap_or(content);
        let bytes = Zeroizing::new(base64url_decode(line.strip_prefix(PREFIX)?)?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    fn write(&self, mut file: File) -> io::Result<()> {
        let text = Zeroizing::new(base64url_encode(self.0.as_slice()));
        let line = Zeroizing::new([PREFIX, text.as_bytes(), b"\n"].concat());
        file.write_all(&line)?;
        file.sync_all()
    }
}

/// The key-encryption keys of a server: the first seals, all of them open.
pub struct KeyEncryptionKeys {
    sealing: KeyEncryptionKey,
    others: Vec<KeyEncryptionKey>,
}

impl KeyEncryptionKeys {
    /// `first` seals; `others` only open what was sealed before.
    pub fn new(first: KeyEncryptionKey, others: Vec<KeyEncryptionKey>) -> Self {
        Self { sealing: first, others }
    }

    /// Reads all the files, in their order.
    pub fn read(paths: &[PathBuf]) -> Result<Self, KekError> {
        let (first, others) = paths.split_first().ok_or(KekError::NoneConfigured)?;
        let sealing = KeyEncryptionKey::read(first)?;
        let others = others.iter().map(|path| KeyEncryptionKey::read(path)).collect::<Result<_, _>>()?;
        Ok(Self { sealing, others })
    }

    pub(crate) fn sealing(&self) -> &KeyEncryptionKey {
        &self.sealing
    }

    /// Their names, in their order.
    pub fn ids(&self) -> Vec<KekId> {
        std::iter::once(&self.sealing).chain(&self.others).map(KeyEncryptionKey::id).collect()
    }

    pub(crate) fn find(&self, id: &KekId) -> Option<&KeyEncryptionKey> {
        std::iter::once(&self.sealing).chain(&self.others).find(|kek| kek.id() == *id)
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A new file survives a power cut only once its folder is on the disk too.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder_of(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir, content: &[u8], mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let path = folder.path().join("kek");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// What an operator reads: always one line that names the file.
    fn refusal(path: &Path) -> KekError {
        let error = KeyEncryptionKey::read(path).err().expect("the file is refused");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{}: ", path.display())) && text.lines().count() == 1, "{text}");
        error
    }

    #[test]
    fn what_was_created_is_read_back() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let created = KeyEncryptionKey::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(KeyEncryptionKey::read(&path).unwrap().id(), created.id());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("attesto-kek-v1:") && text.ends_with('\n') && text.lines().count() == 1);
    }

    #[test]
    fn an_existing_file_is_left_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, b"precious", 0o644);
        assert!(matches!(KeyEncryptionKey::create(&path), Err(KekError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent/kek");
        assert!(matches!(KeyEncryptionKey::create(&path), Err(KekError::Unwritable { .. })));
    }

    #[test]
    fn nobody_else_may_have_access() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        KeyEncryptionKey::create(&path).unwrap();
        let content = fs::read(&path).unwrap();
        for mode in [0o644, 0o604, 0o620, 0o602, 0o610, 0o601, 0o444, 0o777] {
            let refused = refusal(&file(&folder, &content, mode));
            assert!(
                matches!(refused, KekError::Exposed { mode: shown, .. } if shown == mode),
                "{mode:o}: {refused}"
            );
        }
        for mode in [0o600, 0o400] {
            assert!(KeyEncryptionKey::read(&file(&folder, &content, mode)).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_from_one_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(refusal(&folder.path().join("kek")), KekError::Absent { .. }));
        assert!(matches!(refusal(folder.path()), KekError::NotAFile { .. }));
        let path = file(&folder, b"", 0o600);
        assert!(matches!(refusal(&path.join("below")), KekError::Unreadable { .. }));
    }

    #[test]
    fn other_content_is_refused_and_not_shown() {
        const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let good = format!("attesto-kek-v1:{KEY}");
        let folder = tempfile::tempdir().unwrap();
        for content in [format!("{good}\n"), good.clone()] {
            assert!(KeyEncryptionKey::read(&file(&folder, content.as_bytes(), 0o600)).is_ok(), "{content:?}");
        }
        for content in [
            String::new(),
            "\n".to_owned(),
            "attesto-kek-v1:\n".to_owned(),
            good[..good.len() - 1].to_owned(),
            good[..good.len() - 4].to_owned(),
            format!("{good}AAAA\n"),
            format!("{good}=\n"),
            format!("{good}\n\n"),
            format!(" {good}\n"),
            format!("{good}\n{good}\n"),
            format!("attesto-kek-v2:{KEY}\n"),
            format!("{KEY}\n"),
            format!("{good}{}", "\n".repeat(1000)),
            format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n"),
        ] {
            let refused = refusal(&file(&folder, content.as_bytes(), 0o600));
            assert!(matches!(refused, KekError::Malformed { .. }), "{content:?}: {refused}");
            assert!(!format!("{refused} {refused:?}").contains(&KEY[..8]), "{refused:?}");
        }
        assert!(matches!(refusal(&file(&folder, b"\xff\xfe", 0o600)), KekError::Malformed { .. }));
    }

    #[test]
    fn the_first_of_a_list_seals_and_all_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("new"), folder.path().join("old")];
        let ids = paths.each_ref().map(|path| KeyEncryptionKey::create(path).unwrap().id());
        let keks = KeyEncryptionKeys::read(&paths).unwrap();
        assert_eq!(keks.sealing().id(), ids[0]);
        assert!(ids.iter().all(|id| keks.find(id).is_some_and(|kek| kek.id() == *id)));
        assert!(keks.find(&KeyEncryptionKey::generate().id()).is_none());
    }

    #[test]
    fn a_list_has_to_be_complete() {
        let folder = tempfile::tempdir().unwrap();
        let (path, absent) = (folder.path().join("kek"), folder.path().join("absent"));
        KeyEncryptionKey::create(&path).unwrap();
        assert!(matches!(KeyEncryptionKeys::read(&[]), Err(KekError::NoneConfigured)));
        for paths in [[path.clone(), absent.clone()], [absent, path]] {
            assert!(matches!(KeyEncryptionKeys::read(&paths), Err(KekError::Absent { .. })));
        }
    }

    #[test]
    fn its_name_is_the_same_forever() {
        // Computed by another implementation.
        assert_eq!(crate::fixture::older_kek().id().0, "6848f72e27111951");
    }
}
