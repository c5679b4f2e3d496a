-- Where nothing is issued, and since when (milliseconds). Its digest is kept like those of the other small tables.
CREATE TABLE freezes (
    place TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE meta ADD COLUMN freezes BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
