-- The last changes of clients and keys, in order, so that whoever has read the tables reads on from there: which row of which table,
-- and its digest before (none: it was not there) and after. Only so many are kept (edits.rs); whoever has missed more, or finds
-- that they do not lead to the table's digest, reads the whole table.
CREATE TABLE edits (
    number  INTEGER PRIMARY KEY,
    part    TEXT NOT NULL,
    id      TEXT NOT NULL,
    was     BLOB,
    becomes BLOB NOT NULL
) STRICT;
-- The number of the last one.
ALTER TABLE meta ADD COLUMN edited INTEGER NOT NULL DEFAULT 0;
