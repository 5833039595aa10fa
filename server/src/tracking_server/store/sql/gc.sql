-- name: gc_runs_by_id (postgresql)
-- differs because PostgreSQL takes a list as an array, SQLite as JSON (so throughout this file)
SELECT run_uuid AS id, lifecycle_stage FROM runs WHERE run_uuid = ANY($1::text[])

-- name: gc_runs_by_id (sqlite)
SELECT run_uuid AS id, lifecycle_stage FROM runs WHERE run_uuid IN (SELECT value FROM json_each($1))

-- name: gc_young_runs (postgresql)
SELECT run_uuid AS id, experiment_id FROM runs
 WHERE lifecycle_stage = 'deleted' AND (deleted_time IS NULL OR deleted_time > $3)
   AND (run_uuid = ANY($1::text[]) OR experiment_id = ANY($2::int[]))

-- name: gc_young_runs (sqlite)
SELECT run_uuid AS id, experiment_id FROM runs
 WHERE lifecycle_stage = 'deleted' AND (deleted_time IS NULL OR deleted_time > $3)
   AND (run_uuid IN (SELECT value FROM json_each($1)) OR experiment_id IN (SELECT value FROM json_each($2)))

-- name: gc_models_by_id (postgresql)
SELECT model_id AS id, lifecycle_stage, last_updated_timestamp_ms AS changed FROM logged_models
 WHERE model_id = ANY($1::text[])

-- name: gc_models_by_id (sqlite)
SELECT model_id AS id, lifecycle_stage, last_updated_timestamp_ms AS changed FROM logged_models
 WHERE model_id IN (SELECT value FROM json_each($1))

-- name: gc_experiments_by_id (postgresql)
SELECT experiment_id AS id, lifecycle_stage, last_update_time AS changed FROM experiments
 WHERE experiment_id = ANY($1::int[])

-- name: gc_experiments_by_id (sqlite)
SELECT experiment_id AS id, lifecycle_stage, last_update_time AS changed FROM experiments
 WHERE experiment_id IN (SELECT value FROM json_each($1))

-- name: gc_deleted_experiments
SELECT experiment_id AS id FROM experiments
 WHERE lifecycle_stage = 'deleted' AND ($1 = 0 OR last_update_time < $2) ORDER BY experiment_id

-- name: gc_guarded_experiments (postgresql)
SELECT DISTINCT s.experiment_id AS id FROM guardrails g JOIN scorers s ON s.scorer_id = g.scorer_id
 WHERE s.experiment_id = ANY($1::int[])

-- name: gc_guarded_experiments (sqlite)
SELECT DISTINCT s.experiment_id AS id FROM guardrails g JOIN scorers s ON s.scorer_id = g.scorer_id
 WHERE s.experiment_id IN (SELECT value FROM json_each($1))

-- name: gc_count_runs (postgresql)
SELECT count(*) FROM runs
 WHERE lifecycle_stage = 'deleted'
   AND (run_uuid = ANY($1::text[]) OR deleted_time <= $2 OR experiment_id = ANY($3::int[]))

-- name: gc_count_runs (sqlite)
SELECT count(*) FROM runs
 WHERE lifecycle_stage = 'deleted'
   AND (run_uuid IN (SELECT value FROM json_each($1)) OR deleted_time <= $2
        OR experiment_id IN (SELECT value FROM json_each($3)))

-- name: gc_runs (postgresql)
SELECT run_uuid AS id, artifact_uri AS location, experiment_id FROM runs
 WHERE run_uuid > $4 AND lifecycle_stage = 'deleted'
   AND (run_uuid = ANY($1::text[]) OR deleted_time <= $2 OR experiment_id = ANY($3::int[]))
 ORDER BY run_uuid LIMIT $5

-- name: gc_runs (sqlite)
SELECT run_uuid AS id, artifact_uri AS location, experiment_id FROM runs
 WHERE run_uuid > $4 AND lifecycle_stage = 'deleted'
   AND (run_uuid IN (SELECT value FROM json_each($1)) OR deleted_time <= $2
        OR experiment_id IN (SELECT value FROM json_each($3)))
 ORDER BY run_uuid LIMIT $5

-- name: gc_count_models (postgresql)
SELECT count(*) FROM logged_models
 WHERE lifecycle_stage = 'deleted' AND (model_id = ANY($1::text[]) OR last_updated_timestamp_ms <= $2)

