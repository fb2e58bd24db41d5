-- Who may do what, how people sign in, where they are signed in, and what was done.

ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'member';

-- Apart from the users themselves, so that whoever reads those never holds a hash.
CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    must_change BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- Accounts elsewhere that people sign in with. The digest is one of issuer and subject.
CREATE TABLE subjects (
    digest TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX subjects_of_user ON subjects (user_id);

CREATE TABLE sessions (
    digest TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    means TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Ids begin with the time.
CREATE TABLE audit (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object_kind TEXT,
    object TEXT,
    status BIGINT NOT NULL,
    address TEXT,
    request TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_of_object ON audit (object, id);
CREATE INDEX audit_of_actor ON audit (actor, id);
