CREATE TABLE {NAME} (
    seq {ID} PRIMARY KEY,
    key BIGINT NOT NULL,
    person BIGINT NOT NULL,
    truncated BIGINT NOT NULL,
    request TEXT,
    answer TEXT
);
CREATE INDEX {NAME}_key ON {NAME} (key{PLACE});
CREATE INDEX {NAME}_person ON {NAME} (person{PLACE}) WHERE person > 0
