-- 0002 to 0012 are for EXPOSURE_SOURCE = "states" only. They keep the facts of each identity up to date as events
-- arrive, so that the cost of a refresh depends on the identities and not on their events. Run them in the database of
-- the events table, as a user who may create tables and views. Running them again changes nothing. See docs/states.md.
--
-- This table has the windows that are kept up to date, one for each running experiment, and a row for each state of a
-- window. A refresh opens it. It is filled once it contains the events from before it was opened. It is dropped when no
-- experiment needs it any more.
CREATE TABLE IF NOT EXISTS exposure_windows
(
    window          String,
    experiment_id   String,
    environment_key String,
    feature_name    String,
    started_at      DateTime64(3),
    state           Enum8('opened' = 1, 'filled' = 2, 'dropped' = 3),
    noted_at        DateTime64(3) DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (experiment_id, window);
