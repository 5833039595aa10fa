-- name: known_models (postgresql)
-- differs because SQLite has no arrays
SELECT model_id FROM logged_models WHERE model_id = ANY($1::text[])

-- name: known_models (sqlite)
SELECT model_id FROM logged_models WHERE model_id IN (SELECT value FROM json_each($1))

-- name: insert_model_metric
INSERT INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value,
                                  experiment_id, run_id, dataset_uuid, dataset_name, dataset_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8, $9)
