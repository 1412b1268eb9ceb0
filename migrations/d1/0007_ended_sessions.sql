-- Sessions whose visitors signed out before the session expired. Times are epoch milliseconds.
CREATE TABLE ended_sessions (
  id TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX ended_sessions_by_expiry ON ended_sessions (expires_at);
