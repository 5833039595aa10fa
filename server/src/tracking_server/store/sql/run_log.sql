-- name: log_metrics (postgresql)
-- differs because one statement commits by itself here: no round trips for BEGIN and COMMIT. Rows go in in Python's
-- order of tuples, as everywhere, so that two writers on the same runs wait for each other instead of deadlocking.
-- Of each run and key the latest is found here, as handing arrays over takes longer than sorting them.
WITH live AS (
    SELECT run_uuid, lifecycle_stage FROM runs WHERE run_uuid = ANY($1::text[])
), batch AS MATERIALIZED (
    SELECT m.*
      FROM unnest($2::text[], $3::text[], $4::float8[], $5::int8[], $6::int8[], $7::bool[]) WITH ORDINALITY
        AS m (run_uuid, key, value, timestamp, step, is_nan, number)
      JOIN live ON live.run_uuid = m.run_uuid AND live.lifecycle_stage = 'active'
), history AS (
    INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
    SELECT run_uuid, key, value, timestamp, step, is_nan
      FROM batch
     ORDER BY run_uuid COLLATE "C", key COLLATE "C", value, timestamp, step, is_nan
        ON CONFLICT DO NOTHING
), latest AS (
    INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
    SELECT DISTINCT ON (run_uuid COLLATE "C", key COLLATE "C") run_uuid, key, value, timestamp, step, is_nan
      FROM batch
     ORDER BY run_uuid COLLATE "C", key COLLATE "C", step DESC, timestamp DESC, value DESC, number
        ON CONFLICT (key, run_uuid) DO UPDATE
       SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
     WHERE (excluded.step, excluded.timestamp, excluded.value)
         > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)
)
SELECT run_uuid, lifecycle_stage FROM live

-- name: log_metrics (sqlite)
-- differs because SQLite has no arrays and always writes inside a transaction: never called
SELECT 1 WHERE 0

-- name: log_new_params (postgresql)
-- differs as log_metrics does. A parameter that is there already fails the statement: what then holds takes several.
WITH live AS (
    SELECT run_uuid, lifecycle_stage FROM runs WHERE run_uuid = ANY($1::text[])
), stored AS (
    INSERT INTO params (run_uuid, key, value)
    SELECT p.run_uuid, p.key, p.value
      FROM unnest($2::text[], $3::text[], $4::text[]) AS p (run_uuid, key, value)
      JOIN live ON live.run_uuid = p.run_uuid AND live.lifecycle_stage = 'active'
     ORDER BY p.run_uuid COLLATE "C", p.key COLLATE "C"
)
SELECT run_uuid, lifecycle_stage FROM live

-- name: log_new_params (sqlite)
-- differs as log_metrics does: never called
SELECT 1 WHERE 0

-- name: lifecycle_stages (postgresql)
-- differs because SQLite has no arrays
SELECT run_uuid, lifecycle_stage FROM runs WHERE run_uuid = ANY($1::text[])

-- name: lifecycle_stages (sqlite)
SELECT run_uuid, lifecycle_stage FROM runs WHERE run_uuid IN (SELECT value FROM json_each($1))

-- name: existing_params (postgresql)
-- differs because SQLite has no arrays
SELECT p.run_uuid, p.key, p.value
  FROM unnest($1::text[], $2::text[]) AS given (run_uuid, key)
  JOIN params p ON p.run_uuid = given.run_uuid AND p.key = given.key

-- name: existing_params (sqlite)
-- Finds some pairs more than were asked for, which does no harm; pairing two JSON arrays would take quadratic time.
SELECT run_uuid, key, value FROM params
 WHERE run_uuid IN (SELECT value FROM json_each($1)) AND key IN (SELECT value FROM json_each($2))

-- name: insert_params (postgresql)
-- differs because SQLite has no arrays: there each row runs the statement again
INSERT INTO params (run_uuid, key, value)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING

-- name: insert_params (sqlite)
INSERT INTO params (run_uuid, key, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: insert_metrics (postgresql)
-- differs because SQLite has no arrays
INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::int8[], $5::int8[], $6::bool[]) ON CONFLICT DO NOTHING

-- name: insert_metrics (sqlite)
INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING

-- name: upsert_latest_metrics (postgresql)
-- differs because SQLite has no arrays
INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::int8[], $5::int8[], $6::bool[])
    ON CONFLICT (key, run_uuid) DO UPDATE
   SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
 WHERE (excluded.step, excluded.timestamp, excluded.value)
     > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)

-- name: upsert_latest_metrics (sqlite)
INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (key, run_uuid) DO UPDATE
   SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
 WHERE (excluded.step, excluded.timestamp, excluded.value)
     > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)

-- name: upsert_tags (postgresql)
-- differs because SQLite has no arrays
INSERT INTO tags (run_uuid, key, value)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
    ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value

-- name: upsert_tags (sqlite)
INSERT INTO tags (run_uuid, key, value) VALUES ($1, $2, $3)
    ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value

-- name: rename_runs (postgresql)
-- differs because SQLite has no arrays
UPDATE runs SET name = given.name FROM unnest($1::text[], $2::text[]) AS given (run_uuid, name)
 WHERE runs.run_uuid = given.run_uuid

-- name: rename_runs (sqlite)
UPDATE runs SET name = $2 WHERE run_uuid = $1
