-- The events table, for a ClickHouse that has none. Flagsmith's "bring your own ClickHouse" set-up creates a table with
-- the same columns, flagsmith_exp.events: where it exists, do not run this. Running it again changes nothing.
--
-- timestamp and collected_at are in UTC. Keep events at least as long as your longest experiment. To let them expire:
--   ALTER TABLE events MODIFY TTL toDateTime(timestamp) + INTERVAL 90 DAY;
CREATE TABLE IF NOT EXISTS events
(
    environment_key LowCardinality(String),
    event           LowCardinality(String),
    feature_name    LowCardinality(String),
    timestamp       DateTime64(3),
    collected_at    DateTime64(3),
    identifier      String,
    value           String CODEC(ZSTD(3)),
    traits          String CODEC(ZSTD(3)),
    metadata        String CODEC(ZSTD(3)),
    sdk_language    LowCardinality(String),
    sdk_version     LowCardinality(String),

    INDEX identifier_index identifier TYPE bloom_filter GRANULARITY 1,
    CONSTRAINT environment_key_is_not_empty CHECK environment_key != '',
    CONSTRAINT event_is_not_empty CHECK event != ''
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (environment_key, event, feature_name, timestamp, identifier);
