-- The same text runs on SQLite and Postgres: TEXT, BIGINT and BYTEA only, truth as 0 or 1, times as Unix milliseconds, JSON as text.

-- One row: which schema this is, how often something that the gateway's snapshot holds was changed, and the master key of what is sealed.
CREATE TABLE meta (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    schema_version BIGINT NOT NULL,
    changes BIGINT NOT NULL,
    key_id TEXT NOT NULL
);

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE providers (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    enabled BIGINT NOT NULL,
    definition TEXT NOT NULL
);

-- The provider is a name: it may be one that the configuration file declares.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    provider TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    max_concurrent BIGINT,
    per_minute BIGINT,
    auth_header TEXT,
    auth_format TEXT,
    settings TEXT NOT NULL
);
CREATE INDEX credentials_of_provider ON credentials (provider);

-- `version` counts the tokens, so that of two refreshes one wins. `identity` finds the same secret imported twice.
CREATE TABLE secrets (
    credential TEXT PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
    sealed BYTEA NOT NULL,
    version BIGINT NOT NULL,
    identity TEXT NOT NULL UNIQUE
);

-- What was learned about credentials, also about those that the file declares; so there is no reference.
CREATE TABLE health (
    credential TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    until BIGINT,
    reason TEXT,
    requests BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE TABLE health_statuses (
    credential TEXT NOT NULL REFERENCES health (credential) ON DELETE CASCADE,
    status BIGINT NOT NULL,
    answers BIGINT NOT NULL,
    PRIMARY KEY (credential, status)
);

CREATE TABLE pools (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    enabled BIGINT NOT NULL,
    tier TEXT,
    strategy TEXT NOT NULL,
    targets TEXT NOT NULL,
    settings TEXT NOT NULL
);

CREATE TABLE routes (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    matches TEXT NOT NULL,
    target TEXT NOT NULL,
    settings TEXT NOT NULL
);

-- What is remembered between requests. The id is a digest of kind, owner and name.
CREATE TABLE kept (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    body BYTEA NOT NULL,
    bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX kept_by_age ON kept (kind, created_at);
CREATE INDEX kept_by_expiry ON kept (expires_at);
