"""What the server notices of its models' folders."""

import json
import shutil
from types import SimpleNamespace

import pytest
from small_models import write_small_model

from raylab2f.models.folder import model_digest
from raylab2f.workflows import serving


@pytest.fixture
def changes(tmp_path, monkeypatch):
    """What is noticed of a model's folder, look after look; `None` where nothing is."""
    monkeypatch.setattr(serving, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(serving, "_COPYING_SECONDS", 0.0)
    place = write_small_model(tmp_path / "one")
    served = SimpleNamespace(name="one", digest=model_digest(place))
    looks = iter(range(1000))

    def noticed(steps):
        left = list(steps)

        def alive():
            if next(looks) % 3 == 0:
                if not left:
                    return False
                left.pop(0)(place)
            return True

        table = SimpleNamespace(all=lambda: [served])
        return [(name, whole) for name, _, whole in serving._changes(table, {"one": str(place)}, alive)]

    return noticed


def other(place):
    record = json.loads((place / "model.json").read_text())
    (place / "model.json").write_text(json.dumps({**record, "name": "other"}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / "model.json").write_text("{"),
        lambda place: shutil.rmtree(place),
        lambda place: ((place / "model.safetensors").write_bytes(b""), other(place)),
    ],
)
def test_a_place_that_stays_without_a_whole_model_is_told_once(changes, damage):
    assert changes([damage, lambda _: None, lambda _: None]) == [("one", False)]


def test_another_model_is_noticed_once(changes):
    assert changes([lambda _: None, other, lambda _: None]) == [("one", True)]


def test_why_no_process_could_load_a_model_is_what_the_process_said(monkeypatch):
    from raylab2f.cluster.serving import deployment

    trace = "It failed:\nray::_Replica() (pid=1)\n  raise UserError(\nraylab2f.errors.UserError: one is damaged.\n"
    applications = {"mine": SimpleNamespace(deployments={"judge": SimpleNamespace(message=trace)})}
    monkeypatch.setattr(deployment.serve, "status", lambda: SimpleNamespace(applications=applications))
    general = RuntimeError("Deploying application mine failed: Failed to update the deployments ['judge'].")
    assert deployment._cause(general, "mine") == "one is damaged"
    assert deployment._cause(general, "other").startswith("Deploying application mine failed")
