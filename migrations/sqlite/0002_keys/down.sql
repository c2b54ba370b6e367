UPDATE schema_requirement SET minimum_binary = '0.1.0';
ALTER TABLE audit_events DROP COLUMN kid;
DROP TABLE servers;
DROP TABLE key_uses;
DROP TABLE key_ledger;
ALTER TABLE clients DROP COLUMN refresh_token_algorithm;
ALTER TABLE clients DROP COLUMN access_token_algorithm;
ALTER TABLE authority DROP COLUMN longest_jwks_lifetime;
ALTER TABLE authority DROP COLUMN longest_refresh_lifetime;
