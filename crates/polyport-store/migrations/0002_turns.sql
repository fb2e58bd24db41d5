-- How far each process has written its counters: what it offers again after a call without an answer is not counted again.
CREATE TABLE flushes (
    writer TEXT PRIMARY KEY,
    number BIGINT NOT NULL,
    written_at BIGINT NOT NULL
);

-- What rests is kept whole elsewhere.
ALTER TABLE health DROP COLUMN state;
ALTER TABLE health DROP COLUMN until;
ALTER TABLE health DROP COLUMN reason;

-- Whose turn it is at what only one process may do at a time.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);
