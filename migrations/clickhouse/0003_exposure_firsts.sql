-- The first exposure of an identity to a variant. first_and_late is twice its epoch milliseconds, plus one if it was
-- collected more than an hour later. The minimum does not depend on how often, how late or in which order events
-- arrive, and counts as of any earlier moment remain possible.
CREATE TABLE IF NOT EXISTS exposure_firsts
(
    window         LowCardinality(String),
    identity       UInt64 CODEC(NONE),
    identity_check UInt64 CODEC(NONE),
    variant        LowCardinality(String),
    first_and_late SimpleAggregateFunction(min, Int64)
)
ENGINE = AggregatingMergeTree
ORDER BY (window, identity, identity_check, variant);
