-- How far each stream of each node has come. Of the sequences from the first to the last, all but
-- those of its open gaps have arrived.
CREATE TABLE stream_position (
    node text NOT NULL,
    stream text NOT NULL,
    epoch bigint NOT NULL,
    first_sequence bigint,
    last_sequence bigint,
    missing bigint NOT NULL DEFAULT 0,
    first_received_at timestamptz NOT NULL DEFAULT now(),
    last_received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, stream, epoch)
);

-- Ranges of sequences that were passed over. One that arrives late is filled, whole or in part.
CREATE TABLE gap (
    gap bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node text NOT NULL,
    stream text NOT NULL,
    epoch bigint NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    filled_at timestamptz,
    CHECK (first_sequence <= last_sequence)
);

CREATE INDEX gap_open ON gap (node, stream, epoch, first_sequence) WHERE filled_at IS NULL;
CREATE INDEX gap_filled ON gap (filled_at) WHERE filled_at IS NOT NULL;

CREATE VIEW positions AS
SELECT node, stream, epoch, first_sequence AS first, last_sequence AS last,
       last_sequence - first_sequence + 1 - missing AS count, missing,
       first_received_at, last_received_at
FROM stream_position
WHERE first_sequence IS NOT NULL;

-- What is missing now. Sequences count on from one epoch to the next, so that an epoch begins where
-- the one before it ended; one that does not go on where it should is a gap between epochs. A node
-- whose outbox was made anew begins at 1 again. What was before the first epoch that the hub knows
-- is not known to be missing.
CREATE VIEW gaps AS
SELECT node, stream, epoch, first_sequence AS first, last_sequence AS last,
       last_sequence - first_sequence + 1 AS missing, opened_at, 'within' AS place
FROM gap
WHERE filled_at IS NULL
UNION ALL
SELECT node, stream, epoch, expected, first_sequence - 1,
       first_sequence - expected, first_received_at, 'between'
FROM (
    SELECT node, stream, epoch, first_sequence, first_received_at,
           CASE WHEN first_sequence > previous THEN previous + 1 ELSE 1 END AS expected
    FROM (
        SELECT node, stream, epoch, first_sequence, first_received_at,
               lag(last_sequence) OVER (PARTITION BY node, stream ORDER BY epoch) AS previous
        FROM stream_position
        WHERE first_sequence IS NOT NULL
    ) AS epochs
    WHERE previous IS NOT NULL
) AS successors
WHERE first_sequence > 1 AND first_sequence > expected;
