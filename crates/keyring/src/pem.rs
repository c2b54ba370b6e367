use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::import::ImportError;

/// How a private key is written as DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `RSAPrivateKey` (RFC 8017 §A.1.2).
    Pkcs1,
    /// `PrivateKeyInfo` (RFC 5208 §5).
    Pkcs8,
}

/// The DER of the one private key in a PEM file (RFC 7468). Text around it does not matter, nor do other blocks.
pub(crate) fn private_key(file: &[u8]) -> Result<(Format, Zeroizing<Vec<u8>>), ImportError> {
    let blocks = blocks(file)?;
    let mut keys = blocks.iter().filter(|block| block.label.ends_with(b"PRIVATE KEY"));
    let Some(key) = keys.next() else { return Err(instead_of_a_key(&blocks)) };
    if keys.next().is_some() {
        return Err(ImportError::SeveralKeys);
    }
    let format = match key.label {
        b"PRIVATE KEY" => Format::Pkcs8,
        b"RSA PRIVATE KEY" => Format::Pkcs1,
        b"ENCRYPTED PRIVATE KEY" => return Err(ImportError::Encrypted),
        b"OPENSSH PRIVATE KEY" => return Err(ImportError::OpenSsh),
        _ => return Err(ImportError::OtherAlgorithm),
    };
    Ok((format, key.decode()?))
}

fn instead_of_a_key(blocks: &[Block<'_>]) -> ImportError {
    let label = blocks.first().map_or(b"".as_slice(), |block| block.label);
    if label.ends_with(b"PUBLIC KEY") {
        ImportError::PublicKey
    } else if label.ends_with(b"CERTIFICATE") {
        ImportError::Certificate
    } else {
        ImportError::NotAKey
    }
}

struct Block<'a> {
    label: &'a [u8],
    lines: Vec<&'a [u8]>,
}

fn blocks(file: &[u8]) -> Result<Vec<Block<'_>>, ImportError> {
    let mut blocks = Vec::new();
    // Some editors begin a file with a byte order mark.
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = label_of(line, b"-----BEGIN ") else { continue };
        let mut block = Block { label, lines: Vec::new() };
        loop {
            let line = lines.next().ok_or(ImportError::Damaged)?;
            if label_of(line, b"-----END ") == Some(label) {
                break;
            }
            block.lines.push(line);
        }
        blocks.push(block);
    }
    Ok(blocks)
}

fn label_of<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(prefix)?.strip_suffix(b"-----")
}

impl Block<'_> {
    fn decode(&self) -> Result<Zeroizing<Vec<u8>>, ImportError> {
        if self.lines.iter().any(|line| line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED")) {
            return Err(ImportError::Encrypted);
        }
        // Neither vector grows: that would leave a copy behind.
        let text = Zeroizing::new(self.lines.concat());
        let mut der = Zeroizing::new(vec![0; text.len()]);
        let length = STANDARD.decode_slice(&*text, &mut der).map_err(|_| ImportError::Damaged)?;
        der.truncate(length);
        Ok(der)
    }
}
