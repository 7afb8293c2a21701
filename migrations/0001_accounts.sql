-- Accounts and their passwords.
CREATE TABLE accounts (
    id @uuid NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at @time NOT NULL,
    -- Digest of the Idempotency-Key that the account was made with.
    idempotency_key @bytes
) @options;

-- Login by name looks for two rows at most.
CREATE INDEX accounts_by_name ON accounts (name);

CREATE TABLE passwords (
    account_id @uuid NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    phc TEXT NOT NULL,
    updated_at @time NOT NULL
) @options;
