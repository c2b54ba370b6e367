UPDATE schema_requirement SET minimum_binary = '0.3.0';
DROP TABLE audit_head;
DROP INDEX audit_events_by_place;
ALTER TABLE audit_events DROP COLUMN chain_hash;
ALTER TABLE audit_events DROP COLUMN chain_seq;
