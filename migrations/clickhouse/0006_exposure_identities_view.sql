-- Runs on each insert into exposure_firsts, by the view of 0005 or when a refresh fills a window.
CREATE MATERIALIZED VIEW IF NOT EXISTS exposure_identities_view TO exposure_identities AS
SELECT
    window,
    identity,
    identity_check,
    groupBitAnd(cityHash64(variant)) AS variant_and,
    groupBitOr(cityHash64(variant)) AS variant_or,
    min(firsts.first_and_late) AS first_and_late,
    max(firsts.first_and_late) AS last_first
FROM exposure_firsts AS firsts
GROUP BY window, identity, identity_check;
