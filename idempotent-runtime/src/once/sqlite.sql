CREATE TABLE IF NOT EXISTS {table} (
    -- The request's id, or what it begins with and a digest where that is long.
    id TEXT NOT NULL PRIMARY KEY,
    -- The run that has the row, or had it.
    execution TEXT NOT NULL,
    -- A digest of the client's payload.
    fingerprint BLOB,
    -- In seconds since 1970, by the database's clock.
    expires BIGINT NOT NULL,
    -- What was answered; without it nothing was done.
    reply BLOB
);
CREATE INDEX IF NOT EXISTS {index} ON {indexed} (expires);
