use std::fmt::Write as _;
use std::path::Path;

pub(crate) const USER: &str = "attesto";

/// The name of the host is never looked up: the folder of the socket stands in its place.
pub(crate) fn of_socket(folder: &Path, port: u16, database: &str) -> String {
    let folder = encoded(&folder.display().to_string());
    format!("postgres://{USER}@localhost:{port}/{}?host={folder}", encoded(database))
}

pub(crate) fn of_loopback(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{}", encoded(database))
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_percent_encoded() {
        let url = of_socket(Path::new("/tmp/a b"), 5432, "of/one");
        assert_eq!(url, "postgres://attesto@localhost:5432/of%2Fone?host=%2Ftmp%2Fa%20b");
    }
}
