-- The latest time that was believed, in milliseconds: no clock that is behind it is (core's clock/steady.rs). It begins where the
-- records end.
CREATE TABLE clock (
    one  integer PRIMARY KEY CHECK (one = 1),
    mark bigint NOT NULL
);
INSERT INTO clock SELECT 1, latest FROM tail WHERE position > 0;
