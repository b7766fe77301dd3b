"""The embedded demo: a seeded renderer of coupling links, some of them damaged.

Each picture shows the half of a forged, shot-blasted coupling link on a glossy turntable under flash light. See
`DemoConfig` for what can be turned and `demo_dataset` for what is written.
"""

from raylab2f.datasets.demo.config import DEFECT_KINDS, DemoConfig
from raylab2f.datasets.demo.dataset import demo_dataset

__all__ = ["DEFECT_KINDS", "DemoConfig", "demo_dataset"]
