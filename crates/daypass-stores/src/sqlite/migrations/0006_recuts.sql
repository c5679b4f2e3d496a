-- The last changes of cut-offs, in order and counted without gaps, so that whoever has read them all reads on from there. Only
-- so many are kept (change.rs); whoever has missed more reads the whole table. `before` in milliseconds; none: removed.
CREATE TABLE recuts (
    number INTEGER PRIMARY KEY,
    scope  TEXT NOT NULL,
    before INTEGER
) STRICT;
-- The number of the last one.
ALTER TABLE meta ADD COLUMN recut INTEGER NOT NULL DEFAULT 0;
