UPDATE schema_requirement SET minimum_binary = '0.2.0';
ALTER TABLE servers DROP COLUMN feed_seq;
ALTER TABLE authority DROP COLUMN watermark_at;
DROP TABLE feed;
