"""Every random draw descends from one seed: named branches of one numpy SeedSequence.

Example:
    >>> int(numpy_generator(0, "fold", 3).integers(1000)) == int(numpy_generator(0, "fold", 3).integers(1000))
    True
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["numpy_generator", "seed_sequence", "torch_seed"]


def seed_sequence(seed: int, *keys: str | int) -> np.random.SeedSequence:
    """Branch of the seed named by `keys`; different names give independent streams on any machine.

    Arguments:
        seed: the run's seed, >= 0.
        keys: what the draw is for, e.g. `("fold", 3)`; strings enter through a stable hash.
    """
    return np.random.SeedSequence(entropy=seed, spawn_key=tuple(_key_to_int(key) for key in keys))


def numpy_generator(seed: int, *keys: str | int) -> np.random.Generator:
    """A numpy generator on the branch named by `keys`."""
    return np.random.default_rng(seed_sequence(seed, *keys))


def torch_seed(seed: int, *keys: str | int) -> int:
    """A 63-bit seed for a `torch.Generator` on the branch named by `keys`."""
    return int(seed_sequence(seed, *keys).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _key_to_int(key: str | int) -> int:
    # A tag in front keeps the string "3" and the integer 3 apart.
    text = f"i{key}" if isinstance(key, int) else f"s{key}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
