import copy
import doctest
import pickle

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from raylab2f.errors import UserError
from raylab2f.features import BackboneSpec, backbones, create_backbone, shape_finder
from raylab2f.features.architectures import untrained_network
from raylab2f.features.truncation import trace


def hooked(network, layers, pictures):
    """The layers' outputs in the whole network."""
    outputs = {}

    def keep(layer):
        def hook(module, inputs, output):
            outputs[layer] = output.clone()

        return hook

    handles = [network.get_submodule(layer).register_forward_hook(keep(layer)) for layer in layers]
    with torch.no_grad():
        network(pictures)
    for handle in handles:
        handle.remove()
    return [outputs[layer] for layer in layers]


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("tf_efficientnet_lite0", "blocks.2", (40, 8)),
        ("tf_efficientnet_lite0", "blocks.4", (112, 16)),
        ("tf_efficientnet_b5", "blocks.5", (304, 32)),
        ("wide_resnet50_2.tv_in1k", "layer2", (512, 8)),
        ("wide_resnet50_2.tv_in1k", "layer3", (1024, 16)),
    ],
)
def test_layers_of_the_presets(name, layer, shape):
    channels, stride = shape
    output = trace(untrained_network(name), (384, 384))[layer].output
    assert output.shape == (1, channels, 384 // stride, 384 // stride)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("test_efficientnet", ("blocks.3", "blocks.1")),
        # The next module overwrites these in place.
        ("test_resnet", ("layer1", "bn1", "layer3")),
        # A batch norm follows this convolution and must not be folded into it.
        ("test_resnet", ("conv1.0", "layer2")),
        ("test_convnext", ("stages.2", "stages.0")),
        ("test_byobnet", ("stages.1", "stages.3")),
        ("test_nfnet", ("stages.1",)),
        # Channels last.
        ("test_mambaout", ("stages.1", "stages.2")),
    ],
)
def test_truncated_features_equal_the_whole_models(network_file, name, layers):
    network, path = network_file(name)
    backbone = create_backbone(BackboneSpec(name, str(path), layers))
    pictures = torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    for ours, whole in zip(backbone(pictures), hooked(network, layers, pictures), strict=True):
        if name == "test_mambaout":
            whole = whole.permute(0, 3, 1, 2)
        assert ours.shape == whole.shape
        assert (ours - whole).abs().max() <= 1e-5 * whole.abs().max()


@pytest.mark.parametrize(
    ("name", "prefix", "patch"),
    [("test_vit", 1, 16), ("test_vit2", 1, 16), ("vit_small_patch14_reg4_dinov2.lvd142m", 5, 14)],
)
@pytest.mark.parametrize("rows", [4, 6])
def test_tokens_of_a_transformer_become_a_map(network_file, name, prefix, patch, rows):
    _, path = network_file(name)
    network = timm.create_model(name, pretrained=False, dynamic_img_size=True).eval()
    network.load_state_dict(load_file(path))
    layers = ("norm", "blocks.1")
    backbone = create_backbone(BackboneSpec(name, str(path), layers))
    pictures = torch.randn(2, 3, rows * patch, 4 * patch, generator=torch.Generator().manual_seed(0))
    assert backbone.feature_shapes((rows * patch, 4 * patch)) == [(network.num_features, rows, 4)] * 2
    for ours, tokens in zip(backbone(pictures), hooked(network, layers, pictures), strict=True):
        assert ours.shape == (2, network.num_features, rows, 4)
        assert tokens.shape[1] == prefix + rows * 4
        whole = tokens[:, prefix:].reshape(2, rows, 4, -1).permute(0, 3, 1, 2)
        assert (ours - whole).abs().max() <= 1e-5 * whole.abs().max()


def test_a_transformer_refuses_sizes_that_its_patches_do_not_fill(network_file):
    _, path = network_file("test_vit")
    backbone = create_backbone(BackboneSpec("test_vit", str(path), ("norm",)))
    with pytest.raises(UserError, match="--size 65x64: the backbone cannot take it"):
        backbone.feature_shapes((65, 64))


def test_nothing_deeper_is_kept_or_computed(lite0):
    depths = {name.split(".")[1] for name, _ in lite0.network.named_parameters() if name.startswith("blocks.")}
    assert depths == {"0", "1", "2", "3", "4"}
    assert not any(name.startswith(("conv_head", "bn2", "classifier")) for name, _ in lite0.network.named_parameters())
    handle = lite0.network.blocks[5].register_forward_hook(lambda *_: pytest.fail("a deeper module ran"))
    lite0(torch.zeros(1, 3, 32, 32))
    handle.remove()


def test_batch_norms_are_folded(lite0):
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in lite0.network.modules())


def test_layers_in_any_order(lite0):
    reversed_ = create_backbone(BackboneSpec("tf_efficientnet_lite0", "bundled", ("blocks.4", "blocks.2")))
    pictures = torch.randn(2, 3, 64, 64)
    for ours, theirs in zip(lite0(pictures), reversed(reversed_(pictures)), strict=True):
        assert torch.equal(ours, theirs)


def test_frozen(lite0):
    lite0.train()
    assert not any(module.training for module in lite0.modules())
    assert not any(parameter.requires_grad for parameter in lite0.parameters())
    assert not any(map_.requires_grad for map_ in lite0(torch.zeros(1, 3, 32, 32, requires_grad=True)))


