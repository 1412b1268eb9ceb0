-- When the relative weights last changed while the experiment ran; null: never.
ALTER TABLE experiments ADD COLUMN weights_changed_at INTEGER;
