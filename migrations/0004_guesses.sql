-- Wrong passwords, counted by a digest of whom or where they concern.
CREATE TABLE guesses (
    subject @bytes NOT NULL PRIMARY KEY,
    failures @int NOT NULL,
    last_failed_at @time NOT NULL
) @options;

CREATE INDEX guesses_by_time ON guesses (last_failed_at);

-- Networks that an account has logged in from.
CREATE TABLE known_networks (
    account_id @uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    last_used_at @time NOT NULL,
    PRIMARY KEY (account_id, network)
) @options;

CREATE INDEX known_networks_by_time ON known_networks (last_used_at);
