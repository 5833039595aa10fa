-- name: lock_run (postgresql)
-- differs because a SQLite transaction that writes has the database to itself
SELECT lifecycle_stage, experiment_id FROM runs WHERE run_uuid = $1 FOR UPDATE

-- name: lock_run (sqlite)
SELECT lifecycle_stage, experiment_id FROM runs WHERE run_uuid = $1

-- name: experiment_of_new_run
SELECT artifact_location, lifecycle_stage FROM experiments WHERE experiment_id = $1

-- name: insert_run
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                  source_version, lifecycle_stage, artifact_uri, experiment_id)
VALUES ($1, $2, 'UNKNOWN', '', '', $3, 'RUNNING', $4, '', 'active', $5, $6)

-- name: insert_tag
INSERT INTO tags (run_uuid, key, value) VALUES ($1, $2, $3)

-- name: insert_tagged_run (postgresql)
-- differs because one statement commits by itself here
WITH run AS (
    INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                      source_version, lifecycle_stage, artifact_uri, experiment_id)
    VALUES ($1, $2, 'UNKNOWN', '', '', $3, 'RUNNING', $4, '', 'active', $5, $6)
    RETURNING run_uuid
)
INSERT INTO tags (run_uuid, key, value)
SELECT run.run_uuid, tag.key, tag.value FROM run, unnest($7::text[], $8::text[]) AS tag (key, value)

-- name: insert_tagged_run (sqlite)
-- differs because a SQLite transaction has no round trips to save: never called
SELECT 1 WHERE 0

-- name: update_run
UPDATE runs SET status = coalesce($2, status), end_time = coalesce($3, end_time), name = coalesce($4, name)
 WHERE run_uuid = $1
RETURNING coalesce(nullif(name, ''),
                   (SELECT value FROM tags WHERE tags.run_uuid = $1 AND key = 'mlflow.runName'), name) AS name,
          run_uuid, experiment_id, user_id, status, start_time, end_time, artifact_uri, lifecycle_stage

-- name: set_run_name_tag
INSERT INTO tags (run_uuid, key, value) VALUES ($1, 'mlflow.runName', $2)
    ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value

-- name: mark_deleted
UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = $2 WHERE run_uuid = $1

-- name: mark_active
UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE run_uuid = $1

-- name: delete_tag
DELETE FROM tags WHERE run_uuid = $1 AND key = $2
