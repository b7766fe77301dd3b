import pytest
import timm
import torch
from safetensors.torch import save_file

from raylab2f.features import BackboneSpec, create_backbone


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seeded_network(name):
    """A timm model whose weights and batch norm statistics are drawn, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = timm.create_model(name, pretrained=False).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.3)
    return network


@pytest.fixture(scope="session")
def network_file(tmp_path_factory):
    """`network_file(name)`: a seeded timm model and the safetensors file of its weights."""
    made = {}

    def get(name):
        if name not in made:
            network = seeded_network(name)
            path = tmp_path_factory.mktemp("weights") / f"{name}.safetensors"
            save_file(network.state_dict(), path)
            made[name] = network, path
        return made[name]

    return get


@pytest.fixture(scope="session")
def lite0():
    return create_backbone(BackboneSpec("tf_efficientnet_lite0", "bundled", ("blocks.2", "blocks.4")))
