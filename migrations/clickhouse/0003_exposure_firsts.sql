-- When an identity first saw a variant, in epoch milliseconds, doubled, and one more if that exposure was collected more
-- than an hour later. A minimum does not care how often, how late or in which order events come, and what was known at
-- any earlier moment is still there.
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
