-- Findings that MISP was not told of yet. They are put here in the transaction that stores them, and
-- taken out when their event was told.
CREATE TABLE misp_queue (
    day date NOT NULL,
    id text NOT NULL,
    rule text NOT NULL,
    -- Organisation that called; empty when it is not known.
    client text NOT NULL,
    PRIMARY KEY (day, id)
);

CREATE INDEX misp_queue_event ON misp_queue (day, rule, client, id);

-- Events as MISP was told of them last: one for each rule, client organisation and day.
CREATE TABLE misp_event (
    day date NOT NULL,
    rule text NOT NULL,
    client text NOT NULL,
    -- None before the first time.
    content text,
    -- Why MISP will never take it as it is; its findings wait until the hub is started again.
    refused text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, rule, client)
);
