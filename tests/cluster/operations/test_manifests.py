"""The job manifest: its form after KubeRay's definition, and a command that raylab2f understands."""

import json
import shlex
from pathlib import Path, PurePosixPath

import jsonschema
import pytest
import ray
import typer
import yaml

from raylab2f.cli.app import app

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((Path(__file__).parent / "rayjob.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(params=sorted((ROOT / "jobs").glob("*.yaml")), ids=lambda path: path.name)
def manifest(request):
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))


def groups(manifest):
    cluster = manifest["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_it_has_the_form_of_a_rayjob(manifest):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(manifest, SCHEMA)


def test_a_misspelt_field_would_be_found(manifest):
    cluster = manifest["spec"]["rayClusterSpec"]
    cluster["workerGroupSpec"] = cluster.pop("workerGroupSpecs")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, SCHEMA)


def test_its_command_is_one_that_raylab2f_takes(manifest):
    python, module, name, command, *arguments = shlex.split(manifest["spec"]["entrypoint"])
    assert (python, module, name) == ("python", "-m", "raylab2f.cli")
    options = typer.main.get_command(app).commands[command].make_context(command, arguments).params
    mounts = [{m["mountPath"] for m in c["volumeMounts"]} for g in groups(manifest) for c in containers(g)]
    for option in ("data", "cache", "out"):
        assert all(any(PurePosixPath(options[option]).is_relative_to(path) for path in mounted) for mounted in mounts)


def test_all_nodes_are_alike_and_ask_for_a_token(manifest):
    cluster = manifest["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["rayVersion"] == ray.__version__
    assert len({container["image"] for group in groups(manifest) for container in containers(group)}) == 1
    for group in groups(manifest):
        spec = group["template"]["spec"]
        volumes = {volume["name"] for volume in spec["volumes"]}
        assert all(mount["name"] in volumes for container in containers(group) for mount in container["volumeMounts"])


def containers(group):
    return group["template"]["spec"]["containers"]
