-- name: versions_of_page (postgresql)
-- Follows "WITH page AS (…)", which names name, version and position.
SELECT v.name, v.version, v.creation_time, v.last_updated_time, v.description, v.user_id, v.current_stage, v.source,
       v.storage_location, v.run_id, v.run_link, v.status, v.status_message,
       (SELECT json_strip_nulls(json_agg(json_build_object('key', t.key, 'value', t.value)))::text
          FROM model_version_tags t
         WHERE t.workspace = 'default' AND t.name = v.name AND t.version = v.version) AS tags,
       (SELECT json_agg(a.alias)::text FROM registered_model_aliases a
         WHERE a.workspace = 'default' AND a.name = v.name AND a.version = v.version) AS aliases
  FROM page
  JOIN model_versions v ON v.workspace = 'default' AND v.name = page.name AND v.version = page.version
                       AND v.current_stage <> 'Deleted_Internal'
 ORDER BY page.position

-- name: versions_of_page (sqlite)
-- differs because SQLite's JSON functions have other names and keep nulls, which json_patch leaves out
SELECT v.name, v.version, v.creation_time, v.last_updated_time, v.description, v.user_id, v.current_stage, v.source,
       v.storage_location, v.run_id, v.run_link, v.status, v.status_message,
       (SELECT nullif(json_group_array(json_patch('{}', json_object('key', t.key, 'value', t.value))), '[]')
          FROM model_version_tags t
         WHERE t.workspace = 'default' AND t.name = v.name AND t.version = v.version) AS tags,
       (SELECT nullif(json_group_array(a.alias), '[]') FROM registered_model_aliases a
         WHERE a.workspace = 'default' AND a.name = v.name AND a.version = v.version) AS aliases
  FROM page
  JOIN model_versions v ON v.workspace = 'default' AND v.name = page.name AND v.version = page.version
                       AND v.current_stage <> 'Deleted_Internal'
 ORDER BY page.position

-- name: page_of_alias
SELECT name, version FROM registered_model_aliases WHERE workspace = 'default' AND name = $1 AND alias = $2

-- name: page_of_version (postgresql)
-- differs because PostgreSQL takes an untyped value for text
SELECT $1::varchar AS name, $2::integer AS version

-- name: page_of_version (sqlite)
SELECT $1 AS name, $2 AS version

-- name: touch_model
-- Also a lock on PostgreSQL: whoever changes which versions a model has begins here.
UPDATE registered_models SET last_updated_time = $2 WHERE workspace = 'default' AND name = $1

-- name: insert_version
-- The cast keeps PostgreSQL from deducing two types for the name.
INSERT INTO model_versions (workspace, name, version, creation_time, last_updated_time, description, current_stage,
                            source, storage_location, run_id, run_link, status)
VALUES ('default', $1,
        (SELECT coalesce(max(version), 0) + 1 FROM model_versions
          WHERE workspace = 'default' AND name = CAST($1 AS varchar)),
        $2, $2, $3, 'None', $4, $5, $6, $7, 'READY')
RETURNING version

-- name: insert_tag
INSERT INTO model_version_tags (workspace, name, version, key, value) VALUES ('default', $1, $2, $3, $4)

-- name: update_version
UPDATE model_versions SET description = $3, last_updated_time = $4
 WHERE workspace = 'default' AND name = $1 AND version = $2 AND current_stage <> 'Deleted_Internal'

-- name: archive_others
UPDATE model_versions SET current_stage = 'Archived', last_updated_time = $4
 WHERE workspace = 'default' AND name = $1 AND version <> $2 AND current_stage = $3

-- name: set_stage
UPDATE model_versions SET current_stage = $3, last_updated_time = $4
 WHERE workspace = 'default' AND name = $1 AND version = $2 AND current_stage <> 'Deleted_Internal'

-- name: redact_version
UPDATE model_versions
   SET current_stage = 'Deleted_Internal', last_updated_time = $3, description = NULL, user_id = NULL,
       source = 'REDACTED-SOURCE-PATH', run_id = 'REDACTED-RUN-ID', run_link = 'REDACTED-RUN-LINK',
       status_message = NULL
 WHERE workspace = 'default' AND name = $1 AND version = $2 AND current_stage <> 'Deleted_Internal'

-- name: delete_aliases_of_version
DELETE FROM registered_model_aliases WHERE workspace = 'default' AND name = $1 AND version = $2

-- name: upsert_tag
INSERT INTO model_version_tags (workspace, name, version, key, value)
SELECT workspace, name, version, $3, $4 FROM model_versions
 WHERE workspace = 'default' AND name = $1 AND version = $2 AND current_stage <> 'Deleted_Internal'
    ON CONFLICT (workspace, key, name, version) DO UPDATE SET value = excluded.value

-- name: delete_tag
DELETE FROM model_version_tags WHERE workspace = 'default' AND name = $1 AND version = $2 AND key = $3

-- name: version_exists
SELECT 1 FROM model_versions
 WHERE workspace = 'default' AND name = $1 AND version = $2 AND current_stage <> 'Deleted_Internal'

-- name: lock_logged_model (postgresql)
-- differs because a SQLite transaction that writes has the database to itself
SELECT experiment_id, artifact_location, source_run_id FROM logged_models
 WHERE model_id = $1 AND lifecycle_stage <> 'deleted' FOR NO KEY UPDATE

-- name: lock_logged_model (sqlite)
SELECT experiment_id, artifact_location, source_run_id FROM logged_models
 WHERE model_id = $1 AND lifecycle_stage <> 'deleted'

-- name: versions_of_logged_model
SELECT tag_value FROM logged_model_tags WHERE model_id = $1 AND tag_key = 'mlflow.modelVersions'

-- name: set_versions_of_logged_model
INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES ($1, $2, 'mlflow.modelVersions', $3)
    ON CONFLICT (model_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value
