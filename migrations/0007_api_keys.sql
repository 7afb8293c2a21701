-- Keys that operators give to services; only their digests are stored.
CREATE TABLE api_keys (
    id @uuid NOT NULL PRIMARY KEY,
    digest @bytes NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at @time NOT NULL,
    expires_at @time,
    last_used_at @time
) @options;
