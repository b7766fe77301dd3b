import hashlib
import shutil

import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.demo import DemoConfig, demo_dataset
from raylab2f.datasets.manifest import MANIFEST_SCHEMA, fingerprint, validate_manifest
from raylab2f.files.atomic import write_parquet
from raylab2f.files.parquet import read_parquet


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    config = DemoConfig(picture_size=64, nominal_objects=2, anomalous_objects=2, views=2)
    return demo_dataset(config, tmp_path_factory.mktemp("cache"), workers=1)


def test_the_manifest_is_in_the_schema_of_all_manifests(rendered):
    manifest = read_parquet(rendered / "manifest.parquet")
    assert manifest.schema.equals(MANIFEST_SCHEMA)
    validate_manifest(manifest)
    assert sum(manifest["label"].to_pylist()) > 0
    for row in manifest.to_pylist():
        for path, digest in (
            ("path", "sha256"),
            ("mask_path", "mask_sha256"),
            ("foreground_path", "foreground_sha256"),
        ):
            content = None if row[path] is None else (rendered / row[path]).read_bytes()
            assert row[digest] == (None if content is None else hashlib.sha256(content).hexdigest())


def test_sets_rendered_before_all_checksums_were_written_are_the_same_ones(rendered, tmp_path):
    older = shutil.copytree(rendered, tmp_path / "older")
    manifest = read_parquet(rendered / "manifest.parquet")
    write_parquet(older / "manifest.parquet", manifest.drop_columns(["mask_sha256", "foreground_sha256"]))
    assert fingerprint(load_dataset(older).manifest) == fingerprint(load_dataset(rendered).manifest)
    assert fingerprint(load_dataset(rendered).manifest) == fingerprint(manifest)
