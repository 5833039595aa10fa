-- name: any_assessment_of_a_run
SELECT 1 FROM assessments WHERE assessment_metadata LIKE '%"mlflow.assessment.sourceRunId"%' LIMIT 1
