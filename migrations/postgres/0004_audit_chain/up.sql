-- The place of a row in the chain of the audit; NULL until a server has sealed it.
ALTER TABLE audit_events ADD COLUMN chain_seq BIGINT;
ALTER TABLE audit_events ADD COLUMN chain_hash BYTEA;

-- Rows without a place stand together in it, in the order in which they get one.
CREATE INDEX audit_events_by_place ON audit_events (chain_seq, id);

-- One row, made when a server seals for the first time: how far the chain goes, and up to where it was removed.
CREATE TABLE audit_head (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL,
    begun_at BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    sealed_at BIGINT NOT NULL,
    purged_seq BIGINT NOT NULL,
    purged_hash BYTEA NOT NULL,
    kek_id TEXT NOT NULL,
    mac BYTEA NOT NULL
);

-- A program of 0.3.0 leaves the new columns empty. It also removes old rows without moving the head, so no chain begins while
-- one runs.
UPDATE schema_requirement SET minimum_binary = '0.3.0';
