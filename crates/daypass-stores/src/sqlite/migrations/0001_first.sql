-- What is kept once for the whole store. `changes` counts changes, never records. `closed` is 1 while nobody has
-- the store open for writing: a file that says 0 is complete only together with its log.
-- The four digests are each the XOR of the SHA-256 of every row of a table (sums.rs).
CREATE TABLE meta (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    changes INTEGER NOT NULL,
    closed  INTEGER NOT NULL,
    clients BLOB NOT NULL,
    keys    BLOB NOT NULL,
    ring    BLOB NOT NULL,
    cutoffs BLOB NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0, 1, zeroblob(32), zeroblob(32), zeroblob(32), zeroblob(32));

CREATE TABLE clients (
    guid     BLOB PRIMARY KEY,
    tenant   TEXT NOT NULL,
    name     TEXT NOT NULL,
    document BLOB NOT NULL,
    UNIQUE (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    id       TEXT PRIMARY KEY,
    client   BLOB NOT NULL REFERENCES clients (guid),
    document BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ring (
    purpose TEXT NOT NULL,
    version INTEGER NOT NULL,
    state   TEXT NOT NULL,
    created TEXT NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (purpose, version)
) STRICT, WITHOUT ROWID;

-- `before` in milliseconds, which is what a cut-off is compared by.
CREATE TABLE cutoffs (
    scope  TEXT PRIMARY KEY,
    before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Single-use marks, each until it means nothing any more (milliseconds).
CREATE TABLE spent (
    mark  BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_until ON spent (until);

-- The writers and the heads of their chains. Records name a writer by its number, which is shorter.
CREATE TABLE writers (
    number      INTEGER PRIMARY KEY,
    guid        BLOB NOT NULL UNIQUE,
    key_version INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    mac         BLOB NOT NULL
) STRICT;

-- Positions have no gaps. `at` is the record's own time, `latest` the latest `at` up to this position: it never
-- falls, so a time is found by bisection and needs no index. The small columns stand before the document, so that
-- reading the marks alone does not read the documents.
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    writer   INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    latest   INTEGER NOT NULL,
    mark     BLOB,
    mac      BLOB NOT NULL,
    sum      INTEGER NOT NULL,
    tenant   TEXT,
    document BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_chain ON records (writer, seq);
CREATE INDEX records_tenant ON records (tenant) WHERE tenant IS NOT NULL;
