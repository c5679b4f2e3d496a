-- The oldest program that may write, by the number of steps it knows (steps.rs). Here, because this is the row that everybody who
-- writes reads under the lock: no transaction that began before a step ends behind it.
ALTER TABLE tail ADD COLUMN oldest bigint NOT NULL DEFAULT 0;
