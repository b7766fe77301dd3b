"""Finalised models as files of other runtimes, each judged again before it is kept. Knows nothing of Ray."""
