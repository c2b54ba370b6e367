-- Instants are milliseconds since 1970 (UTC), durations milliseconds; booleans are 0 and 1.

-- One row: the oldest binary that can still work on this schema. Each migration raises it where it must.
CREATE TABLE schema_requirement (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    minimum_binary TEXT NOT NULL
) STRICT;
INSERT INTO schema_requirement (one, minimum_binary) VALUES (1, '0.1.0');

-- One row: what holds for the whole database.
CREATE TABLE authority (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    longest_access_lifetime INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    password_version INTEGER NOT NULL,
    claims TEXT NOT NULL,
    disabled_at INTEGER,
    watermark_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    -- Absent for a public client.
    secret_digest BLOB,
    redirect_uris TEXT NOT NULL,
    audience TEXT NOT NULL,
    scope TEXT NOT NULL,
    rotates INTEGER NOT NULL CHECK (rotates IN (0, 1)),
    grace_interval INTEGER CHECK (grace_interval BETWEEN 0 AND 120000),
    disabled_at INTEGER,
    watermark_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

-- A session outlives its user's row, so that its refresh token is told why it is refused.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL REFERENCES clients (id),
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    auth_time INTEGER NOT NULL,
    claims TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation >= 1),
    jti_digest BLOB NOT NULL,
    previous_jti_digest BLOB,
    rotated_at INTEGER NOT NULL,
    kid TEXT NOT NULL,
    sealed_successor BLOB,
    rotated_by BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revocation_reason TEXT,
    CHECK (idle_expires_at <= absolute_expires_at),
    CHECK ((revoked_at IS NULL) = (revocation_reason IS NULL))
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (idle_expires_at);

CREATE TABLE keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('token', 'feed')),
    state TEXT NOT NULL
        CHECK (state IN ('staged', 'active', 'retiring', 'retired', 'destroyed', 'compromised')),
    public_jwk TEXT NOT NULL,
    sealed_private_key BLOB,
    kek_id TEXT NOT NULL,
    authority_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    published_at INTEGER,
    active_at INTEGER,
    demoted_at INTEGER,
    retired_at INTEGER,
    destroyed_at INTEGER,
    compromised_at INTEGER,
    mac BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_active_key ON keys (purpose, algorithm) WHERE state = 'active';

-- One row: the sequence of the revocation feed, taken by updating it inside the transaction of the record.
CREATE TABLE revocation_counter (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO revocation_counter (one, seq) VALUES (1, 0);

CREATE TABLE revocations (
    seq INTEGER NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),
    id TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_by_end ON revocations (expires_at);

-- Failed sign-ins per user, per unknown name (by digest) and per address.
CREATE TABLE throttles (
    key TEXT NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    blocked_until INTEGER,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX throttles_by_end ON throttles (expires_at);

CREATE TABLE audit_events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT,
    user_id TEXT,
    client_id TEXT,
    session_id TEXT,
    reason TEXT
) STRICT;
CREATE INDEX audit_events_by_instant ON audit_events (at);
