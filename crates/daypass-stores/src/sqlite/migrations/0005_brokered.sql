-- Daypass's own keys at the clouds behind it, sealed, two slots for each issuer. Their digest is kept like those of the other
-- small tables.
CREATE TABLE roots (
    issuer   TEXT NOT NULL,
    slot     TEXT NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (issuer, slot)
) STRICT, WITHOUT ROWID;
ALTER TABLE meta ADD COLUMN roots BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
-- What nodes hold together of brokered credentials, sealed, and whose turn it is to ask. Outside the digests and the count of
-- changes: a row that is lost or put back costs one more question to the cloud. Times in milliseconds.
CREATE TABLE held (
    place  BLOB PRIMARY KEY,
    turn   INTEGER NOT NULL,
    holder BLOB,
    until  INTEGER NOT NULL,
    sealed BLOB,
    keep   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX held_keep ON held (keep);
