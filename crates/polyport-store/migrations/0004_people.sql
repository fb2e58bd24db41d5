-- Who may use the gateway. Keys are found by a digest; while a key is replaced, the digest before it is good for a time as well.

CREATE TABLE teams (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    enabled BIGINT NOT NULL,
    definition TEXT NOT NULL
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    enabled BIGINT NOT NULL,
    team TEXT,
    definition TEXT NOT NULL
);
CREATE INDEX users_of_team ON users (team);

CREATE TABLE client_keys (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    user_id TEXT,
    team TEXT,
    digest TEXT NOT NULL UNIQUE,
    shown TEXT NOT NULL,
    previous TEXT,
    previous_until BIGINT,
    expires_at BIGINT,
    definition TEXT NOT NULL
);
CREATE INDEX client_keys_of_user ON client_keys (user_id);
CREATE INDEX client_keys_of_team ON client_keys (team);
CREATE INDEX client_keys_by_change ON client_keys (updated_at);
