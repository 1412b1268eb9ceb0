-- Summaries have their own table, so that an edit, a request or a failure does not rewrite up to 1.9 MB. What sweeps and
-- lists read stays with the experiment.
CREATE TABLE summaries (
  experiment_id TEXT PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
  exposures TEXT NOT NULL -- JSON, as in the API
) STRICT;

INSERT INTO summaries (experiment_id, exposures)
SELECT id, exposures FROM experiments WHERE exposures IS NOT NULL;

ALTER TABLE experiments DROP COLUMN exposures;

-- The identities in the summary, excluded ones included. An incomplete count with fewer does not replace the summary.
ALTER TABLE experiments ADD COLUMN identities INTEGER;

UPDATE experiments SET identities = (
  SELECT json_extract(exposures, '$.total_identities') + json_extract(exposures, '$.excluded_identities')
  FROM summaries WHERE experiment_id = id
);

ALTER TABLE experiments RENAME COLUMN called_at TO manually_requested_at;

-- A sweep also serves requests to recount final numbers. It reads its list from the index alone.
DROP INDEX experiments_to_sweep;
CREATE INDEX experiments_to_sweep ON experiments (id, started_at, is_final, refresh_requested_at)
WHERE is_final = 0 OR refresh_requested_at IS NOT NULL;

-- The levels of each check that decide whether it is alerted, as JSON. They belong to a summary.
CREATE TABLE health_histories (
  experiment_id TEXT PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
  history TEXT NOT NULL
) STRICT;

INSERT INTO health_histories (experiment_id, history)
SELECT experiment_id, (
  SELECT json_group_object(key, json_object('last', value ->> 'last', 'alerted', value ->> 'told')) FROM json_each(watch)
)
FROM health_watches WHERE experiment_id IN (SELECT id FROM experiments WHERE as_of IS NOT NULL);

DROP TABLE health_watches;
