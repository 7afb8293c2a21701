-- The keys that sign tokens; private halves are sealed with the master key.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    public_jwk @json NOT NULL,
    sealed_pkcs8 @bytes NOT NULL,
    created_at @time NOT NULL
) @options;
