-- name: history (postgresql)
-- PostgreSQL builds the JSON, in pieces of 10,000 points; $5 opens a point up to its value, points after $4 are counted
-- only. is_nan breaks the ties that stock leaves open, so that pages do not overlap.
SELECT count(*) AS points,
       convert_to(string_agg(
           $5::text || CASE WHEN is_nan THEN '"NaN"'
                            WHEN value = trunc(value) AND abs(value) < 1e15 THEN value::text || '.0'
                            WHEN abs(value) <= 1.7976931348623157e308 THEN value::text
                            ELSE '"' || value::text || '"' END
           || ',"timestamp":' || timestamp || ',"step":' || step || '}', ',' ORDER BY number)
           FILTER (WHERE (number <= $4::bigint) IS NOT FALSE), 'UTF8') AS json
  FROM (SELECT value, timestamp, step, is_nan, row_number() OVER () AS number
          FROM (SELECT value, timestamp, step, is_nan FROM metrics
                 WHERE run_uuid = $1 AND key = $2
                 ORDER BY timestamp, step, value, is_nan
                 LIMIT $4::bigint + 1 OFFSET $3::bigint) page) numbered
 GROUP BY (number - 1) / 10000
 ORDER BY (number - 1) / 10000

-- name: history (sqlite)
-- differs because SQLite's JSON functions round floats. A negative limit is none. INDEXED BY, here and below, because
-- SQLite prefers the primary key, and so would read the points of all runs that log the key.
SELECT value, timestamp, step, is_nan FROM metrics INDEXED BY index_metrics_run_uuid_key_step
 WHERE run_uuid = $1 AND key = $2
 ORDER BY timestamp, step, value, is_nan
 LIMIT coalesce($4 + 1, -1) OFFSET $3

-- name: histories (postgresql)
-- As history, for several runs; Flask writes numbers that JSON lacks bare, as Python's JSON does.
SELECT convert_to(string_agg(
           $4::text || CASE WHEN is_nan THEN 'NaN'
                            WHEN value = trunc(value) AND abs(value) < 1e15 THEN value::text || '.0'
                            ELSE value::text END
           || ',"timestamp":' || timestamp || ',"step":' || step || ',"run_id":' || to_json(run_uuid) || '}',
           ',' ORDER BY number), 'UTF8') AS json
  FROM (SELECT run_uuid, value, timestamp, step, is_nan, row_number() OVER () AS number
          FROM (SELECT run_uuid, value, timestamp, step, is_nan FROM metrics
                 WHERE run_uuid = ANY($1::text[]) AND key = $2
                 ORDER BY run_uuid, timestamp, step, value, is_nan
                 LIMIT $3::bigint) page) numbered
HAVING count(*) > 0

-- name: histories (sqlite)
-- differs as history does
SELECT value, timestamp, step, is_nan, run_uuid FROM metrics INDEXED BY index_metrics_run_uuid_key_step
 WHERE run_uuid IN (SELECT value FROM json_each($1)) AND key = $2
 ORDER BY run_uuid, timestamp, step, value, is_nan
 LIMIT $3

