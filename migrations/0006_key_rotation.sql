-- The life of signing keys.
-- A next key: when it shall sign, if it is published long enough by then.
ALTER TABLE signing_keys ADD COLUMN due_at @time;
ALTER TABLE signing_keys ADD COLUMN activated_at @time;
ALTER TABLE signing_keys ADD COLUMN retired_at @time;
-- The longest life, in seconds, of a token that it signed.
ALTER TABLE signing_keys ADD COLUMN token_life @int;
