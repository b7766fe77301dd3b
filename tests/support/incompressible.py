"""Bytes that no archive makes smaller; the same in every process, for they name parametrised tests."""

import numpy as np

_GENERATOR = np.random.default_rng(0)


def random_bytes(count):
    return _GENERATOR.bytes(count)
