-- Where a chain ends, and where what is kept of it begins, each with the tree of all records up to there (chain.rs). Nothing in
-- `tip` for chains of versions before the tree, nothing in `base` where nothing was removed. `signed` and `based` say how much of
-- a chain the checkpoints name: hints, by which the next one is made without reading all before it.
ALTER TABLE writers ADD COLUMN tip BLOB;
ALTER TABLE writers ADD COLUMN base BLOB;
ALTER TABLE writers ADD COLUMN signed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE writers ADD COLUMN based INTEGER NOT NULL DEFAULT 0;
-- Signed statements of what the chains held, counted from 1 without gaps. Each is proved by its signature.
CREATE TABLE checkpoints (
    number   INTEGER PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;
-- Up to which checkpoint each second place has got them all.
CREATE TABLE delivered (
    place  TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
