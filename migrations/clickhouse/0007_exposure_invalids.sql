-- The windows that contain events without an identity or without a variant. Such events are rare. A refresh reads the
-- events to count them only for these windows.
CREATE TABLE IF NOT EXISTS exposure_invalids
(
    window String
)
ENGINE = ReplacingMergeTree
ORDER BY window;
