-- A client's keys are found by it: what an operator decides on all of them is compared with all of them, while everybody else's
-- changes wait.
CREATE INDEX keys_client ON keys (client);
