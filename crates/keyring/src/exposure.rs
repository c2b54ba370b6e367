use std::fs::Metadata;

/// How a file with a secret is open to others than those who need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Its permission bits.
    pub mode: u32,
    /// What closes it, and leaves the server its access.
    pub remedy: &'static str,
}

/// How a file with a secret is open to others, if it is.
#[cfg(unix)]
pub fn exposure(metadata: &Metadata) -> Option<Exposure> {
    use std::os::unix::fs::MetadataExt;

    judge(metadata.mode() & 0o777, metadata.uid())
}

/// Elsewhere a file has no such bits.
#[cfg(not(unix))]
pub fn exposure(_: &Metadata) -> Option<Exposure> {
    None
}

/// What root owns is lent to whoever else has to read it, and there is no other way than through a group: so do service
/// managers and orchestrators that hand out secrets as files. Who reads it does not matter: root's own commands take what
/// the server takes.
#[cfg(unix)]
fn judge(mode: u32, owner: u32) -> Option<Exposure> {
    const ROOT: u32 = 0;
    let (lent, remedy) = match owner {
        ROOT => (0o040, "let its group be one of the server's and run chmod 640 on it"),
        _ => (0, "run chmod 600 on it"),
    };
    (mode & 0o077 & !lent != 0).then_some(Exposure { mode, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_owners_and_root_may_lend_one_to_a_group() {
        const ROOT: u32 = 0;
        const SERVER: u32 = 1000;
        for (mode, owner, remedy) in [
            (0o600, SERVER, None),
            (0o400, SERVER, None),
            (0o640, SERVER, Some("chmod 600")),
            (0o440, SERVER, Some("chmod 600")),
            (0o644, SERVER, Some("chmod 600")),
            (0o600, ROOT, None),
            (0o640, ROOT, None),
            (0o440, ROOT, None),
            (0o444, ROOT, Some("chmod 640")),
            (0o644, ROOT, Some("chmod 640")),
            (0o660, ROOT, Some("chmod 640")),
            (0o450, ROOT, Some("chmod 640")),
        ] {
            let found = judge(mode, owner);
            assert_eq!(found.is_some(), remedy.is_some(), "{mode:o} {owner}");
            if let Some((found, remedy)) = found.zip(remedy) {
                assert!(found.mode == mode && found.remedy.contains(remedy), "{mode:o} {owner}: {found:?}");
            }
        }
    }
}
