-- name: lock_run (postgresql)
-- differs because a SQLite transaction that writes has the database to itself
SELECT lifecycle_stage, experiment_id FROM runs WHERE run_uuid = $1 FOR UPDATE

-- name: lock_run (sqlite)
SELECT lifecycle_stage, experiment_id FROM runs WHERE run_uuid = $1

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
