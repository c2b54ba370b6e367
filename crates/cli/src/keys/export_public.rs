use attesto_keyring::public_key_pem;
use attesto_token::Jwk;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::choice::find;
use super::operation::Operation;
use crate::context::Place;
use crate::failure::Failure;
use crate::output::{Output, print};

/// Print the public half of a key
#[derive(Args)]
pub struct ExportPublic {
    /// The key
    #[arg(allow_hyphen_values = true)]
    kid: String,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Pem)]
    format: Format,
}

/// How a public key is written.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// As OpenSSL reads it (`PUBLIC KEY`)
    Pem,
    /// A JSON Web Key
    Jwk,
}

impl ExportPublic {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let operation = Operation::begin(place, output).await?;
        let (keyring, _) = operation.read().await?;
        let kid = &find(keyring.table(), &self.kid)?.kid;
        let cannot = || Failure::new(format!("the public half of key {kid} cannot be written"));
        let jwk = keyring.public_jwk(kid).ok_or_else(cannot)?;
        match self.format {
            Format::Jwk => print(&json(jwk)?),
            Format::Pem => {
                let pem = public_key_pem(jwk).ok_or_else(cannot)?;
                output.done(pem.trim_end(), &json!({"kid": kid, "pem": pem}))
            }
        }
    }
}

fn json(jwk: &Jwk) -> Result<String, Failure> {
    serde_json::to_string_pretty(jwk).map_err(|cause| Failure::new(cause.to_string()))
}