-- name: gc_count_models (sqlite)
SELECT count(*) FROM logged_models
 WHERE lifecycle_stage = 'deleted'
   AND (model_id IN (SELECT value FROM json_each($1)) OR last_updated_timestamp_ms <= $2)

-- name: gc_models (postgresql)
SELECT model_id AS id, artifact_location AS location, experiment_id FROM logged_models
 WHERE model_id > $3 AND lifecycle_stage = 'deleted'
   AND (model_id = ANY($1::text[]) OR last_updated_timestamp_ms <= $2)
 ORDER BY model_id LIMIT $4

-- name: gc_models (sqlite)
SELECT model_id AS id, artifact_location AS location, experiment_id FROM logged_models
 WHERE model_id > $3 AND lifecycle_stage = 'deleted'
   AND (model_id IN (SELECT value FROM json_each($1)) OR last_updated_timestamp_ms <= $2)
 ORDER BY model_id LIMIT $4

-- name: gc_jobs (postgresql)
-- Finished jobs: SUCCEEDED, FAILED, TIMEOUT, CANCELED (mlflow/entities/_job_status.py).
SELECT id FROM jobs
 WHERE id > $4 AND status IN (2, 3, 4, 5) AND (cardinality($1::text[]) = 0 OR id = ANY($1::text[]))
   AND ($2 = 0 OR creation_time < $3)
 ORDER BY id LIMIT $5

-- name: gc_jobs (sqlite)
SELECT id FROM jobs
 WHERE id > $4 AND status IN (2, 3, 4, 5)
   AND (json_array_length($1) = 0 OR id IN (SELECT value FROM json_each($1)))
   AND ($2 = 0 OR creation_time < $3)
 ORDER BY id LIMIT $5

-- name: gc_lock_runs (postgresql)
-- differs because a SQLite transaction that writes has the database to itself (so below, too)
SELECT run_uuid AS id FROM runs WHERE run_uuid = ANY($1::text[]) AND lifecycle_stage = 'deleted'
 ORDER BY run_uuid FOR UPDATE

-- name: gc_lock_runs (sqlite)
SELECT run_uuid AS id FROM runs
 WHERE run_uuid IN (SELECT value FROM json_each($1)) AND lifecycle_stage = 'deleted'

-- name: gc_lock_models (postgresql)
SELECT model_id AS id FROM logged_models WHERE model_id = ANY($1::text[]) AND lifecycle_stage = 'deleted'
 ORDER BY model_id FOR UPDATE

-- name: gc_lock_models (sqlite)
SELECT model_id AS id FROM logged_models
 WHERE model_id IN (SELECT value FROM json_each($1)) AND lifecycle_stage = 'deleted'

-- name: gc_lock_jobs (postgresql)
SELECT id FROM jobs WHERE id = ANY($1::text[]) AND status IN (2, 3, 4, 5) ORDER BY id FOR UPDATE

-- name: gc_lock_jobs (sqlite)
SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each($1)) AND status IN (2, 3, 4, 5)

-- name: gc_lock_experiment (postgresql)
SELECT experiment_id AS id FROM experiments WHERE experiment_id = $1 AND lifecycle_stage = 'deleted' FOR UPDATE

-- name: gc_lock_experiment (sqlite)
SELECT experiment_id AS id FROM experiments WHERE experiment_id = $1 AND lifecycle_stage = 'deleted'

-- name: gc_count_model_metrics_of_models (postgresql)
-- Rows that go with a model and were not counted with one of the runs that go: by id, by age or with an experiment.
SELECT count(*) FROM logged_model_metrics m JOIN runs r ON r.run_uuid = m.run_id
 WHERE m.model_id = ANY($1::text[])
   AND NOT (r.lifecycle_stage = 'deleted'
            AND (r.run_uuid = ANY($2::text[]) OR coalesce(r.deleted_time <= $3, false)
                 OR r.experiment_id = ANY($4::int[])))

-- name: gc_count_model_metrics_of_models (sqlite)
SELECT count(*) FROM logged_model_metrics m JOIN runs r ON r.run_uuid = m.run_id
 WHERE m.model_id IN (SELECT value FROM json_each($1))
   AND NOT (r.lifecycle_stage = 'deleted'
            AND (r.run_uuid IN (SELECT value FROM json_each($2)) OR coalesce(r.deleted_time <= $3, false)
                 OR r.experiment_id IN (SELECT value FROM json_each($4))))

