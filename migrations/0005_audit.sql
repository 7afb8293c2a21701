-- What was done. Rows are only added; the one change that is allowed takes the personal part out.
CREATE TABLE audit_events (
    id @uuid NOT NULL PRIMARY KEY,
    happened_at @time NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    request_id @uuid NOT NULL,
    detail TEXT,
    -- Who is concerned, for finding the events of an account; NULL once it is erased.
    account_id @uuid,
    -- The personal part and its salt; NULL once it is erased. The chain covers only its digest.
    personal @json,
    salt @bytes,
    commitment @bytes NOT NULL,
    -- The place in the chain and the MAC up to here; NULL for the moment until the event is sealed.
    place @int,
    mac @bytes
) @options;

CREATE UNIQUE INDEX audit_events_by_place ON audit_events (place) WHERE place IS NOT NULL;
CREATE INDEX audit_events_to_seal ON audit_events (id) WHERE place IS NULL;
CREATE INDEX audit_events_by_account ON audit_events (account_id, id);

-- The ends of the chain: what was cut off by age, and what was sealed last.
CREATE TABLE audit_chain (
    name TEXT NOT NULL PRIMARY KEY,
    place @int NOT NULL,
    mac @bytes NOT NULL
) @options;

-- Deleted accounts of whose events some still have their personal part.
CREATE TABLE audit_erasures (
    account_id @uuid NOT NULL PRIMARY KEY
) @options;
