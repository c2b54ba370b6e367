//! The tables as the migrations leave them.

diesel::table! {
    schema_requirement (one) {
        one -> Integer,
        minimum_binary -> Text,
    }
}

diesel::table! {
    authority (one) {
        one -> Integer,
        id -> Text,
        issuer -> Text,
        longest_access_lifetime -> BigInt,
        longest_refresh_lifetime -> BigInt,
        longest_jwks_lifetime -> BigInt,
        latest_seen_at -> Nullable<BigInt>,
        watermark_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        username -> Text,
        password_hash -> Text,
        password_version -> BigInt,
        claims -> Text,
        disabled_at -> Nullable<BigInt>,
        watermark_at -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    clients (id) {
        id -> Text,
        secret_digest -> Nullable<Binary>,
        redirect_uris -> Text,
        audience -> Text,
        scope -> Text,
        rotates -> Bool,
        grace_interval -> Nullable<BigInt>,
        disabled_at -> Nullable<BigInt>,
        watermark_at -> Nullable<BigInt>,
        created_at -> BigInt,
        access_token_algorithm -> Nullable<Text>,
        refresh_token_algorithm -> Nullable<Text>,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        user_id -> Text,
        client_id -> Text,
        scope -> Text,
        audience -> Text,
        auth_time -> BigInt,
        claims -> Text,
        generation -> BigInt,
        jti_digest -> Binary,
        previous_jti_digest -> Nullable<Binary>,
        rotated_at -> BigInt,
        kid -> Text,
        sealed_successor -> Nullable<Binary>,
        rotated_by -> Binary,
        created_at -> BigInt,
        last_used_at -> BigInt,
        idle_expires_at -> BigInt,
        absolute_expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        revocation_reason -> Nullable<Text>,
    }
}

diesel::table! {
    keys (kid) {
        kid -> Text,
        algorithm -> Text,
        purpose -> Text,
        state -> Text,
        public_jwk -> Text,
        sealed_private_key -> Nullable<Binary>,
        kek_id -> Text,
        authority_id -> Text,
        created_at -> BigInt,
        published_at -> Nullable<BigInt>,
        active_at -> Nullable<BigInt>,
        demoted_at -> Nullable<BigInt>,
        retired_at -> Nullable<BigInt>,
        destroyed_at -> Nullable<BigInt>,
        compromised_at -> Nullable<BigInt>,
        mac -> Binary,
    }
}

diesel::table! {
    key_ledger (one) {
        one -> Integer,
        version -> BigInt,
        rows -> Text,
        compromised -> Text,
        kek_id -> Text,
        mac -> Binary,
    }
}

diesel::table! {
    key_uses (kid) {
        kid -> Text,
        latest_exp -> Nullable<BigInt>,
        signatures -> BigInt,
    }
}

diesel::table! {
    servers (id) {
        id -> Text,
        version -> Text,
        kek_ids -> Text,
        confirmed_kids -> Text,
        key_version -> BigInt,
        seen_at -> BigInt,
        feed_seq -> BigInt,
    }
}

diesel::table! {
    feed (one) {
        one -> Integer,
        epoch -> BigInt,
        salt -> Binary,
    }
}

diesel::table! {
    revocation_counter (one) {
        one -> Integer,
        seq -> BigInt,
    }
}

diesel::table! {
    revocations (seq) {
        seq -> BigInt,
        kind -> Integer,
        id -> Text,
        not_before -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    throttles (key) {
        key -> Text,
        failures -> BigInt,
        blocked_until -> Nullable<BigInt>,
        expires_at -> BigInt,
    }
}

diesel::table! {
    audit_events (id) {
        id -> BigInt,
        at -> BigInt,
        event -> Text,
        actor -> Text,
        request_id -> Nullable<Text>,
        user_id -> Nullable<Text>,
        client_id -> Nullable<Text>,
        session_id -> Nullable<Text>,
        reason -> Nullable<Text>,
        kid -> Nullable<Text>,
        chain_seq -> Nullable<BigInt>,
        chain_hash -> Nullable<Binary>,
    }
}

diesel::table! {
    audit_head (one) {
        one -> Integer,
        version -> BigInt,
        begun_at -> BigInt,
        seq -> BigInt,
        hash -> Binary,
        sealed_at -> BigInt,
        purged_seq -> BigInt,
        purged_hash -> Binary,
        kek_id -> Text,
        mac -> Binary,
    }
}

diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(sessions -> clients (client_id));
diesel::allow_tables_to_appear_in_same_query!(sessions, users, clients);
