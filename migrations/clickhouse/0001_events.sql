-- The events table that Flagsmith's "bring your own ClickHouse" set-up creates. Run it once on an empty ClickHouse;
-- running it again changes nothing. Where that set-up has made the table already, there is nothing to run.
--
-- timestamp and collected_at hold UTC. Keep events at least as long as your longest experiment; to let them expire:
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
