-- One row while `claviger database copy` fills this database: nothing else opens it until that is done.
CREATE TABLE database_copy (
    -- Where it is copied from, without a password.
    source TEXT NOT NULL PRIMARY KEY,
    -- A digest of the source's own history: which database that is.
    identity @bytes NOT NULL,
    -- How far it is: the table, the last key that was copied of it (NULL: none yet), and how many rows of it.
    table_name TEXT NOT NULL,
    last_key @bytes,
    copied @int NOT NULL
) @options;
