//! Whatever comes in, nothing panics and nothing but the issuer's own tokens is accepted.

use attesto_token::base64url_encode;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::token::{KEY, claims, verdict, verify};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_refused(text in ".*") {
        prop_assert!(verdict(&text).is_err());
    }

    #[test]
    fn any_three_parts_are_refused(parts in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..64))) {
        prop_assert!(verdict(&parts.map(base64url_encode).join(".")).is_err());
    }

    #[test]
    fn any_header_is_refused(header in json_value()) {
        let token = KEY.sign(&header.to_string(), claims().to_string());
        prop_assert!(verdict(&token).is_err());
    }

    #[test]
    fn any_bytes_may_be_signed(payload in prop::collection::vec(any::<u8>(), 1..256)) {
        prop_assert!(verdict(&KEY.sign(&KEY.header().to_string(), payload)).is_err());
    }

    #[test]
    fn any_value_may_stand_in_a_claim(index in 0..9_usize, value in json_value()) {
        let mut changed = claims();
        let name = changed.as_object().unwrap().keys().nth(index).unwrap().clone();
        changed[&name] = value;
        // Either verdict is right, but what is accepted is what was sent, up to the last bit of a fraction.
        let sent: Value = serde_json::from_str(&changed.to_string()).unwrap();
        if let Ok(verified) = verify(&KEY.token(&changed)) {
            prop_assert_eq!(verified.claims, sent);
        }
    }

    #[test]
    fn a_changed_character_breaks_the_token(position in any::<prop::sample::Index>(), by in 1..128_u8) {
        let mut token = KEY.token(&claims()).into_bytes();
        let position = position.index(token.len());
        token[position] = (token[position] + by) % 128;
        prop_assert!(verdict(str::from_utf8(&token).unwrap()).is_err());
    }

    #[test]
    fn a_cut_token_is_refused(length in any::<prop::sample::Index>()) {
        let token = KEY.token(&claims());
        prop_assert!(verdict(&token[..length.index(token.len())]).is_err());
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,16}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop_oneof!["alg", "typ", "kid", "crit", ".{0,8}"], inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}
