"""Agreement with values of the published implementation, in float64.

A reference file states values before ten optimiser steps, the losses of these steps, and the parameters. In those in
tests/reference the parameters are the ones *after* the steps (the loss at them is the eleventh of the sequence, some
weights lie outside of the range of their initial distribution by up to ten learning rates). The ones before were drawn
by torch's default initialisation from a small seed, so they can be drawn again: the seed is the one that meets the
file's parameters within ten steps. All values must then follow from them, and the file's parameters as well.
"""

import json

import numpy as np
import pytest
import torch

from raylab2f.detectors.base import Batch, Schedule
from raylab2f.detectors.csflow import CSFlow, CSFlowConfig

SEEDS = 1000


@pytest.fixture
def case(csflow_reference):
    """The reference's detector with the parameters in front of the first step, its batch and its values."""
    values = csflow_reference
    settings = json.loads(str(values["config"]))
    maps = [torch.from_numpy(values[f"x{scale}"]) for scale in range(3)]
    config = CSFlowConfig(
        hidden_channels=settings["hidden_channels"],
        kernel_sizes=tuple(settings["kernel_sizes"]),
        clamp=settings["clamp"],
        learning_rate=settings["lr"],
        adam_eps=settings["adam_eps"],
        weight_decay=settings["weight_decay"],
        schedule=Schedule(epochs=1, batch_size=16, max_grad_norm=settings["max_grad_norm"]),
    )
    detector = CSFlow(config, [tuple(x.shape[1:]) for x in maps]).double()
    batch = Batch(torch.arange(len(maps[0])), maps)
    load(detector, values)
    if not np.isclose(detector(batch).item(), values["loss"], rtol=1e-6):
        drawn = drawn_parameters(values, 10 * settings["lr"])
        assert drawn is not None, "the file's parameters are neither those before its steps nor can these be found"
        load(detector, drawn)
    return detector, batch, values


def own_names(detector):
    """The detector's state by name, and each one's name in a reference file."""
    for key in detector.state_dict():
        _, _, index, rest = key.split(".", 3)
        block, kind = divmod(int(index), 2)
        source = f"param/block{block}.{rest}"
        yield key, source if kind else f"permutation/block{block}/{rest.replace('permutation', 'scale')}"


def load(detector, values):
    state = detector.state_dict()
    found = {key: torch.from_numpy(values[source]) for key, source in own_names(detector) if source in values}
    detector.load_state_dict(state | found)


def drawn_parameters(values, reach):
    """Initial parameters that are nowhere further than `reach` from the file's, drawn in the order of its entries."""
    names = [key for key in values if key.startswith("param/")]
    weights = [name for name in names if name.endswith(".weight")]
    near = 1.01 * reach

    def convolution(name):
        return torch.nn.Conv2d(*values[name].shape[1::-1], values[name].shape[2])

    for seed in range(SEEDS):
        torch.manual_seed(seed)
        if np.abs(convolution(weights[0]).weight.detach().numpy() - values[weights[0]]).max() > near:
            continue
        torch.manual_seed(seed)
        drawn = {}
        for name in weights:
            layer = convolution(name).double()
            drawn[name] = layer.weight.detach().numpy()
            drawn[name.replace(".weight", ".bias")] = layer.bias.detach().numpy()
        torch.manual_seed(seed + 1)
        for name in names:
            if "gamma" in name:
                drawn[name] = torch.empty(1, dtype=torch.float64).uniform_(0.3, 1.0).numpy()
        if all(np.abs(drawn[name] - values[name]).max() < near for name in names):
            return drawn
    return None


def close(found, expected, tolerance=1e-9):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=tolerance, atol=1e-12)


def test_latent_maps_and_log_determinant(case):
    detector, batch, values = case
    with torch.no_grad():
        z, log_determinant = detector.latent(batch.features)
    for scale in range(3):
        close(z[scale], values[f"z{scale}"])
    close(log_determinant, values["logdet0"] + values["logdet1"] + values["logdet2"])


def test_loss_score_and_maps(case):
    detector, batch, values = case
    close(detector(batch).detach(), values["loss"])
    close(detector.predict(batch).scores, values["image_score"])
    # The publication shows a map of each scale.
    with torch.no_grad():
        z, _ = detector.latent(batch.features)
    for scale, latent in enumerate(z):
        close(latent.square().mean(dim=1), values[f"map{scale}"])


def test_ten_optimiser_steps(case):
    detector, batch, values = case
    start = {source: detector.state_dict()[key].numpy().copy() for key, source in own_names(detector)}
    (optimizer,) = detector.optimizers()
    losses, norms = [], []
    for _ in values["train_losses"]:
        optimizer.zero_grad()
        loss = detector(batch)
        loss.backward()
        limit = detector.config.schedule.max_grad_norm
        norms.append(float(torch.nn.utils.clip_grad_norm_(detector.parameters(), limit)))
        optimizer.step()
        losses.append(float(loss.detach()))
    close(losses, values["train_losses"], 1e-7)
    close(norms, values["train_grad_norms"], 1e-7)
    # The file's parameters are those at one of the two ends.
    end = {source: detector.state_dict()[key].numpy() for key, source in own_names(detector)}
    given = start if all(np.array_equal(start[source], values[source]) for source in start) else end
    for source, found in given.items():
        np.testing.assert_allclose(found, values[source], rtol=1e-7, atol=1e-9)
