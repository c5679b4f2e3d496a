-- The latest time that was believed, in milliseconds: no clock that is behind it is (core's clock/steady.rs). It begins where the
-- records end.
CREATE TABLE clock (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    mark INTEGER NOT NULL
) STRICT;
INSERT INTO clock SELECT 1, latest FROM records ORDER BY position DESC LIMIT 1;
