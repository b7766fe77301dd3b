"""Agreement with values of the published implementation, in float64; parameters are those before its ten steps."""

import numpy as np
import pytest
import torch
from reference_detectors import csflow_of

from raylab2f.detectors.base import Batch


@pytest.fixture
def case(csflow_reference):
    """The reference's detector with its parameters, its batch and its values."""
    detector, maps = csflow_of(csflow_reference)
    return detector, Batch(torch.arange(len(maps[0])), maps), csflow_reference


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
