-- Bounds that are raised before they are needed; 0 until a server of this version has started.
ALTER TABLE authority ADD COLUMN longest_refresh_lifetime BIGINT NOT NULL DEFAULT 0;
ALTER TABLE authority ADD COLUMN longest_jwks_lifetime BIGINT NOT NULL DEFAULT 0;

-- When a server was seen last: a clock that goes back is noticed by it.
ALTER TABLE authority ADD COLUMN latest_seen_at BIGINT;

-- NULL: as configured.
ALTER TABLE clients ADD COLUMN access_token_algorithm TEXT;
ALTER TABLE clients ADD COLUMN refresh_token_algorithm TEXT;

-- One row over all rows of `keys`. Every change of a key takes its next version.
CREATE TABLE key_ledger (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL,
    rows TEXT NOT NULL,
    compromised TEXT NOT NULL,
    kek_id TEXT NOT NULL,
    mac BYTEA NOT NULL
);

-- What servers note about a key while it signs.
CREATE TABLE key_uses (
    kid TEXT NOT NULL PRIMARY KEY REFERENCES keys (kid),
    latest_exp BIGINT,
    signatures BIGINT NOT NULL
);

-- The servers that run, by their own word.
CREATE TABLE servers (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    kek_ids TEXT NOT NULL,
    confirmed_kids TEXT NOT NULL,
    key_version BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

ALTER TABLE audit_events ADD COLUMN kid TEXT;

-- An older program would change keys without the ledger.
UPDATE schema_requirement SET minimum_binary = '0.2.0';
