-- Runs on each insert into events. If your table has another name, change it below.
CREATE MATERIALIZED VIEW IF NOT EXISTS exposure_invalids_view TO exposure_invalids AS
SELECT DISTINCT window
FROM events AS exposures
INNER JOIN
(
    SELECT window, environment_key, feature_name, started_at
    FROM exposure_windows
    GROUP BY window, environment_key, feature_name, started_at
    HAVING max(state) < 'dropped'
) AS windows
    ON exposures.environment_key = windows.environment_key AND exposures.feature_name = windows.feature_name
WHERE event = '$flag_exposure' AND (identifier = '' OR value = '') AND timestamp >= started_at;
