use std::path::PathBuf;

use attesto_keyring::KeyEncryptionKey;
use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;

/// Make the file of a new key-encryption key
///
/// Nothing uses it before it stands in `key_encryption_keys`. An existing file is never written over.
#[derive(Args)]
pub struct NewKek {
    /// The file to make; only its owner can read it
    file: PathBuf,
}

impl NewKek {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<(), Failure> {
        let kek = KeyEncryptionKey::create(&self.file).map_err(|cause| Failure::new(cause.to_string()))?;
        let (id, file) = (kek.id().0, self.file.display().to_string());
        let sentence = format!(
            "Key-encryption key {id} is in {file}.\n\
             Keep a copy of it elsewhere. Then put it first in key_encryption_keys, before those that are there, on every\n\
             server, restart them one by one, and run `attesto keys rewrap`."
        );
        output.done(&sentence, &json!({"done": true, "kek_id": id, "file": file}))
    }
}
