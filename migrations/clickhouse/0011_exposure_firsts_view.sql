-- Writes out ALL. A view runs with the settings of the user that inserts events, and join_default_strictness = 'ANY' would
-- lose some of them. If your table has another name than events, change it below.
ALTER TABLE exposure_firsts_view MODIFY QUERY
SELECT
    window,
    cityHash64(identifier) AS identity,
    xxh3(identifier) AS identity_check,
    substring(value, 1, 1001) AS variant,
    min(toUnixTimestamp64Milli(timestamp) * 2
        + ifNull(toUnixTimestamp64Milli(collected_at) - toUnixTimestamp64Milli(timestamp) > 3600000, 0)) AS first_and_late
FROM events AS exposures
ALL INNER JOIN
(
    SELECT window, environment_key, feature_name, started_at
    FROM exposure_windows
    GROUP BY window, environment_key, feature_name, started_at
    HAVING max(state) < 'dropped'
) AS windows
    ON exposures.environment_key = windows.environment_key AND exposures.feature_name = windows.feature_name
WHERE event = '$flag_exposure' AND identifier != '' AND value != '' AND timestamp >= started_at
GROUP BY window, identity, identity_check, variant;
