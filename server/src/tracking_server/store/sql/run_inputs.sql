-- name: known_datasets (postgresql)
-- differs because SQLite has no arrays, and its JSON no NULs: there each dataset is asked for alone
SELECT d.name, d.digest, d.dataset_uuid
  FROM unnest($2::text[], $3::text[]) AS given (name, digest)
  JOIN datasets d ON d.experiment_id = $1 AND d.name = given.name AND d.digest = given.digest

-- name: known_datasets (sqlite)
SELECT name, digest, dataset_uuid FROM datasets WHERE experiment_id = $1 AND name = $2 AND digest = $3

-- name: insert_datasets (postgresql)
-- differs because SQLite has no arrays: there each row runs the statement again
INSERT INTO datasets (experiment_id, name, digest, dataset_uuid, dataset_source_type, dataset_source, dataset_schema,
                      dataset_profile)
SELECT * FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    ON CONFLICT DO NOTHING

-- name: insert_datasets (sqlite)
INSERT INTO datasets (experiment_id, name, digest, dataset_uuid, dataset_source_type, dataset_source, dataset_schema,
                      dataset_profile)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT DO NOTHING

-- name: insert_dataset_inputs (postgresql)
-- differs because SQLite has no arrays, and needs a WHERE to tell ON CONFLICT from a join's ON
INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)
SELECT given.input_uuid, 'DATASET', given.dataset_uuid, 'RUN', $1
  FROM unnest($2::text[], $3::text[]) AS given (input_uuid, dataset_uuid)
    ON CONFLICT DO NOTHING
RETURNING input_uuid

-- name: insert_dataset_inputs (sqlite)
INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)
SELECT input.value, 'DATASET', json_extract($3, '$[' || input.key || ']'), 'RUN', $1
  FROM json_each($2) AS input
 WHERE true
    ON CONFLICT DO NOTHING
RETURNING input_uuid

-- name: insert_input_tags (postgresql)
-- differs because SQLite has no arrays
INSERT INTO input_tags (input_uuid, name, value) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])

-- name: insert_input_tags (sqlite)
INSERT INTO input_tags (input_uuid, name, value) VALUES ($1, $2, $3)

-- name: upsert_model_inputs (postgresql)
-- differs because SQLite has no arrays; a model logged again gets a new input_uuid, as in stock
INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)
SELECT given.input_uuid, 'RUN_INPUT', given.run_id, 'MODEL_INPUT', given.model_id
  FROM unnest($1::text[], $2::text[], $3::text[]) AS given (input_uuid, run_id, model_id)
    ON CONFLICT (source_type, source_id, destination_type, destination_id)
    DO UPDATE SET input_uuid = excluded.input_uuid

-- name: upsert_model_inputs (sqlite)
INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)
VALUES ($1, 'RUN_INPUT', $2, 'MODEL_INPUT', $3)
    ON CONFLICT (source_type, source_id, destination_type, destination_id)
    DO UPDATE SET input_uuid = excluded.input_uuid

-- name: insert_model_outputs (postgresql)
-- differs because SQLite has no arrays
INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)
SELECT given.input_uuid, 'RUN_OUTPUT', given.run_id, 'MODEL_OUTPUT', given.model_id, given.step
  FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[]) AS given (input_uuid, run_id, model_id, step)

-- name: insert_model_outputs (sqlite)
INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)
VALUES ($1, 'RUN_OUTPUT', $2, 'MODEL_OUTPUT', $3, $4)
