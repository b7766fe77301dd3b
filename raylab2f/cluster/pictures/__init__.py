"""Pictures on Ray Data: prepared, segmented, turned into features, scored again."""
