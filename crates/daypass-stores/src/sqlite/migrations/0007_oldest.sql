-- The oldest program that may write, by the number of steps it knows (steps.rs).
ALTER TABLE meta ADD COLUMN oldest INTEGER NOT NULL DEFAULT 0;
