"""What jobs refer to: templates, pipelines, buckets."""
