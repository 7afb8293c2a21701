-- The longest time, in seconds, for which a JWK set may be cached that was fetched while the key signed.
ALTER TABLE signing_keys ADD COLUMN cache_life @int;
