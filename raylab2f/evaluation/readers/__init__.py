"""Score files as other tools write them, one module a tool; see docs/score_files.md."""

from raylab2f.evaluation.readers.registry import READERS, ScoreFile, read_score_file

__all__ = ["READERS", "ScoreFile", "read_score_file"]
