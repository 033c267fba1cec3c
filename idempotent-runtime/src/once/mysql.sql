CREATE TABLE IF NOT EXISTS {table} (
    -- The request's id, or what it begins with and a digest where that is long.
    id VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    -- The run that has the row, or had it.
    execution VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- A digest of the client's payload.
    fingerprint VARBINARY(32),
    -- In seconds since 1970, by the database's clock.
    expires BIGINT NOT NULL,
    -- What was answered; without it nothing was done.
    reply LONGBLOB,
    INDEX (expires)
) ENGINE = InnoDB;
