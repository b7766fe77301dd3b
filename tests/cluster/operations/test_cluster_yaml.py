import json
from pathlib import Path

import jsonschema
import ray
import yaml

ROOT = Path(__file__).parents[3]


def test_cluster_yaml_is_valid_by_rays_own_schema():
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8")), schema)
