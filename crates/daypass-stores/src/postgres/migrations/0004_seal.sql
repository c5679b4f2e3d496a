-- Which seal key wraps the ring, by its id and a check value: a wrong one is told by it before anything is tried. `since` in
-- milliseconds. A store that an older version has made says nothing until a newer one has opened its ring.
CREATE TABLE seal (
    one     integer PRIMARY KEY CHECK (one = 1),
    id      bigint NOT NULL,
    checked bytea NOT NULL,
    since   bigint NOT NULL
);
