-- The time at which the last sweep was scheduled. It shows whether the Cron Trigger still fires.
ALTER TABLE sweep_progress ADD COLUMN last_sweep_at INTEGER;
