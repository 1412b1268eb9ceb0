-- When an identity first saw a variant. A minimum does not care how often, how late or in which order events come, and
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