def test_features_can_enter_a_trained_layer(lite0):
    """They are ordinary tensors, which autograd may keep for the backward pass."""
    features = lite0(torch.randn(1, 3, 32, 32))[0]
    layer = torch.nn.Conv2d(40, 4, 1)
    layer(features).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()


@settings(max_examples=10, deadline=None)
@given(height=st.integers(33, 130), width=st.integers(33, 130))
def test_feature_shapes_are_those_of_the_features(lite0, height, width):
    shapes = [tuple(map_.shape) for map_ in lite0(torch.zeros(1, 3, height, width))]
    assert shapes == [(1, *shape) for shape in lite0.feature_shapes((height, width))]


def test_features_do_not_depend_on_the_batch(lite0, monkeypatch):
    pictures = torch.randn(5, 3, 48, 64)
    together = lite0(pictures)
    monkeypatch.setattr(backbones, "_PORTION_PIXELS", 2 * 48 * 64)
    for ours, theirs in zip(together, lite0(pictures), strict=True):
        assert ours.shape[0] == 5
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    for row in range(5):
        torch.testing.assert_close(lite0(pictures[row : row + 1])[1][0], together[1][row], rtol=1e-4, atol=1e-5)


def test_double_precision_agrees_with_single(lite0):
    pictures = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    double = copy.deepcopy(lite0).double()
    for wide, narrow in zip(double(double.preprocess(pictures)), lite0(lite0.preprocess(pictures)), strict=True):
        assert wide.dtype == torch.float64
        assert (wide - narrow).abs().max() <= 1e-5 * wide.abs().max()


def test_copies_and_pickles_are_independent(lite0):
    pictures = torch.randn(1, 3, 64, 64)
    expected = lite0(pictures)
    for twin in (copy.deepcopy(lite0), pickle.loads(pickle.dumps(lite0))):  # noqa: S301 - our own object
        assert twin.weights_digest == lite0.weights_digest
        twin.network.conv_stem.weight.data.zero_()
        assert not torch.equal(twin(pictures)[0], expected[0])
        assert torch.equal(lite0(pictures)[0], expected[0])


def test_preprocess_normalises_as_the_bundled_weights_want_it(lite0):
    pictures = torch.randint(0, 256, (2, 8, 6, 3), dtype=torch.uint8)
    expected = (pictures.permute(0, 3, 1, 2).float() - 127) / 128
    assert torch.equal(lite0.preprocess(pictures), expected)
    assert torch.equal(lite0.preprocess(pictures.float()), expected)


def test_preprocess_normalises_as_timm_says_for_other_weights(network_file):
    _, path = network_file("test_efficientnet")
    backbone = create_backbone(BackboneSpec("test_efficientnet", str(path), ("blocks.0",)))
    pictures = torch.randint(0, 256, (2, 8, 6, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = (pictures.permute(0, 3, 1, 2) / 255 - mean) / std
    torch.testing.assert_close(backbone.preprocess(pictures), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 6, 3), (2, 3, 8, 6)])
def test_preprocess_refuses_other_shapes(lite0, shape):
    with pytest.raises(ValueError, match=r"\(B, H, W, 3\)"):
        lite0.preprocess(torch.zeros(shape, dtype=torch.uint8))


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    create_backbone(BackboneSpec("tf_efficientnet_lite0", "bundled", ("blocks.0",)))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("name", "layers", "words"),
    [
        ("tf_efficientnet_lite0", ("blocks.9",), ["--layers blocks.9", "conv_stem", "blocks.0", "blocks.6"]),
        ("tf_efficientnet_lite0", ("classifier",), ["--layers classifier", "blocks.2"]),
        ("tf_efficientnet_lite0", ("blocks.2", "blocks.2"), ["--layers blocks.2,blocks.2"]),
        ("tf_efficientnet_lite0", (), ["--layers"]),
        ("test_vit", ("head",), ["--layers head", "no map", "blocks.0", "norm"]),
        ("efficientnet_light0", ("blocks.2",), ["--backbone efficientnet_light0", "efficientnet_lite0"]),
        ("resnet18.nobody", ("layer1",), ["--backbone resnet18.nobody", "resnet18.a1_in1k"]),
    ],
)
def test_mistakes_are_named_with_what_can_be_chosen(name, layers, words):
    with pytest.raises(UserError) as caught:
        create_backbone(BackboneSpec(name, "bundled", layers))
    for word in words:
        assert word in str(caught.value)


def test_size_the_network_cannot_take(network_file):
    _, path = network_file("test_byobnet")
    backbone = create_backbone(BackboneSpec("test_byobnet", str(path), ("stages.3",)))
    with pytest.raises(UserError, match="--size 0x5"):
        backbone.feature_shapes((0, 5))


def test_documented_example():
    assert doctest.testmod(backbones).failed == 0


@pytest.mark.parametrize("size", [(64, 64), (97, 160)])
def test_shapes_are_known_without_the_weights(lite0, size):
    spec = BackboneSpec("tf_efficientnet_lite0", "/nowhere/mine.pth", lite0.layers)
    assert shape_finder(spec)(size) == lite0.feature_shapes(size)
