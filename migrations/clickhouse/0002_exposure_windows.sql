-- For EXPOSURE_SOURCE = "states" only, as 0003 to 0008: what is known of each identity is kept up to date as events arrive,
-- so that a refresh costs what the identities cost, and not their events. Run them as a user who may create tables and
-- views, in the database of the events table. Running them again changes nothing.
--
-- The windows that are kept up to date, one for each running experiment. Each has a row for what has become of it:
-- opened by a refresh, filled once the events from before it was opened are in it too, dropped when it is over.
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
