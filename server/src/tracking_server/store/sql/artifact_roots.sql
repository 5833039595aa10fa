-- Where the artifacts of runs, model versions and logged models lie.

-- name: run_root
SELECT artifact_uri, experiment_id FROM runs WHERE run_uuid = $1

-- name: model_version_root
SELECT storage_location, source FROM model_versions
WHERE workspace = 'default' AND name = $1 AND version = $2 AND current_stage <> 'Deleted_Internal'

-- name: logged_model_root
SELECT artifact_location FROM logged_models WHERE model_id = $1 AND lifecycle_stage <> 'deleted'