-- name: samples (postgresql)
-- differs because PostgreSQL has arrays, and builds the JSON. $3 points of each run, those at which NTILE($3) begins a
-- new bucket, but the last point instead of the last bucket's. Steps are read first, from the index alone. A short run's
-- points are then numbered; of a long run those of the chosen steps are looked up one by one.
SELECT given.run_uuid,
       convert_to(string_agg(
           $6::text || CASE WHEN is_nan THEN '"NaN"'
                            WHEN value = trunc(value) AND abs(value) < 1e15 THEN value::text || '.0'
                            WHEN abs(value) <= 1.7976931348623157e308 THEN value::text
                            ELSE '"' || value::text || '"' END
           || ',"timestamp":' || timestamp || ',"step":' || step || ',"run_id":' || to_json(given.run_uuid) || '}',
           ',' ORDER BY number), 'UTF8') AS json
  FROM unnest($1::text[]) AS given (run_uuid)
 CROSS JOIN LATERAL (
    SELECT steps, cardinality(steps) AS total, cardinality(steps) > 8 * $3::bigint AS is_long
      -- OFFSET 0, here and below, keeps the planner from doing twice, or for the whole run, what is done once.
      FROM (SELECT array_agg(step) AS steps
              FROM (SELECT step FROM metrics
                     WHERE run_uuid = given.run_uuid AND key = $2 AND step BETWEEN $4::bigint AND $5::bigint
                     ORDER BY step) AS ordered) AS aggregated
    OFFSET 0) AS run
 CROSS JOIN LATERAL (
    SELECT number, value, timestamp, step, is_nan
      FROM (SELECT value, timestamp, step, is_nan,
                   row_number() OVER (ORDER BY step, timestamp, value, is_nan) AS number
              FROM metrics
             WHERE run_uuid = given.run_uuid AND key = $2 AND step BETWEEN $4::bigint AND $5::bigint
               AND NOT is_long) AS point
     WHERE number = total
        OR total <= $3
        OR number <= ($3 - 1) * (total / $3) + least($3 - 1, total % $3)
           AND CASE WHEN number - 1 < (total % $3) * (total / $3 + 1) THEN (number - 1) % (total / $3 + 1) = 0
                    ELSE (number - 1 - total % $3) % (total / $3) = 0 END
     UNION ALL
    (WITH chosen AS MATERIALIZED (
        -- "first" is the number of the step's first point, at the first of the numbers chosen within the step.
        SELECT number, steps[number] AS step,
               CASE WHEN steps[number] = steps[previous] THEN NULL
                    WHEN steps[number] = steps[number - 1]
                    THEN previous + array_position(steps[previous + 1 : number], steps[number])
                    ELSE number END AS first
          FROM (SELECT (CASE WHEN bucket = $3 - 1 THEN total
                             ELSE bucket * (total / $3) + least(bucket, total % $3) + 1 END)::integer AS number,
                       (CASE WHEN bucket > 0
                             THEN (bucket - 1) * (total / $3) + least(bucket - 1, total % $3) + 1 ELSE 0 END)::integer
                       AS previous
                  FROM generate_series(0, $3 - 1) AS bucket
                 WHERE is_long) AS numbers)
     SELECT number, value, timestamp, point.step, is_nan
       FROM (SELECT value, timestamp, step, is_nan,
                    first - 1 + row_number() OVER (PARTITION BY step ORDER BY timestamp, value, is_nan) AS number
               FROM (SELECT step, value, timestamp, is_nan FROM metrics
                      WHERE run_uuid = given.run_uuid AND key = $2
                        AND step = ANY(ARRAY(SELECT step FROM chosen WHERE first IS NOT NULL)) OFFSET 0) AS looked_up
               JOIN (SELECT step, first FROM chosen WHERE first IS NOT NULL) AS step_of USING (step)) AS point
       JOIN chosen USING (number))) AS sample
 GROUP BY given.run_uuid

-- name: samples (sqlite)
-- The same points: totals and numbers come from the index alone, the chosen steps' points are then looked up.
WITH total AS (
    SELECT run_uuid, count(*) AS total FROM metrics INDEXED BY index_metrics_run_uuid_key_step
     WHERE run_uuid IN (SELECT value FROM json_each($1)) AND key = $2 AND step BETWEEN $4 AND $5
     GROUP BY run_uuid
), numbered AS (
    SELECT run_uuid, step, row_number() OVER by_step AS number, rank() OVER by_step AS first
      FROM metrics INDEXED BY index_metrics_run_uuid_key_step
     WHERE run_uuid IN (SELECT value FROM json_each($1)) AND key = $2 AND step BETWEEN $4 AND $5
    WINDOW by_step AS (PARTITION BY run_uuid ORDER BY step)
), chosen AS MATERIALIZED (
    SELECT run_uuid, number, step, first
      FROM numbered JOIN total USING (run_uuid)
     WHERE number = total
        OR total <= $3
        OR number <= ($3 - 1) * (total / $3) + min($3 - 1, total % $3)
           AND CASE WHEN number - 1 < (total % $3) * (total / $3 + 1) THEN (number - 1) % (total / $3 + 1) = 0
                    ELSE (number - 1 - total % $3) % (total / $3) = 0 END
)
SELECT value, timestamp, step, is_nan, run_uuid
  FROM (SELECT m.run_uuid, m.step, value, timestamp, is_nan,
               first - 1 + row_number() OVER (PARTITION BY m.run_uuid, m.step ORDER BY timestamp, value, is_nan) AS number
          FROM (SELECT DISTINCT run_uuid, step, first FROM chosen) AS c
         CROSS JOIN metrics AS m INDEXED BY index_metrics_run_uuid_key_step
            ON m.run_uuid = c.run_uuid AND m.key = $2 AND m.step = c.step) AS point
 WHERE (run_uuid, number) IN (SELECT run_uuid, number FROM chosen)
 ORDER BY run_uuid, number
