-- How many credentials of a day each node has made of what has a daily quota (core's ration.rs). A place is a hash of whom the quota
-- is of. Each row is one node's own, so that writing it again changes nothing.
CREATE TABLE counted (
    day   INTEGER NOT NULL,
    place BLOB NOT NULL,
    node  BLOB NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (day, place, node)
) STRICT, WITHOUT ROWID;
