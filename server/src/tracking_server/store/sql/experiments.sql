-- name: experiments_of_page (postgresql)
-- Follows "WITH page AS (…)", which names experiment_id and position.
SELECT e.experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace, tags
  FROM page JOIN experiments e ON e.experiment_id = page.experiment_id
       -- All at once: of MLflow's own indexes, none of experiment_tags begins with the experiment.
       LEFT JOIN (SELECT experiment_id,
                         '[' || string_agg(
                                    '{"key":' || to_json(key) || coalesce(',"value":' || to_json(value), '') || '}', ','
                                    ORDER BY key) || ']' AS tags
                    FROM experiment_tags WHERE experiment_id IN (SELECT experiment_id FROM page)
                   GROUP BY experiment_id) t ON t.experiment_id = e.experiment_id
 ORDER BY page.position

-- name: experiments_of_page (sqlite)
-- differs because SQLite's JSON functions keep nulls unless a CASE leaves them out, and sort in a subquery
SELECT e.experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace,
       (SELECT nullif(json_group_array(json(CASE WHEN t.value IS NULL THEN json_object('key', t.key)
                                                 ELSE json_object('key', t.key, 'value', t.value) END)), '[]')
          FROM (SELECT key, value FROM experiment_tags WHERE experiment_id = e.experiment_id ORDER BY key) t) AS tags
  FROM page JOIN experiments e ON e.experiment_id = page.experiment_id
 ORDER BY page.position

-- name: lifecycle_stage
SELECT lifecycle_stage FROM experiments WHERE experiment_id = $1

-- name: lock_lifecycle_stage (postgresql)
-- differs because a SQLite transaction that writes has the database to itself. A stronger lock would make new runs of
-- the experiment wait, and those of other experiments in their group.
SELECT lifecycle_stage FROM experiments WHERE experiment_id = $1 FOR NO KEY UPDATE

-- name: lock_lifecycle_stage (sqlite)
SELECT lifecycle_stage FROM experiments WHERE experiment_id = $1

-- name: insert_experiment
INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace)
VALUES ($1, NULL, 'active', $2, $2, 'default')
RETURNING experiment_id

-- name: set_artifact_location
UPDATE experiments SET artifact_location = $2 WHERE experiment_id = $1

-- name: insert_tag
INSERT INTO experiment_tags (experiment_id, key, value) VALUES ($1, $2, $3)

-- name: upsert_tag
INSERT INTO experiment_tags (experiment_id, key, value) VALUES ($1, $2, $3)
    ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value

-- name: delete_tag
DELETE FROM experiment_tags WHERE experiment_id = $1 AND key = $2

-- name: other_custom_views
SELECT key FROM experiment_tags WHERE experiment_id = $1 AND key LIKE 'mlflow.customView.view%'

-- name: rename_experiment
UPDATE experiments SET name = $2, last_update_time = $3 WHERE experiment_id = $1

-- name: set_lifecycle_stage
UPDATE experiments SET lifecycle_stage = $2, last_update_time = $3 WHERE experiment_id = $1

-- name: delete_runs_of_experiment
UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = $2 WHERE experiment_id = $1

-- name: restore_runs_of_experiment
UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE experiment_id = $1

-- name: insert_default_experiment
INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time,
                         workspace)
VALUES (0, 'Default', $1, 'active', $2, $2, 'default')
    ON CONFLICT DO NOTHING
