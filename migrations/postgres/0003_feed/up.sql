-- One row, made at the first start of a server: which feed this is, and the salt of its identifiers.
CREATE TABLE feed (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL CHECK (epoch > 0),
    salt BYTEA NOT NULL CHECK (octet_length(salt) = 16)
);

-- Sessions that began in this second or before are over, whoever's they are.
ALTER TABLE authority ADD COLUMN watermark_at BIGINT;

-- The newest record that the server has published.
ALTER TABLE servers ADD COLUMN feed_seq BIGINT NOT NULL DEFAULT 0;

-- An older program would not refuse what ended for everyone.
UPDATE schema_requirement SET minimum_binary = '0.3.0';
