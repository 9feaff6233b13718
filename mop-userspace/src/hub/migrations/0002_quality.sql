-- What the counts are of. Empty texts stand for what a summary does not have: the counterpart of
-- calls that the node answers, the operation of calls without a contract.
CREATE TABLE quality_series (
    series bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    counterpart text NOT NULL,
    api text NOT NULL,
    api_version text NOT NULL,
    method text NOT NULL,
    template text NOT NULL,
    operation_id text NOT NULL,
    UNIQUE (counterpart, api, api_version, method, template, operation_id)
);

CREATE TABLE quality_hour (
    hour timestamptz NOT NULL,
    series bigint NOT NULL REFERENCES quality_series,
    calls bigint NOT NULL,
    conforming bigint NOT NULL,
    violating bigint NOT NULL,
    unjudged bigint NOT NULL,
    violating_as_published bigint NOT NULL,
    other_codes bigint NOT NULL,
    PRIMARY KEY (hour, series)
);

-- Calls in which something was wrong.
CREATE TABLE quality_hour_code (
    hour timestamptz NOT NULL,
    series bigint NOT NULL REFERENCES quality_series,
    direction text NOT NULL,
    code text NOT NULL,
    attribute text NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (hour, series, direction, code, attribute)
);

-- Calls that could not be judged wholly.
CREATE TABLE quality_hour_reason (
    hour timestamptz NOT NULL,
    series bigint NOT NULL REFERENCES quality_series,
    reason text NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (hour, series, reason)
);

CREATE VIEW quality_by_hour AS
SELECT hour, counterpart, api, api_version, method, template, operation_id,
       calls, conforming, violating, unjudged, violating_as_published, other_codes
FROM quality_hour JOIN quality_series USING (series);

CREATE VIEW quality_codes_by_hour AS
SELECT hour, counterpart, api, api_version, method, template, operation_id,
       direction, code, attribute, calls
FROM quality_hour_code JOIN quality_series USING (series);

CREATE VIEW quality_reasons_by_hour AS
SELECT hour, counterpart, api, api_version, method, template, operation_id, reason, calls
FROM quality_hour_reason JOIN quality_series USING (series);
