-- Requests that have ended. Their rows are in tables of their own, one for each day or month (log_parts); these are the others.

CREATE TABLE log_meta (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    schema_version BIGINT NOT NULL
);

-- How far each journal has been written.
CREATE TABLE log_positions (
    journal TEXT PRIMARY KEY,
    segment BIGINT NOT NULL,
    place BIGINT NOT NULL
);

-- Texts that repeat; rows refer to them by number. Names belong to what has them (owner), so that they go with it.
CREATE TABLE log_words (
    id {ID} PRIMARY KEY,
    kind BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    word TEXT NOT NULL,
    UNIQUE (kind, owner, word)
);

-- Tables of a day or a month: from starts, to before ends; rows up to cleaned have lost what tells of people.
CREATE TABLE log_parts (
    name TEXT PRIMARY KEY,
    kind BIGINT NOT NULL,
    starts BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    cleaned BIGINT NOT NULL
);
CREATE INDEX log_parts_by_time ON log_parts (kind, starts);

-- Sums. Level 0 tells nothing apart, 1 models and providers, 2 credentials as well, 3 only callers, 4 callers with models and providers,
-- 5 all of it, 6 only teams. There is no other index: each would be written to all over the place, and those of a caller are found period by period.

CREATE TABLE log_minutes (
    level BIGINT NOT NULL,
    starts BIGINT NOT NULL,
    key BIGINT NOT NULL,
    person BIGINT NOT NULL,
    team BIGINT NOT NULL,
    model BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    provider BIGINT NOT NULL,
    credential BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    ok BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    status_2xx BIGINT NOT NULL,
    status_4xx BIGINT NOT NULL,
    status_5xx BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    attempts_failed BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    first_token_ms BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL,
    charged_requests BIGINT NOT NULL,
    charged_tokens BIGINT NOT NULL,
    charged_milli BIGINT NOT NULL,
    charged_rest BIGINT NOT NULL,
    cost_milli BIGINT NOT NULL,
    cost_rest BIGINT NOT NULL,
    PRIMARY KEY (level, starts, key, person, team, model, currency, provider, credential)
){ORDERED};

CREATE TABLE log_hours (
    level BIGINT NOT NULL,
    starts BIGINT NOT NULL,
    key BIGINT NOT NULL,
    person BIGINT NOT NULL,
    team BIGINT NOT NULL,
    model BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    provider BIGINT NOT NULL,
    credential BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    ok BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    status_2xx BIGINT NOT NULL,
    status_4xx BIGINT NOT NULL,
    status_5xx BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    attempts_failed BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    first_token_ms BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL,
    charged_requests BIGINT NOT NULL,
    charged_tokens BIGINT NOT NULL,
    charged_milli BIGINT NOT NULL,
    charged_rest BIGINT NOT NULL,
    cost_milli BIGINT NOT NULL,
    cost_rest BIGINT NOT NULL,
    PRIMARY KEY (level, starts, key, person, team, model, currency, provider, credential)
){ORDERED};

CREATE TABLE log_days (
    level BIGINT NOT NULL,
    starts BIGINT NOT NULL,
    key BIGINT NOT NULL,
    person BIGINT NOT NULL,
    team BIGINT NOT NULL,
    model BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    provider BIGINT NOT NULL,
    credential BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    ok BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    status_2xx BIGINT NOT NULL,
    status_4xx BIGINT NOT NULL,
    status_5xx BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    attempts_failed BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    first_token_ms BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL,
    charged_requests BIGINT NOT NULL,
    charged_tokens BIGINT NOT NULL,
    charged_milli BIGINT NOT NULL,
    charged_rest BIGINT NOT NULL,
    cost_milli BIGINT NOT NULL,
    cost_rest BIGINT NOT NULL,
    PRIMARY KEY (level, starts, key, person, team, model, currency, provider, credential)
){ORDERED};

CREATE TABLE log_months (
    level BIGINT NOT NULL,
    starts BIGINT NOT NULL,
    key BIGINT NOT NULL,
    person BIGINT NOT NULL,
    team BIGINT NOT NULL,
    model BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    provider BIGINT NOT NULL,
    credential BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    ok BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    status_2xx BIGINT NOT NULL,
    status_4xx BIGINT NOT NULL,
    status_5xx BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    attempts_failed BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    first_token_ms BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL,
    charged_requests BIGINT NOT NULL,
    charged_tokens BIGINT NOT NULL,
    charged_milli BIGINT NOT NULL,
    charged_rest BIGINT NOT NULL,
    cost_milli BIGINT NOT NULL,
    cost_rest BIGINT NOT NULL,
    PRIMARY KEY (level, starts, key, person, team, model, currency, provider, credential)
){ORDERED};
