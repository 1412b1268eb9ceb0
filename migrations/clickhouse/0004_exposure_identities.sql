-- One row for an identity, once merged: a window that is all in one part needs no GROUP BY. The AND and the OR of the
-- hashes of its variants differ if it saw more than one. last_first is no earlier than its first exposure to any of
-- them, and written in the same way.
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
