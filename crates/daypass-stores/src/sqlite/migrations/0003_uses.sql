-- When each key was last used, in milliseconds, some minutes late. Outside the digests and the count of changes: it
-- decides nothing but whether an operator is asked twice before a key is ended.
CREATE TABLE uses (
    key TEXT PRIMARY KEY,
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
