-- Records as they came, by the day that they are of. The day follows from the record alone, so that
-- the same record, however often and however late it comes, meets the same key.
CREATE TABLE record (
    day date NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    node text NOT NULL,
    ts timestamptz NOT NULL,
    epoch bigint,
    stream text,
    sequence bigint,
    schema text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    body jsonb NOT NULL,
    PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);

-- Records of 2 KB and more are compressed: with lz4 a batch is stored in a quarter less time. A
-- server that was built without it goes on with its own method.
DO $$
BEGIN
    ALTER TABLE record ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION
    WHEN feature_not_supported THEN NULL;
END
$$;

CREATE INDEX record_kind_ts ON record (kind, ts);

-- How many records there are, without counting them.
CREATE TABLE record_hour (
    hour timestamptz NOT NULL,
    node text NOT NULL,
    kind text NOT NULL,
    records bigint NOT NULL,
    newest_ts timestamptz NOT NULL,
    newest_received_at timestamptz NOT NULL,
    PRIMARY KEY (hour, node, kind)
);

-- Messages that were not taken, by the hour in which they came.
CREATE TABLE rejection_hour (
    hour timestamptz NOT NULL,
    queue text NOT NULL,
    reason text NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (hour, queue, reason)
);

-- Where to go on in queues that are streams.
CREATE TABLE queue_offset (
    queue text PRIMARY KEY,
    next_offset bigint NOT NULL
);

-- The chains of ledger records, byte for byte as they came. A node counts its own up by one.
CREATE TABLE ledger (
    node text NOT NULL,
    number bigint NOT NULL,
    id text NOT NULL,
    ts timestamptz NOT NULL,
    record text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, number, id)
);
