"""What helps against each pitfall that a diagnosis finds, in one sentence; the pitfalls' pages say more."""

from __future__ import annotations

__all__ = ["MENDS"]

#: By diagnosis.
MENDS = {
    "background": "Remove the background with --mask-background (and --centre-embed auto), or take all pictures before "
    "one background.",
    "silhouette": "Centre the parts (--centre-embed), train on more pictures, or choose a detector with a finer map.",
    "variance": "The preparation with the smallest number (--mask-background, --centre-embed), or fewer views "
    "(--keep-views).",
    "invariance": "Train on what will occur (--train-angles, more views, more exposures), or keep it from occurring (a "
    "fixture, a lamp).",
    "leakage": "Say which part a picture shows (--object-id), split by object (--split-by object, the default), and "
    "remove copies.",
    "shift": "Find out what changed between the pictures (the evidence, diagnosis/shift.parquet, lists the oddest ones "
    "first); mix them before splitting if both occur in production.",
    "threshold": "More defective parts (raylab2f plan-samples says how many), or a strategy that needs fewer of them, "
    "such as a share of the good parts' scores.",
    "condition": "Train under the conditions that will occur (parts of each light, batch and camera), keep the others "
    "from occurring, or choose the threshold anew where a condition begins.",
    "likelihood": "Remove the background (--mask-background), or choose another kind of detector (--detector glass).",
}