-- name: gc_count_model_metrics_of_experiment (postgresql)
-- Rows of an experiment's own runs and models that were not counted with a run or model that goes by itself, or with
-- an experiment of a smaller number.
SELECT count(*) FROM logged_model_metrics m
  JOIN runs r ON r.run_uuid = m.run_id JOIN logged_models l ON l.model_id = m.model_id
 WHERE (r.experiment_id = $1 OR l.experiment_id = $1)
   AND NOT (r.lifecycle_stage = 'deleted'
            AND (r.run_uuid = ANY($2::text[]) OR coalesce(r.deleted_time <= $3, false)
                 OR r.experiment_id = ANY($4::int[])))
   AND NOT (l.lifecycle_stage = 'deleted'
            AND (l.model_id = ANY($5::text[]) OR l.last_updated_timestamp_ms <= $6))
   AND NOT (r.experiment_id < $1 AND r.experiment_id = ANY($4::int[]))
   AND NOT (l.experiment_id < $1 AND l.experiment_id = ANY($4::int[]))

-- name: gc_count_model_metrics_of_experiment (sqlite)
SELECT count(*) FROM logged_model_metrics m
  JOIN runs r ON r.run_uuid = m.run_id JOIN logged_models l ON l.model_id = m.model_id
 WHERE (r.experiment_id = $1 OR l.experiment_id = $1)
   AND NOT (r.lifecycle_stage = 'deleted'
            AND (r.run_uuid IN (SELECT value FROM json_each($2)) OR coalesce(r.deleted_time <= $3, false)
                 OR r.experiment_id IN (SELECT value FROM json_each($4))))
   AND NOT (l.lifecycle_stage = 'deleted'
            AND (l.model_id IN (SELECT value FROM json_each($5)) OR l.last_updated_timestamp_ms <= $6))
   AND NOT (r.experiment_id < $1 AND r.experiment_id IN (SELECT value FROM json_each($4)))
   AND NOT (l.experiment_id < $1 AND l.experiment_id IN (SELECT value FROM json_each($4)))

-- name: gc_experiment_locations
SELECT experiment_id AS id, artifact_location AS location FROM experiments WHERE experiment_id > $1
 ORDER BY experiment_id LIMIT $2

-- name: gc_named_ids (postgresql)
SELECT run_uuid AS id FROM runs WHERE run_uuid = ANY($1::text[])
 UNION SELECT model_id FROM logged_models WHERE model_id = ANY($1::text[])
 UNION SELECT request_id FROM trace_info WHERE request_id = ANY($1::text[])
 UNION SELECT run_id FROM model_versions WHERE run_id = ANY($1::text[])

-- name: gc_named_ids (sqlite)
SELECT run_uuid AS id FROM runs WHERE run_uuid IN (SELECT value FROM json_each($1))
 UNION SELECT model_id FROM logged_models WHERE model_id IN (SELECT value FROM json_each($1))
 UNION SELECT request_id FROM trace_info WHERE request_id IN (SELECT value FROM json_each($1))
 UNION SELECT run_id FROM model_versions WHERE run_id IN (SELECT value FROM json_each($1))

-- name: gc_version_sources
-- A version that is deleted keeps its row, and its source says so no longer.
SELECT name, version, source, storage_location FROM model_versions
 WHERE current_stage <> 'Deleted_Internal' AND (name > $1 OR name = $1 AND version > $2)
 ORDER BY name, version LIMIT $3

-- name: gc_ready_models
-- Without models that are kept elsewhere (mlflow/utils/mlflow_tags.py, MLFLOW_MODEL_IS_EXTERNAL).
SELECT model_id AS id, artifact_location AS location FROM logged_models l
 WHERE model_id > $1 AND lifecycle_stage = 'active' AND status = 2
   AND NOT EXISTS (SELECT 1 FROM logged_model_tags t
                    WHERE t.model_id = l.model_id AND t.tag_key = 'mlflow.model.isExternal')
 ORDER BY model_id LIMIT $2

-- name: gc_traces_of_experiment
SELECT request_id AS id, timestamp_ms FROM trace_info
 WHERE experiment_id = $1 AND (timestamp_ms, request_id) > ($3, $4)
 ORDER BY timestamp_ms, request_id LIMIT $2
