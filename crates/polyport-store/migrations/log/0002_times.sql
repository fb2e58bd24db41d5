-- How long answered requests took, and their streams until they began: counts on a scale (see spread.rs) for the sums of minutes (period 0),
-- hours (1) and days (2) of the same levels, without money and credentials. Of requests that were written before there are none.

CREATE TABLE log_times (
    period BIGINT NOT NULL,
    level BIGINT NOT NULL,
    starts BIGINT NOT NULL,
    key BIGINT NOT NULL,
    person BIGINT NOT NULL,
    team BIGINT NOT NULL,
    model BIGINT NOT NULL,
    provider BIGINT NOT NULL,
    latency TEXT NOT NULL,
    first_token TEXT NOT NULL,
    PRIMARY KEY (period, level, starts, key, person, team, model, provider)
){ORDERED};

-- Sums of teams alone, which were missing.

INSERT INTO log_minutes (level, starts, key, person, team, model, currency, provider, credential, requests, ok, failed, status_2xx, status_4xx,
    status_5xx, attempts, attempts_failed, input, cache_read, cache_write, output, reasoning, estimated, unpriced,
    duration_ms, first_token_ms, first_tokens, charged_requests, charged_tokens, charged_milli, charged_rest, cost_milli,
    cost_rest)
SELECT 6, starts, 0, 0, team, 0, currency, 0, 0, SUM(requests), SUM(ok), SUM(failed), SUM(status_2xx), SUM(status_4xx),
    SUM(status_5xx), SUM(attempts), SUM(attempts_failed), SUM(input), SUM(cache_read), SUM(cache_write), SUM(output),
    SUM(reasoning), SUM(estimated), SUM(unpriced), SUM(duration_ms), SUM(first_token_ms), SUM(first_tokens),
    SUM(charged_requests), SUM(charged_tokens), SUM(charged_milli) + CAST(SUM(charged_rest) AS BIGINT) / 1000000000,
    CAST(SUM(charged_rest) AS BIGINT) % 1000000000, SUM(cost_milli) + CAST(SUM(cost_rest) AS BIGINT) / 1000000000,
    CAST(SUM(cost_rest) AS BIGINT) % 1000000000
FROM log_minutes WHERE level = 4 GROUP BY starts, team, currency;

INSERT INTO log_hours (level, starts, key, person, team, model, currency, provider, credential, requests, ok, failed, status_2xx, status_4xx,
    status_5xx, attempts, attempts_failed, input, cache_read, cache_write, output, reasoning, estimated, unpriced,
    duration_ms, first_token_ms, first_tokens, charged_requests, charged_tokens, charged_milli, charged_rest, cost_milli,
    cost_rest)
SELECT 6, starts, 0, 0, team, 0, currency, 0, 0, SUM(requests), SUM(ok), SUM(failed), SUM(status_2xx), SUM(status_4xx),
    SUM(status_5xx), SUM(attempts), SUM(attempts_failed), SUM(input), SUM(cache_read), SUM(cache_write), SUM(output),
    SUM(reasoning), SUM(estimated), SUM(unpriced), SUM(duration_ms), SUM(first_token_ms), SUM(first_tokens),
    SUM(charged_requests), SUM(charged_tokens), SUM(charged_milli) + CAST(SUM(charged_rest) AS BIGINT) / 1000000000,
    CAST(SUM(charged_rest) AS BIGINT) % 1000000000, SUM(cost_milli) + CAST(SUM(cost_rest) AS BIGINT) / 1000000000,
    CAST(SUM(cost_rest) AS BIGINT) % 1000000000
FROM log_hours WHERE level = 4 GROUP BY starts, team, currency;

INSERT INTO log_days (level, starts, key, person, team, model, currency, provider, credential, requests, ok, failed, status_2xx, status_4xx,
    status_5xx, attempts, attempts_failed, input, cache_read, cache_write, output, reasoning, estimated, unpriced,
    duration_ms, first_token_ms, first_tokens, charged_requests, charged_tokens, charged_milli, charged_rest, cost_milli,
    cost_rest)
SELECT 6, starts, 0, 0, team, 0, currency, 0, 0, SUM(requests), SUM(ok), SUM(failed), SUM(status_2xx), SUM(status_4xx),
    SUM(status_5xx), SUM(attempts), SUM(attempts_failed), SUM(input), SUM(cache_read), SUM(cache_write), SUM(output),
    SUM(reasoning), SUM(estimated), SUM(unpriced), SUM(duration_ms), SUM(first_token_ms), SUM(first_tokens),
    SUM(charged_requests), SUM(charged_tokens), SUM(charged_milli) + CAST(SUM(charged_rest) AS BIGINT) / 1000000000,
    CAST(SUM(charged_rest) AS BIGINT) % 1000000000, SUM(cost_milli) + CAST(SUM(cost_rest) AS BIGINT) / 1000000000,
    CAST(SUM(cost_rest) AS BIGINT) % 1000000000
FROM log_days WHERE level = 3 GROUP BY starts, team, currency;

INSERT INTO log_months (level, starts, key, person, team, model, currency, provider, credential, requests, ok, failed, status_2xx, status_4xx,
    status_5xx, attempts, attempts_failed, input, cache_read, cache_write, output, reasoning, estimated, unpriced,
    duration_ms, first_token_ms, first_tokens, charged_requests, charged_tokens, charged_milli, charged_rest, cost_milli,
    cost_rest)
SELECT 6, starts, 0, 0, team, 0, currency, 0, 0, SUM(requests), SUM(ok), SUM(failed), SUM(status_2xx), SUM(status_4xx),
    SUM(status_5xx), SUM(attempts), SUM(attempts_failed), SUM(input), SUM(cache_read), SUM(cache_write), SUM(output),
    SUM(reasoning), SUM(estimated), SUM(unpriced), SUM(duration_ms), SUM(first_token_ms), SUM(first_tokens),
    SUM(charged_requests), SUM(charged_tokens), SUM(charged_milli) + CAST(SUM(charged_rest) AS BIGINT) / 1000000000,
    CAST(SUM(charged_rest) AS BIGINT) % 1000000000, SUM(cost_milli) + CAST(SUM(cost_rest) AS BIGINT) / 1000000000,
    CAST(SUM(cost_rest) AS BIGINT) % 1000000000
FROM log_months WHERE level = 3 GROUP BY starts, team, currency;
