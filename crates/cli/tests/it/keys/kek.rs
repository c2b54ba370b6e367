//! Key-encryption keys: new ones, and what becomes of a command that has the wrong one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use attesto_keyring::KeyEncryptionKey;

use super::{list, quick};
use crate::authority::{Authority, CONFIGURATION};

#[test]
fn a_new_one_is_made_and_never_written_over() {
    let authority = Authority::configured(CONFIGURATION);
    let path = authority.data().join("new");
    let file = path.to_str().unwrap();
    let said = authority.run(&["keys", "new-kek", file]).done();
    let made = fs::read(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let id = KeyEncryptionKey::read(&path).unwrap().id().0;
    assert!(said.starts_with(&format!("Key-encryption key {id} is in {file}.\n")), "{said}");
    assert!(
        said.contains("first in key_encryption_keys") && said.contains("`attesto keys rewrap`"),
        "{said}"
    );

    let line = authority.run(&["keys", "new-kek", file]).refused(1);
    assert!(line.starts_with(file) && line.contains("the file exists and is left untouched"), "{line}");
    assert_eq!(fs::read(&path).unwrap(), made);
    let line = authority.run(&["keys", "new-kek", &format!("{file}/below")]).refused(1);
    assert!(line.contains("the key-encryption key cannot be written"), "{line}");

    let other = authority.data().join("other");
    let done = authority.json(&["keys", "new-kek", other.to_str().unwrap()]);
    assert_eq!(done["kek_id"], KeyEncryptionKey::read(&other).unwrap().id().0);
}

#[test]
fn without_the_right_one_nothing_rotates() {
    let authority = quick(Authority::configured(CONFIGURATION));
    authority.set_up();
    let keys = list(&authority);
    authority.settle();
    let path = authority.data().join("kek");
    let right = fs::read(&path).unwrap();
    let faults: [(&str, &dyn Fn(), &str); 4] = [
        ("missing", &|| fs::remove_file(&path).unwrap(), "kek: no key-encryption key here"),
        (
            "truncated",
            &|| fs::write(&path, &right[..right.len() / 2]).unwrap(),
            "kek: not a key-encryption key, or not all of it",
        ),
        (
            "world-readable",
            &|| fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap(),
            "kek: the key-encryption key is open to other users (mode 0644)",
        ),
        (
            "wrong",
            &|| {
                fs::remove_file(&path).unwrap();
                KeyEncryptionKey::create(&path).unwrap();
            },
            "which is not configured; add the file of that key to the list",
        ),
    ];
    for (fault, inflict, expected) in faults {
        inflict();
        let before = authority.files();
        for command in [&["rotate"][..], &["stage"], &["promote", "--emergency"], &["rewrap"], &["plan"]] {
            let line = authority.run(&[&["keys"], command].concat()).refused(78);
            assert!(line.starts_with("key_encryption_keys: ") && line.contains(expected), "{fault}: {line}");
        }
        let kid = keys[0]["kid"].as_str().unwrap();
        let line = authority.run(&["keys", "compromise", kid]).refused(78);
        assert!(line.contains(expected), "{fault}: {line}");
        authority.assert_unchanged_since(&before);
        let _ = fs::remove_file(&path);
        fs::write(&path, &right).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(list(&authority), keys);
}
