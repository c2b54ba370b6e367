use std::io;
use std::path::PathBuf;

use attesto_core::KekId;

/// Why the file of a key-encryption key cannot be used, or not be made. Never holds a byte of its content.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// There is no such file.
    #[error(
        "{}: no key-encryption key here; put the file back from its copy (a new one opens no existing database)",
        path.display()
    )]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("{}: the key-encryption key cannot be read ({reason}); let the user of this process read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
    /// A folder, device or pipe.
    #[error("{}: not a regular file; name the file of the key-encryption key itself", path.display())]
    NotAFile {
        /// What is no file.
        path: PathBuf,
    },
    /// Others have access.
    #[error(
        "{}: the key-encryption key is open to other users (mode {mode:04o}); {remedy}, and replace the key if one of them may have read it",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What closes it.
        remedy: &'static str,
    },
    /// Empty, cut off, or something else altogether.
    #[error("{}: not a key-encryption key, or not all of it; put the file back from its copy", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// There is a file already, and it was left as it is.
    #[error("{}: the file exists and is left untouched; choose another path for a new key-encryption key", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("{}: the key-encryption key cannot be written ({reason}); check the folder and its free space", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
    /// No file was named.
    #[error("no key-encryption key is configured; name the file of at least one")]
    NoneConfigured,
}

/// Why the head of the audit's chain is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditHeadError {
    /// None of the configured key-encryption keys made its MAC.
    #[error(
        "the head of the audit stands under the key-encryption key {:?}, which is not configured; add the file of that key to the list, or begin another chain with `attesto audit renew` if it is lost",
        kek_id.0
    )]
    KekMissing {
        /// The one that it names.
        kek_id: KekId,
    },
    /// The MAC does not fit.
    #[error(
        "the head of the audit was altered by somebody without the key-encryption key, or is that of another database"
    )]
    Altered,
}

/// Why the signing keys of a database cannot be used. What stands in a row may be an attacker's text, so it is quoted
/// with escapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The table is empty.
    #[error("there is no signing key; a first start makes one")]
    NoKeys,
    /// No key may sign.
    #[error(
        "none of the signing keys is active; restore the database from a backup, or promote a staged key"
    )]
    NoActiveKey,
    /// Two keys would sign.
    #[error("the signing keys {first:?} and {second:?} are both active; restore the database from a backup")]
    TwoActiveKeys {
        /// One of the two.
        first: String,
        /// The other.
        second: String,
    },
    /// None of the configured key-encryption keys has this id.
    #[error(
        "signing key {kid:?} needs the key-encryption key {:?}, which is not configured; add the file of that key to the list",
        kek_id.0
    )]
    KekMissing {
        /// The row.
        kid: String,
        /// The key-encryption key that it names.
        kek_id: KekId,
    },
    /// The MAC does not fit the row.
    #[error(
        "the row of signing key {kid:?} was changed by somebody without the key-encryption key; find out by whom, and restore the row from a backup"
    )]
    RowAltered {
        /// The row.
        kid: String,
    },
    /// The row is genuine, and belongs elsewhere.
    #[error(
        "signing key {kid:?} was made for another database; remove the row, and restore this database's own keys"
    )]
    OtherAuthority {
        /// The row.
        kid: String,
    },
    /// A genuine row, and not the latest.
    #[error(
        "the row of signing key {kid:?} is an old copy that somebody put back; find out by whom, and restore the table from a backup"
    )]
    RowPutBack {
        /// The row.
        kid: String,
    },
    /// A genuine row that was not there.
    #[error(
        "the row of signing key {kid:?} was added by somebody without the key-encryption key; find out by whom, and remove it"
    )]
    RowAdded {
        /// The row.
        kid: String,
    },
    /// A row is gone.
    #[error(
        "the row of signing key {kid:?} was taken away by somebody without the key-encryption key; restore it from a backup"
    )]
    RowTakenAway {
        /// The row.
        kid: String,
    },
    /// The row that binds the others together is gone.
    #[error("the ledger of the signing keys was taken away; restore the table key_ledger from a backup")]
    LedgerMissing,
    /// The row that binds the others together does not fit its MAC.
    #[error(
        "the ledger of the signing keys was changed by somebody without the key-encryption key; find out by whom, and restore the table key_ledger from a backup"
    )]
    LedgerAltered,
    /// None of the configured key-encryption keys is the one that new keys are sealed with.
    #[error(
        "the ledger of the signing keys needs the key-encryption key {:?}, which is not configured; add the file of that key to the list",
        kek_id.0
    )]
    KekOfLedgerMissing {
        /// The key-encryption key that it names.
        kek_id: KekId,
    },
    /// The key to import is one of ours.
    #[error("signing key {kid:?} is here already; `attesto keys list` shows where it stands")]
    AlreadyHere {
        /// The row.
        kid: String,
    },
    /// The row is genuine, and its sealed private half is not, or belongs to another row.
    #[error("the sealed private half of signing key {kid:?} does not open; restore the row from a backup")]
    SealBroken {
        /// The row.
        kid: String,
    },
    /// A key that has to sign, now or soon, has no private half.
    #[error("signing key {kid:?} has no private half; restore the row from a backup")]
    PrivateHalfMissing {
        /// The row.
        kid: String,
    },
    /// `kid`, algorithm, public half and private half are not those of one key.
    #[error(
        "the parts of signing key {kid:?} do not belong to one key that this version can use; restore the row from a backup, or run the version that made it"
    )]
    Inconsistent {
        /// The row.
        kid: String,
    },
    /// The cryptographic library made no key.
    #[error("no key could be generated; try again, and check the machine if it happens twice")]
    NotGenerated,
    /// Signing is not possible in this process.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// Somebody else decided how this process signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "another crypto provider of jsonwebtoken is installed in this process; Attesto has to install its own first"
)]
pub struct ProviderError;

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The claims are no JSON.
    #[error("the claims cannot be written as JSON")]
    Claims,
    /// The private-key operation failed.
    #[error("the signature could not be made")]
    Signature,
    /// Whatever keeps the private key is out of reach.
    #[error("the signer does not answer")]
    Unreachable,
}

/// Why this process should not sign at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelfTestFailed {
    /// No key, or none that fits.
    #[error("self-test: no key could be generated")]
    Generate,
    /// Somebody else decided how this process signs.
    #[error("self-test: {0}")]
    Provider(#[from] ProviderError),
    /// A fresh key does not sign.
    #[error("self-test: {0}")]
    Sign(#[from] SignError),
    /// A second implementation refuses what was signed.
    #[error("self-test: a signature that was just made does not verify")]
    Verify,
}

/// Sealed bytes that do not open: altered, or sealed for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seal does not open")]
pub struct SealBroken;
