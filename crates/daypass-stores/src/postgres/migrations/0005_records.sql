-- Where a chain ends, and where what is kept of it begins, each with the tree of all records up to there (chain.rs). Nothing in
-- `tip` for chains of versions before the tree, nothing in `base` where nothing was removed. `signed` and `based` say how much of
-- a chain the checkpoints name: hints, by which the next one is made without reading all before it.
ALTER TABLE writers ADD COLUMN tip bytea;
ALTER TABLE writers ADD COLUMN base bytea;
ALTER TABLE writers ADD COLUMN signed bigint NOT NULL DEFAULT 0;
ALTER TABLE writers ADD COLUMN based bigint NOT NULL DEFAULT 0;
-- Signed statements of what the chains held, counted from 1 without gaps. Each is proved by its signature.
CREATE TABLE checkpoints (
    number   bigint PRIMARY KEY,
    document text NOT NULL
);
-- Up to which checkpoint each second place has got them all.
CREATE TABLE delivered (
    place  text PRIMARY KEY,
    number bigint NOT NULL
);
