-- One row per identity once merged, so a window that is in a single part needs no GROUP BY. The AND and the OR of the
-- hashes of its variants differ if the identity saw more than one. last_first is the latest of its first exposures to
-- each variant, or later, in the encoding of first_and_late.
CREATE TABLE IF NOT EXISTS exposure_identities
(
    window         LowCardinality(String),
    identity       UInt64 CODEC(NONE),
    identity_check UInt64 CODEC(NONE),
    variant_and    SimpleAggregateFunction(groupBitAnd, UInt64),
    variant_or     SimpleAggregateFunction(groupBitOr, UInt64),
    first_and_late SimpleAggregateFunction(min, Int64),
    last_first     SimpleAggregateFunction(max, Int64)
)
ENGINE = AggregatingMergeTree
ORDER BY (window, identity, identity_check);
