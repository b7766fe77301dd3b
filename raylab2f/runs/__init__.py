"""What a run is: its settings, its folder, its splits, one fold trained and judged. Knows torch, not ray."""

import raylab2f.blas  # noqa: F401  # before anything computes
