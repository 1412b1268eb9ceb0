-- A window is filled slice by slice. filled_to is the end of the last slice, fill_failures how often the next one has
-- failed, and fill_slice_ms the length to try next.
ALTER TABLE exposure_windows
    ADD COLUMN IF NOT EXISTS filled_to DateTime64(3) DEFAULT started_at,
    ADD COLUMN IF NOT EXISTS fill_failures UInt8 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS fill_slice_ms UInt64 DEFAULT 86400000;
