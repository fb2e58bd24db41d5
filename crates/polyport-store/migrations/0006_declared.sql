-- What operators declare beside providers, credentials, pools and routes: one row holds the settings.

CREATE TABLE declared (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    definition TEXT NOT NULL
);
