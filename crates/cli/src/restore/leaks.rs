use clap::Args;

/// What leaked since the copy, as the operator knows it.
#[derive(Args)]
pub struct Leaks {
    /// A key that was declared leaked since the copy; may be repeated
    #[arg(long, value_name = "KID", allow_hyphen_values = true, value_parser = kid)]
    pub compromised: Vec<String>,
    /// No key was declared leaked since the copy: where the database that was there cannot say so itself
    #[arg(long, conflicts_with = "compromised")]
    nothing_leaked: bool,
}

impl Leaks {
    /// Whether anything was said of them.
    pub fn are_named(&self) -> bool {
        self.nothing_leaked || !self.compromised.is_empty()
    }
}

/// Of a key that is only known by its name, so nothing but its form tells a slip: the base64url of a SHA-256 (RFC 7638).
fn kid(text: &str) -> Result<String, &'static str> {
    let is_thumbprint = text.len() == 43
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_thumbprint { Ok(text.to_owned()) } else { Err("a kid has 43 letters, digits, - and _") }
}
