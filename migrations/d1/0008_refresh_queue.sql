-- Refresh requests and retries are a queue in the order of their due times. Null: nothing is pending. 0: a refresh has
-- begun and has not stored its outcome yet.
ALTER TABLE experiments ADD COLUMN refresh_due_at INTEGER;

UPDATE experiments SET refresh_due_at = refresh_requested_at WHERE refresh_requested_at IS NOT NULL;

CREATE INDEX experiments_by_refresh_due ON experiments (refresh_due_at, id) WHERE refresh_due_at IS NOT NULL;

-- Transient failures of refreshes in a row.
ALTER TABLE experiments ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;

-- The due time of the newest manual request or webhook. Webhooks wait for the minimum interval after it.
ALTER TABLE experiments ADD COLUMN interval_started_at INTEGER;

-- The next refresh replaces the experiment's states.
ALTER TABLE experiments ADD COLUMN rebuild_requested INTEGER NOT NULL DEFAULT 0;
