-- A disabled account is refused on every path.
ALTER TABLE accounts ADD COLUMN disabled_at @time;

-- Counts the changes of the password; a new hash of the same one is none.
ALTER TABLE passwords ADD COLUMN version @int NOT NULL DEFAULT 0;

-- One row a login. It holds all that its refresh tokens need: the generation and the digest of the one that
-- is good now; older ones are known by their tag.
CREATE TABLE sessions (
    id @uuid NOT NULL PRIMARY KEY,
    -- No reference: a deleted account's sessions stay until the last of their access tokens has ended.
    account_id @uuid NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at @time NOT NULL,
    last_used_at @time NOT NULL,
    absolute_expires_at @time NOT NULL,
    -- The earliest of: the absolute limit, the idle limit, the end.
    expires_at @time NOT NULL,
    -- When the last access token of this session ends.
    access_expires_at @time NOT NULL,
    ended_at @time,
    -- The ends are numbered in the order of their commits, so that who looks for new ones misses none.
    end_number @int,
    generation @int NOT NULL,
    refresh_digest @bytes NOT NULL,
    -- When the latest generations were spent, the last first; 8 bytes each.
    spent_at @bytes NOT NULL,
    status_index @int NOT NULL,
    address TEXT,
    user_agent TEXT
) @options;

CREATE INDEX sessions_by_account ON sessions (account_id, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at, access_expires_at);
CREATE INDEX sessions_by_end ON sessions (end_number) WHERE end_number IS NOT NULL;

-- Numbers that are given out, one by one or in blocks.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    next @int NOT NULL
) @options;

INSERT INTO counters (name, next) VALUES ('status_index', 0);
INSERT INTO counters (name, next) VALUES ('session_end', 1);
