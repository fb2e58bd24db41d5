-- Credentials, pools and routes are written in the words of the configuration file, as providers are: one column holds them. Secrets belong to
-- any object, and go with it by the statement that deletes it.

ALTER TABLE credentials RENAME COLUMN settings TO definition;
ALTER TABLE credentials DROP COLUMN priority;
ALTER TABLE credentials DROP COLUMN weight;
ALTER TABLE credentials DROP COLUMN max_concurrent;
ALTER TABLE credentials DROP COLUMN per_minute;
ALTER TABLE credentials DROP COLUMN auth_header;
ALTER TABLE credentials DROP COLUMN auth_format;

ALTER TABLE pools RENAME COLUMN settings TO definition;
ALTER TABLE pools DROP COLUMN tier;
ALTER TABLE pools DROP COLUMN strategy;
ALTER TABLE pools DROP COLUMN targets;

ALTER TABLE routes RENAME COLUMN settings TO definition;
ALTER TABLE routes DROP COLUMN priority;
ALTER TABLE routes DROP COLUMN matches;
ALTER TABLE routes DROP COLUMN target;

CREATE TABLE secrets_of_objects (
    object TEXT PRIMARY KEY,
    sealed BYTEA NOT NULL,
    version BIGINT NOT NULL,
    identity TEXT NOT NULL UNIQUE
);
INSERT INTO secrets_of_objects (object, sealed, version, identity) SELECT credential, sealed, version, identity FROM secrets;
DROP TABLE secrets;
ALTER TABLE secrets_of_objects RENAME TO secrets;
