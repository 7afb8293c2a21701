-- Keys of the server that was here before: what it signed is good until a date.
CREATE TABLE earlier_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    public_jwk @json NOT NULL,
    created_at @time NOT NULL,
    verify_until @time NOT NULL
) @options;

-- Accounts that have ended their sessions since, and with them the tokens of that server.
CREATE TABLE earlier_ends (
    account_id @uuid NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE
) @options;
