-- name: experiment_of_new_model
SELECT artifact_location, lifecycle_stage FROM experiments WHERE experiment_id = $1

-- name: insert_model
INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms,
                           last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id)
VALUES ($1, $2, $3, $4, $5, $5, 1, 'active', $6, $7)

-- name: experiment_of_model
SELECT experiment_id FROM logged_models WHERE model_id = $1

-- name: insert_params (postgresql)
-- differs because SQLite has no arrays: there each row runs the statement again
INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value)
SELECT * FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[])

-- name: insert_params (sqlite)
INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value) VALUES ($1, $2, $3, $4)

-- name: insert_tags (postgresql)
-- differs because SQLite has no arrays
INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value)
SELECT * FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[])

-- name: insert_tags (sqlite)
INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES ($1, $2, $3, $4)

-- name: upsert_tags (postgresql)
-- differs because SQLite has no arrays
INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value)
SELECT * FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[])
    ON CONFLICT (model_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value

-- name: upsert_tags (sqlite)
INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES ($1, $2, $3, $4)
    ON CONFLICT (model_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value

-- name: delete_tag
DELETE FROM logged_model_tags WHERE model_id = $1 AND tag_key = $2

-- name: set_status
UPDATE logged_models SET status = $2, last_updated_timestamp_ms = $3 WHERE model_id = $1

-- name: mark_deleted
UPDATE logged_models SET lifecycle_stage = 'deleted', last_updated_timestamp_ms = $2 WHERE model_id = $1

-- name: visible_model_id
SELECT model_id FROM logged_models WHERE model_id = $1 AND lifecycle_stage <> 'deleted'

-- name: any_model_id
SELECT model_id FROM logged_models WHERE model_id = $1

-- name: models_of_page (postgresql)
-- Follows "WITH page AS (…)", which names model_id and position. PostgreSQL builds the JSON, as for runs.
SELECT l.model_id, l.experiment_id, l.name, l.artifact_location, l.creation_timestamp_ms, l.last_updated_timestamp_ms,
       l.status, l.model_type, l.source_run_id, l.status_message,
       (SELECT '[' || string_agg(
                   '{"key":' || to_json(t.tag_key) || ',"value":' || to_json(t.tag_value) || '}', ',') || ']'
          FROM logged_model_tags t WHERE t.model_id = l.model_id) AS tags,
       (SELECT '[' || string_agg(
                   '{"key":' || to_json(p.param_key) || ',"value":' || to_json(p.param_value) || '}', ',') || ']'
          FROM logged_model_params p WHERE p.model_id = l.model_id) AS params,
       (SELECT '[' || string_agg(
                   '{"key":' || to_json(m.metric_name) || ',"value":'
                   || CASE WHEN m.metric_value = trunc(m.metric_value) AND abs(m.metric_value) < 1e15
                           THEN m.metric_value::text || '.0' ELSE m.metric_value::text END
                   || ',"timestamp":' || m.metric_timestamp_ms || ',"step":' || m.metric_step
                   || ',"model_id":' || to_json(m.model_id) || ',"run_id":' || to_json(m.run_id)
                   || coalesce(',"dataset_name":' || to_json(m.dataset_name), '')
                   || coalesce(',"dataset_digest":' || to_json(m.dataset_digest), '') || '}', ',') || ']'
          FROM logged_model_metrics m WHERE m.model_id = l.model_id) AS metrics
  FROM page JOIN logged_models l ON l.model_id = page.model_id
 ORDER BY page.position

-- name: models_of_page (sqlite)
-- differs because SQLite's JSON functions round floats: the metrics are read as rows, by metrics_of_models
SELECT l.model_id, l.experiment_id, l.name, l.artifact_location, l.creation_timestamp_ms, l.last_updated_timestamp_ms,
       l.status, l.model_type, l.source_run_id, l.status_message,
       (SELECT nullif(json_group_array(json_object('key', t.tag_key, 'value', t.tag_value)), '[]')
          FROM logged_model_tags t WHERE t.model_id = l.model_id) AS tags,
       (SELECT nullif(json_group_array(json_object('key', p.param_key, 'value', p.param_value)), '[]')
          FROM logged_model_params p WHERE p.model_id = l.model_id) AS params
  FROM page JOIN logged_models l ON l.model_id = page.model_id
 ORDER BY page.position

-- name: metrics_of_models (sqlite)
SELECT metric_name, metric_value, metric_timestamp_ms, metric_step, model_id, run_id, dataset_name, dataset_digest
  FROM logged_model_metrics WHERE model_id IN (SELECT value FROM json_each($1))

-- name: metrics_of_models (postgresql)
-- differs because models_of_page has the metrics here already: never called
SELECT 1 WHERE false
