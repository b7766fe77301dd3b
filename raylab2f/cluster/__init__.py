"""Ray, and the only house that imports it: sessions, tokens, devices, what failed remotely."""

import raylab2f.blas  # noqa: F401  # before anything computes
