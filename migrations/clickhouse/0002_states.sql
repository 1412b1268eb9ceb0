-- For EXPOSURE_SOURCE = "states" only; nothing else needs it. What is known of each identity is kept up to date as events
-- arrive, so that a refresh costs what the identities cost, and not their events. Run it as a user who may create
-- tables and views, in the database of the events table; if yours has another name, put it below. Running it again
-- changes nothing.

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

-- When an identity first saw a variant. A minimum does not care how often, how late or in which order events come; and
-- what was known at any earlier moment is still there.
CREATE TABLE IF NOT EXISTS exposure_firsts
(
    window         LowCardinality(String),
    identity       UInt64 CODEC(NONE),
    identity_check UInt64 CODEC(NONE),
    variant        LowCardinality(String),
    first_exposure SimpleAggregateFunction(min, DateTime64(3))
)
ENGINE = AggregatingMergeTree
ORDER BY (window, identity, identity_check, variant);

-- One row for an identity, once merged: a window that is all in one part needs no GROUP BY. The AND and the OR of the
-- hashes of its variants differ if it saw more than one. last_first is no earlier than its first exposure to any of them.
CREATE TABLE IF NOT EXISTS exposure_identities
(
    window         LowCardinality(String),
    identity       UInt64 CODEC(NONE),
    identity_check UInt64 CODEC(NONE),
    variant_and    SimpleAggregateFunction(groupBitAnd, UInt64),
    variant_or     SimpleAggregateFunction(groupBitOr, UInt64),
    first_exposure SimpleAggregateFunction(min, DateTime64(3)),
    last_first     SimpleAggregateFunction(max, DateTime64(3))
)
ENGINE = AggregatingMergeTree
ORDER BY (window, identity, identity_check);

-- On each insert into events: its exposures, for every window that they fall into.
CREATE MATERIALIZED VIEW IF NOT EXISTS exposure_firsts_view TO exposure_firsts AS
SELECT
    window,
    cityHash64(identifier) AS identity,
    xxh3(identifier) AS identity_check,
    value AS variant,
    min(timestamp) AS first_exposure
FROM events AS exposures
INNER JOIN
(
    SELECT window, environment_key, feature_name, started_at
    FROM exposure_windows
    GROUP BY window, environment_key, feature_name, started_at
    HAVING max(state) < 'dropped'
) AS windows
    ON exposures.environment_key = windows.environment_key AND exposures.feature_name = windows.feature_name
WHERE event = '$flag_exposure' AND identifier != '' AND value != '' AND timestamp >= started_at
GROUP BY window, identity, identity_check, variant;

-- And on each insert into exposure_firsts, by the view above or by a refill.
CREATE MATERIALIZED VIEW IF NOT EXISTS exposure_identities_view TO exposure_identities AS
SELECT
    window,
    identity,
    identity_check,
    groupBitAnd(cityHash64(variant)) AS variant_and,
    groupBitOr(cityHash64(variant)) AS variant_or,
    min(firsts.first_exposure) AS first_exposure,
    max(firsts.first_exposure) AS last_first
FROM exposure_firsts AS firsts
GROUP BY window, identity, identity_check;
