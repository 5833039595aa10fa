-- name: models_of_page (postgresql)
-- Follows "WITH page AS (…)", which names name and position. One row for each model and latest version of a stage;
-- a model without versions has one row, whose version is NULL.
SELECT m.name AS model, m.creation_time AS model_creation_time, m.last_updated_time AS model_last_updated_time,
       m.description AS model_description,
       (SELECT '[' || string_agg(
                   '{"key":' || to_json(t.key) || coalesce(',"value":' || to_json(t.value), '') || '}', ',') || ']'
          FROM registered_model_tags t WHERE t.workspace = 'default' AND t.name = m.name) AS model_tags,
       (SELECT '[' || string_agg('{"alias":' || to_json(a.alias) || ',"version":"' || a.version || '"}', ',') || ']'
          FROM registered_model_aliases a WHERE a.workspace = 'default' AND a.name = m.name) AS model_aliases,
       v.name, v.version, v.creation_time, v.last_updated_time, v.description, v.user_id, v.current_stage, v.source,
       v.run_id, v.run_link, v.status, v.status_message,
       (SELECT '[' || string_agg(
                   '{"key":' || to_json(t.key) || coalesce(',"value":' || to_json(t.value), '') || '}', ',') || ']'
          FROM model_version_tags t
         WHERE t.workspace = 'default' AND t.name = v.name AND t.version = v.version) AS tags,
       (SELECT json_agg(a.alias)::text FROM registered_model_aliases a
         WHERE a.workspace = 'default' AND a.name = v.name AND a.version = v.version) AS aliases
  FROM page
  JOIN registered_models m ON m.workspace = 'default' AND m.name = page.name
  LEFT JOIN LATERAL (SELECT DISTINCT ON (current_stage) each.* FROM model_versions each
                      WHERE each.workspace = 'default' AND each.name = page.name AND current_stage <> 'Deleted_Internal'
                      ORDER BY current_stage, version DESC) v ON true
 ORDER BY page.position, v.version

-- name: models_of_page (sqlite)
-- differs because SQLite's JSON functions have other names and keep nulls, which json_patch leaves out, and because it
-- has no LATERAL
SELECT m.name AS model, m.creation_time AS model_creation_time, m.last_updated_time AS model_last_updated_time,
       m.description AS model_description,
       (SELECT nullif(json_group_array(json_patch('{}', json_object('key', t.key, 'value', t.value))), '[]')
          FROM registered_model_tags t WHERE t.workspace = 'default' AND t.name = m.name) AS model_tags,
       (SELECT nullif(json_group_array(json_object('alias', a.alias, 'version', CAST(a.version AS TEXT))), '[]')
          FROM registered_model_aliases a WHERE a.workspace = 'default' AND a.name = m.name) AS model_aliases,
       v.name, v.version, v.creation_time, v.last_updated_time, v.description, v.user_id, v.current_stage, v.source,
       v.run_id, v.run_link, v.status, v.status_message,
       (SELECT nullif(json_group_array(json_patch('{}', json_object('key', t.key, 'value', t.value))), '[]')
          FROM model_version_tags t
         WHERE t.workspace = 'default' AND t.name = v.name AND t.version = v.version) AS tags,
       (SELECT nullif(json_group_array(a.alias), '[]') FROM registered_model_aliases a
         WHERE a.workspace = 'default' AND a.name = v.name AND a.version = v.version) AS aliases
  FROM page
  JOIN registered_models m ON m.workspace = 'default' AND m.name = page.name
  LEFT JOIN (SELECT each.*, row_number() OVER (PARTITION BY each.name, current_stage ORDER BY version DESC) AS place
               FROM page JOIN model_versions each ON each.workspace = 'default' AND each.name = page.name
              WHERE current_stage <> 'Deleted_Internal') v ON v.name = m.name AND v.place = 1
 ORDER BY page.position, v.version

-- name: page_of_model (postgresql)
-- differs because PostgreSQL takes an untyped value for text
SELECT $1::varchar AS name

-- name: page_of_model (sqlite)
SELECT $1 AS name

-- name: model_exists
SELECT 1 FROM registered_models WHERE workspace = 'default' AND name = $1

-- name: insert_model
INSERT INTO registered_models (workspace, name, creation_time, last_updated_time, description)
VALUES ('default', $1, $2, $2, $3)
    ON CONFLICT (workspace, name) DO NOTHING

-- name: insert_tag
INSERT INTO registered_model_tags (workspace, name, key, value) VALUES ('default', $1, $2, $3)

-- name: has_prompt_tag
SELECT 1 FROM registered_model_tags WHERE workspace = 'default' AND name = $1 AND key = 'mlflow.prompt.is_prompt'

-- name: update_model
UPDATE registered_models SET description = $2, last_updated_time = $3 WHERE workspace = 'default' AND name = $1

-- name: rename_model
-- The foreign keys carry the name to versions, tags and aliases.
UPDATE registered_models SET name = $2, last_updated_time = $3 WHERE workspace = 'default' AND name = $1

-- name: touch_versions
UPDATE model_versions SET last_updated_time = $2 WHERE workspace = 'default' AND name = $1

-- name: lock_model
-- An update is a lock on PostgreSQL, and does nothing on SQLite, where a transaction that writes is alone.
UPDATE registered_models SET last_updated_time = last_updated_time WHERE workspace = 'default' AND name = $1

-- name: delete_version_tags
DELETE FROM model_version_tags WHERE workspace = 'default' AND name = $1

-- name: delete_versions
DELETE FROM model_versions WHERE workspace = 'default' AND name = $1

-- name: delete_tags
DELETE FROM registered_model_tags WHERE workspace = 'default' AND name = $1

-- name: delete_aliases
DELETE FROM registered_model_aliases WHERE workspace = 'default' AND name = $1

-- name: delete_model
DELETE FROM registered_models WHERE workspace = 'default' AND name = $1

-- name: upsert_tag
INSERT INTO registered_model_tags (workspace, name, key, value)
SELECT workspace, name, $2, $3 FROM registered_models WHERE workspace = 'default' AND name = $1
    ON CONFLICT (workspace, key, name) DO UPDATE SET value = excluded.value

-- name: delete_tag
DELETE FROM registered_model_tags WHERE workspace = 'default' AND name = $1 AND key = $2

-- name: upsert_alias
INSERT INTO registered_model_aliases (workspace, name, alias, version)
SELECT workspace, name, $2, version FROM model_versions
 WHERE workspace = 'default' AND name = $1 AND version = $3 AND current_stage <> 'Deleted_Internal'
    ON CONFLICT (workspace, name, alias) DO UPDATE SET version = excluded.version

-- name: delete_alias
DELETE FROM registered_model_aliases WHERE workspace = 'default' AND name = $1 AND alias = $2
