//! The authority signs with RS256 and ES256. What a verifier of other issuers accepts besides is not for it.

use crate::authority::{Authority, CONFIGURATION};

#[test]
fn nothing_lets_the_authority_sign_with_another_algorithm() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let before = authority.files();
    for alg in ["PS256", "EdDSA", "Ed25519", "none", "rs256"] {
        for option in ["--access-token-algorithm", "--refresh-token-algorithm"] {
            let add = ["clients", "add", "other", "--audience", "orders", option, alg];
            let (code, _, said) = authority.run(&add).any();
            assert!(
                said.contains(&format!("'{alg}' for '{option}")) && said.contains("is RS256 or ES256"),
                "{said}"
            );
            assert_eq!(code, Some(2));
        }
        let (code, _, said) = authority.run(&["keys", "stage", "--algorithm", alg]).any();
        assert!(said.contains("[possible values: RS256, ES256]"), "{said}");
        assert_eq!(code, Some(2));
    }
    authority.assert_unchanged_since(&before);

    for setting in ["access_token_algorithm", "refresh_token_algorithm"] {
        authority.configure(&format!("{CONFIGURATION}{setting} = \"PS256\"\n"));
        let said = authority.run(&["clients", "list"]).refused(78);
        assert!(said.contains(setting) && said.contains("RS256 or ES256"), "{said}");
    }
}
