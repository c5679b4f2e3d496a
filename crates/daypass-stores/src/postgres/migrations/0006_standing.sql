-- Whether what is here is in service: nothing where it is, or else where it has moved, or that it was filled and the move has not
-- come to its end (core's transfer.rs).
CREATE TABLE standing (
    one      integer PRIMARY KEY CHECK (one = 1),
    document text NOT NULL
);
