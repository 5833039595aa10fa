-- name: any_active_webhook
SELECT 1 FROM webhooks WHERE status = 'ACTIVE' AND deleted_timestamp IS NULL AND workspace = 'default' LIMIT 1
