-- Which master key the servers of this database have: the tag that it makes, never the key.
CREATE TABLE master_key (
    name TEXT NOT NULL PRIMARY KEY,
    tag @bytes NOT NULL
) @options;
