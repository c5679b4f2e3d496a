-- From when a ring key is in its state. Nothing for rows written before this step, which are in the state that they
-- were made in: there it is the time they were made, and their digests do not cover it.
ALTER TABLE ring ADD COLUMN since TEXT;
