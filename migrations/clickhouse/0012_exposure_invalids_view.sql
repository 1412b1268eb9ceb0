-- Writes out ALL, as 0011 does. If your table has another name than events, change it below.
ALTER TABLE exposure_invalids_view MODIFY QUERY
SELECT DISTINCT window
FROM events AS exposures
ALL INNER JOIN
(
    SELECT window, environment_key, feature_name, started_at
    FROM exposure_windows
    GROUP BY window, environment_key, feature_name, started_at
    HAVING max(state) < 'dropped'
) AS windows
    ON exposures.environment_key = windows.environment_key AND exposures.feature_name = windows.feature_name
WHERE event = '$flag_exposure' AND (identifier = '' OR value = '') AND timestamp >= started_at;
