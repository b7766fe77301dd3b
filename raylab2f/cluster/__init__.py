"""Everything that imports ray: ingest, feature extraction, folds, jobs."""
