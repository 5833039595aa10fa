-- name: experiments_of_new_runs (postgresql)
-- differs because SQLite has no arrays
SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments WHERE experiment_id = ANY($1::int4[])

-- name: experiments_of_new_runs (sqlite)
SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments
 WHERE experiment_id IN (SELECT value FROM json_each($1))

-- name: insert_tagged_runs (postgresql)
-- differs because one statement commits by itself here. Tags follow their runs, so that of a statement that is run
-- again it is a run that is found first.
WITH run AS (
    INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                      source_version, lifecycle_stage, artifact_uri, experiment_id)
    SELECT run_uuid, name, 'UNKNOWN', '', '', user_id, 'RUNNING', start_time, '', 'active', artifact_uri, experiment_id
      FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::text[], $6::int4[])
        AS new (run_uuid, name, user_id, start_time, artifact_uri, experiment_id)
    RETURNING run_uuid
)
INSERT INTO tags (run_uuid, key, value)
SELECT tag.run_uuid, tag.key, tag.value
  FROM run JOIN unnest($7::text[], $8::text[], $9::text[]) AS tag (run_uuid, key, value) ON tag.run_uuid = run.run_uuid

-- name: insert_tagged_runs (sqlite)
-- differs because a SQLite transaction has no round trips to save: never called
SELECT 1 WHERE 0

-- name: insert_run
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                  source_version, lifecycle_stage, artifact_uri, experiment_id)
VALUES ($1, $2, 'UNKNOWN', '', '', $3, 'RUNNING', $4, '', 'active', $5, $6)

-- name: insert_tag
INSERT INTO tags (run_uuid, key, value) VALUES ($1, $2, $3)
