-- The windows that events fall into which name no identity or no variant. Those are rare, and only where there are any
-- does a refresh look at the events to count them.
CREATE TABLE IF NOT EXISTS exposure_invalids
(
    window String
)
ENGINE = ReplacingMergeTree
ORDER BY window;
