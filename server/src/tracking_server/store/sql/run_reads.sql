-- name: whole_runs (postgresql)
-- "FROM … runs r …" follows. PostgreSQL builds the JSON, the quickest way to hand over thousands of small rows; text is
-- put together by hand because json_build_object is slower.
SELECT r.run_uuid, r.experiment_id, r.user_id, r.status, r.start_time, r.end_time, r.artifact_uri, r.lifecycle_stage,
       coalesce(nullif(r.name, ''), (SELECT t.value FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'mlflow.runName'),
                r.name) AS name,
       (SELECT '[' || string_agg(
                   '{"key":' || to_json(m.key) || ',"value":'
                   || CASE WHEN m.is_nan THEN '"NaN"'
                           WHEN m.value = trunc(m.value) AND abs(m.value) < 1e15 THEN m.value::text || '.0'
                           ELSE m.value::text END
                   || ',"timestamp":' || m.timestamp || ',"step":' || m.step || '}', ',') || ']'
          FROM latest_metrics m WHERE m.run_uuid = r.run_uuid) AS metrics,
       (SELECT '[' || string_agg('{"key":' || to_json(p.key) || ',"value":' || to_json(p.value) || '}', ',') || ']'
          FROM params p WHERE p.run_uuid = r.run_uuid) AS params,
       (SELECT '[' || string_agg(
                   '{"key":' || to_json(t.key) || coalesce(',"value":' || to_json(t.value), '') || '}', ',') || ']'
          FROM tags t WHERE t.run_uuid = r.run_uuid) AS tags,
       (SELECT json_strip_nulls(json_agg(json_build_object(
                   'tags', (SELECT json_agg(json_build_object('key', it.name, 'value', it.value))
                              FROM input_tags it WHERE it.input_uuid = i.input_uuid),
                   'dataset', json_build_object(
                       'name', d.name, 'digest', d.digest, 'source_type', d.dataset_source_type,
                       'source', d.dataset_source, 'schema', nullif(d.dataset_schema, ''),
                       'profile', nullif(d.dataset_profile, '')))))
          FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id
         WHERE i.destination_type = 'RUN' AND i.destination_id = r.run_uuid)::text AS dataset_inputs,
       (SELECT json_agg(json_build_object('model_id', o.destination_id, 'step', o.step))
          FROM inputs o WHERE o.source_type = 'RUN_OUTPUT' AND o.source_id = r.run_uuid
                          AND o.destination_type = 'MODEL_OUTPUT')::text AS model_outputs

-- name: whole_runs (sqlite)
-- differs because SQLite's JSON functions round floats: the metrics are read as rows, by metrics_of_runs
SELECT r.run_uuid, r.experiment_id, r.user_id, r.status, r.start_time, r.end_time, r.artifact_uri, r.lifecycle_stage,
       coalesce(nullif(r.name, ''), (SELECT t.value FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'mlflow.runName'),
                r.name) AS name,
       (SELECT nullif(json_group_array(json_object('key', p.key, 'value', p.value)), '[]')
          FROM params p WHERE p.run_uuid = r.run_uuid) AS params,
       (SELECT nullif(json_group_array(json(CASE WHEN t.value IS NULL THEN json_object('key', t.key)
                                                 ELSE json_object('key', t.key, 'value', t.value) END)), '[]')
          FROM tags t WHERE t.run_uuid = r.run_uuid) AS tags,
       (SELECT nullif(json_group_array(json_patch('{}', json_object(
                   'tags', json((SELECT nullif(json_group_array(json_object('key', it.name, 'value', it.value)), '[]')
                                   FROM input_tags it WHERE it.input_uuid = i.input_uuid)),
                   'dataset', json_object(
                       'name', d.name, 'digest', d.digest, 'source_type', d.dataset_source_type,
                       'source', d.dataset_source, 'schema', nullif(d.dataset_schema, ''),
                       'profile', nullif(d.dataset_profile, ''))))), '[]')
          FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id
         WHERE i.destination_type = 'RUN' AND i.destination_id = r.run_uuid) AS dataset_inputs,
       (SELECT nullif(json_group_array(json_object('model_id', o.destination_id, 'step', o.step)), '[]')
          FROM inputs o WHERE o.source_type = 'RUN_OUTPUT' AND o.source_id = r.run_uuid
                          AND o.destination_type = 'MODEL_OUTPUT') AS model_outputs

-- name: metrics_of_runs (sqlite)
SELECT run_uuid, key, value, timestamp, step, is_nan FROM latest_metrics
 WHERE run_uuid IN (SELECT value FROM json_each($1))

-- name: metrics_of_runs (postgresql)
-- differs because whole_runs has the metrics here already: never called
SELECT run_uuid, key, value, timestamp, step, is_nan FROM latest_metrics WHERE run_uuid = ANY($1::text[])

-- name: model_inputs
SELECT destination_id AS model_id FROM inputs
 WHERE source_type = 'RUN_INPUT' AND source_id = $1 AND destination_type = 'MODEL_INPUT'
