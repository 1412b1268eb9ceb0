-- The number of webhooks received about features of an environment.
CREATE TABLE flagsmith_webhooks (
  environment_key TEXT PRIMARY KEY,
  received INTEGER NOT NULL
) STRICT;
