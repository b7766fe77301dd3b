import pickle
import socket
from pathlib import Path

import huggingface_hub.constants
import pytest
import skimage.data
import skimage.transform
import torch
from safetensors.torch import save_file

from raylab2f.errors import UserError
from raylab2f.features import BackboneSpec, create_backbone
from raylab2f.features.architectures import untrained_network
from raylab2f.features.weights import Normalisation, Weights, install_weights, read_weights, weights_digest

LAYERS = ("layer1", "layer2")


def load(path, name="test_resnet", layers=LAYERS):
    return create_backbone(BackboneSpec(name, str(path), layers))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def put_in_cache(cache, repository, state):
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(state, folder / "snapshots" / ("0" * 40) / "model.safetensors")


@pytest.mark.parametrize(
    ("picture", "classes"),
    [("chelsea", range(281, 288)), ("coffee", (504, 967, 968, 969))],
    ids=["cat", "coffee"],
)
def test_bundled_weights_recognise_pictures(picture, classes):
    """Right names, order, padding and normalisation: ImageNet's cats, and coffee mug, espresso, cup, eggnog."""
    network = untrained_network("tf_efficientnet_lite0")
    weights = read_weights("tf_efficientnet_lite0", "bundled", network)
    install_weights(network, weights, frozenset(network.state_dict()))
    image = getattr(skimage.data, picture)()
    short = min(image.shape[:2])
    top, left = (image.shape[0] - short) // 2, (image.shape[1] - short) // 2
    square = skimage.transform.resize(
        image[top : top + short, left : left + short], (224, 224), anti_aliasing=True, preserve_range=True
    )
    normalised = (torch.tensor(square, dtype=torch.float32).permute(2, 0, 1) - 127) / 128
    with torch.no_grad():
        chosen = network(normalised[None])[0].topk(5).indices.tolist()
    assert chosen[0] in classes
    assert weights.normalisation == Normalisation((127, 127, 127), (128, 128, 128))


def test_bundled_weights_belong_to_one_model():
    with pytest.raises(UserError, match=r"--backbone test_resnet.*--weights FILE"):
        load("bundled")


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {f"module.{key}": tensor for key, tensor in state.items()},
        lambda state: {"state_dict": {f"module.backbone.{key}": tensor for key, tensor in state.items()}},
        lambda state: {key: tensor for key, tensor in state.items() if not key.startswith(("fc", "layer4"))},
        lambda state: {**state, "my_head.weight": torch.zeros(3)},
        lambda state: {key: tensor for key, tensor in state.items() if "num_batches" not in key},
        lambda state: {**state, "fc.weight": torch.zeros(2, 2)},
    ],
    ids=["wrapped", "training state", "DDP", "both", "no head", "own head", "no counters", "other classes"],
)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
def test_state_dicts_as_people_have_them(network_file, tmp_path, change, suffix):
    network, path = network_file("test_resnet")
    torch.save(change(dict(network.state_dict())), tmp_path / f"weights{suffix}")
    assert load(tmp_path / f"weights{suffix}").weights_digest == load(path).weights_digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("layer1.0.conv1.weight"), "lacks layer1.0.conv1.weight"),
        (lambda s: s.update({"layer1.5.conv1.weight": torch.zeros(1)}), "unexpected layer1.5.conv1.weight"),
        (
            lambda s: s.update({"conv1.0.weight": torch.zeros(2, 3, 3, 3)}),
            r"conv1\.0\.weight \(2, 3, 3, 3\) instead of",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(network_file, tmp_path, change, words):
    state = dict(network_file("test_resnet")[0].state_dict())
    change(state)
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match=words):
        load(tmp_path / "weights.safetensors")


def test_weights_of_another_model(network_file):
    with pytest.raises(UserError, match=r"lacks conv1\.0\.weight.* and .* more"):
        load(network_file("test_efficientnet")[1])


def test_absent_file(tmp_path):
    with pytest.raises(UserError, match="there is no such file; put the weights of test_resnet there"):
        load(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("name", ["weights.npz", "weights"])
def test_unknown_kind_of_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match="must end in one of"):
        load(tmp_path / name)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"not weights", None], ids=["empty", "text", "cut off"])
def test_damaged_file(network_file, tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    if content is None:
        network, whole = network_file("test_resnet")
        torch.save(network.state_dict(), tmp_path / "whole.pth")
        whole = whole if suffix == ".safetensors" else tmp_path / "whole.pth"
        content = whole.read_bytes()[:5000]
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a state dict"):
        load(path)


def test_file_without_tensors(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        load(tmp_path / "weights.pth")


class _Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_pickles_that_run_code_are_refused_unrun(tmp_path, save):
    marker = tmp_path / "code ran"
    save({"state_dict": _Payload(marker)}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="cannot be read as a state dict"):
        load(tmp_path / "weights.pth")
    assert not marker.exists()


def test_hub_out_of_reach(offline):
    with pytest.raises(UserError, match=r"model.safetensors of timm/test_resnet.* --weights FILE"):
        load("hub")


def test_model_without_weights_on_the_hub(offline):
    with pytest.raises(UserError, match="no pretrained weights for --backbone lcnet_035"):
        load("hub", "lcnet_035", ("blocks.0",))


def test_weights_in_the_hubs_cache_need_no_network(offline, network_file, monkeypatch):
    asked = []

    def no_network(host, *_, **__):
        asked.append(host)
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    network, path = network_file("test_resnet")
    put_in_cache(offline, "timm/test_resnet.r160_in1k", network.state_dict())
    assert load("hub").weights_digest == load(path).weights_digest
    assert load("hub", "test_resnet.r160_in1k").weights_digest == load(path).weights_digest
    assert not asked


def test_random_weights_are_never_taken_for_the_hubs(offline, network_file):
    """timm loads this family's files with gaps, and would keep random values there."""
    network, _ = network_file("dla46_c")
    state = dict(network.state_dict())
    put_in_cache(offline, "timm/dla46_c.in1k", state)
    assert load("hub", "dla46_c", ("level2",)).feature_shapes((64, 64)) == [(64, 16, 16)]
    del state["level2.tree1.conv1.weight"], state["level5.tree1.conv1.weight"]
    save_file(state, next(offline.rglob("model.safetensors")))
    with pytest.raises(UserError, match=r"lacks level2\.tree1\.conv1\.weight;"):
        load("hub", "dla46_c", ("level2",))


def test_digest_covers_every_weight_and_the_normalisation():
    network = untrained_network("test_resnet")
    normalisation = Normalisation((1.0, 2.0, 3.0), (1.0, 1.0, 1.0))
    digest = weights_digest(network, normalisation)
    assert digest == weights_digest(untrained_network("test_resnet"), normalisation)
    assert digest != weights_digest(network, Normalisation((1.0, 2.0, 3.5), (1.0, 1.0, 1.0)))
    for key, tensor in network.state_dict().items():
        kept = tensor.clone()
        tensor.view(-1)[-1] += 1
        changed = weights_digest(network, normalisation) != digest
        tensor.copy_(kept)
        assert changed == (not key.endswith("num_batches_tracked")), key


def test_half_precision_files_load_as_single(network_file, tmp_path):
    network, _ = network_file("test_resnet")
    half = {key: tensor.half() for key, tensor in network.state_dict().items()}
    install_weights(
        target := untrained_network("test_resnet"),
        Weights(half, Normalisation((0.0,) * 3, (1.0,) * 3), "a file"),
        frozenset(half),
    )
    assert target.conv1[0].weight.dtype == torch.float32
    assert torch.equal(target.conv1[0].weight, half["conv1.0.weight"].float())
