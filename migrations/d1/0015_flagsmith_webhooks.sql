-- How many webhooks about features of an environment have come.
CREATE TABLE flagsmith_webhooks (
  environment_key TEXT PRIMARY KEY,
  received INTEGER NOT NULL
) STRICT;
