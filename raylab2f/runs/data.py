"""The data set of a run: what the user names, or rendered pictures kept in the cache."""

from __future__ import annotations

from pathlib import Path

from raylab2f.datasets import Dataset, load_dataset
from raylab2f.datasets.demo import DemoConfig, demo_dataset
from raylab2f.files.mirror import local, publish
from raylab2f.files.places import file_exists, is_uri, join
from raylab2f.reporting import Display
from raylab2f.runs.folder import DataSettings

__all__ = ["open_dataset", "rendered_dataset"]


def open_dataset(settings: DataSettings, cache: str | Path, display: Display) -> Dataset:
    """The dataset that the settings name; the embedded demo is rendered on its first use."""
    data = settings.data
    if data is None:
        data = rendered_dataset(DemoConfig(), cache, display)
    options = {name: getattr(settings, name) for name in DataSettings.__dataclass_fields__ if name != "data"}
    with display.stage("read pictures") as progress:
        dataset = load_dataset(data, progress=progress, **options)
    return (
        dataset if settings.data is not None else Dataset("demo", dataset.manifest, dataset.warnings, dataset.skipped)
    )


def rendered_dataset(config: DemoConfig, cache: str | Path, display: Display) -> str:
    """The place of a rendered data set in the cache; rendered unless it is there."""
    place = join(cache, "demo", config.digest)
    if is_uri(place) and file_exists(join(place, "manifest.parquet")):
        return place
    with display.stage("render demo pictures") as progress:
        demo_dataset(config, local(cache), progress=progress)
    publish(place)
    return place
