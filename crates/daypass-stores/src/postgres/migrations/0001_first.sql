-- What is kept once for the whole store. `changes` counts changes, never records; `recut` is the number of the last change of a
-- cut-off. The digests are each the XOR of the SHA-256 of every row of a table (sums.rs).
CREATE TABLE meta (
    one     integer PRIMARY KEY CHECK (one = 1),
    changes bigint NOT NULL,
    recut   bigint NOT NULL,
    clients bytea NOT NULL,
    keys    bytea NOT NULL,
    ring    bytea NOT NULL,
    cutoffs bytea NOT NULL,
    freezes bytea NOT NULL,
    roots   bytea NOT NULL
);
INSERT INTO meta
SELECT 1, 0, 0, zero, zero, zero, zero, zero, zero
FROM (SELECT decode(repeat('00', 32), 'hex') AS zero) AS nothing;

-- The end of the records: the last position, and the latest time up to it. Whoever writes locks this row first and holds it to
-- the end of its transaction, so that all nodes write one after the other.
CREATE TABLE tail (
    one      integer PRIMARY KEY CHECK (one = 1),
    position bigint NOT NULL,
    latest   bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO tail VALUES (1, 0, -9223372036854775808);

CREATE TABLE clients (
    guid     uuid PRIMARY KEY,
    tenant   text NOT NULL,
    name     text NOT NULL,
    document bytea NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE keys (
    id       text PRIMARY KEY,
    client   uuid NOT NULL REFERENCES clients (guid),
    document bytea NOT NULL
);

CREATE TABLE ring (
    purpose text NOT NULL,
    version bigint NOT NULL,
    state   text NOT NULL,
    created text NOT NULL,
    since   text NOT NULL,
    sealed  bytea NOT NULL,
    PRIMARY KEY (purpose, version)
);

-- `before` in milliseconds, which is what a cut-off is compared by.
CREATE TABLE cutoffs (
    scope  text PRIMARY KEY,
    before bigint NOT NULL
);

-- The last changes of cut-offs, in order and counted without gaps, so that whoever has read them all reads on from there. Only
-- so many are kept (change.rs); whoever has missed more reads the whole table. No `before`: removed.
CREATE TABLE recuts (
    number bigint PRIMARY KEY,
    scope  text NOT NULL,
    before bigint
);

-- Where nothing is issued, and since when (milliseconds).
CREATE TABLE freezes (
    place text PRIMARY KEY,
    since bigint NOT NULL
);

-- Daypass's own keys at the clouds behind it, sealed, two slots for each issuer.
CREATE TABLE roots (
    issuer   text NOT NULL,
    slot     text NOT NULL,
    document bytea NOT NULL,
    PRIMARY KEY (issuer, slot)
);

-- When each key was last used, in milliseconds, some minutes late.
CREATE TABLE uses (
    key text PRIMARY KEY,
    at  bigint NOT NULL
);

-- Single-use marks, each until it means nothing any more (milliseconds).
CREATE TABLE spent (
    mark  bytea PRIMARY KEY,
    until bigint NOT NULL
);
CREATE INDEX spent_until ON spent (until);

-- What nodes hold together of brokered credentials, sealed, and whose turn it is to ask. Times in milliseconds.
CREATE TABLE held (
    place  bytea PRIMARY KEY,
    turn   bigint NOT NULL,
    holder uuid,
    until  bigint NOT NULL,
    sealed bytea,
    keep   bigint NOT NULL
);
CREATE INDEX held_keep ON held (keep);

-- The writers and the heads of their chains. Records name a writer by its number, which is shorter.
CREATE TABLE writers (
    number      bigint PRIMARY KEY,
    guid        uuid NOT NULL UNIQUE,
    key_version bigint NOT NULL,
    seq         bigint NOT NULL,
    mac         bytea NOT NULL
);

-- Positions have no gaps. `at` is the record's own time, `latest` the latest `at` up to this position: it never falls, so a
-- time is found by bisection and needs no index.
CREATE TABLE records (
    position bigint PRIMARY KEY,
    writer   bigint NOT NULL,
    seq      bigint NOT NULL,
    at       bigint NOT NULL,
    latest   bigint NOT NULL,
    mark     bytea,
    mac      bytea NOT NULL,
    tenant   text,
    document bytea NOT NULL
);
CREATE UNIQUE INDEX records_chain ON records (writer, seq);
CREATE INDEX records_tenant ON records (tenant, position) WHERE tenant IS NOT NULL;
