"""anomalib's own training on the pictures of a train partition, by Lightning, as anomalib's engine has it.

No validation, no early stopping on anything, no normalisation or threshold: those are chosen on other pictures, here.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from anomalib.data import ImageBatch, ImageItem
from lightning import LightningDataModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from raylab2f.detectors.pictures.detector import Heard

__all__ = ["fit_module", "to_input"]

# What anomalib's models say of themselves to the trainer, beside how long they train.
_LENGTHS = ("max_epochs", "max_steps")


def to_input(pictures: Tensor) -> Tensor:
    """Pictures (n, H, W, 3) uint8 as anomalib takes them: (n, 3, H, W) float32 in 0..1."""
    return pictures.permute(0, 3, 1, 2).contiguous().float() / 255


def fit_module(
    module: Any,
    pictures: Tensor,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    validates: bool = False,
    heard: Heard | None = None,
) -> None:
    """Train one of anomalib's models on pictures (N, H, W, 3), uint8, on their device.

    Arguments:
        epochs: at least 1.
        batch_size: pictures per step.
        seed: of everything random.
        validates: let it see the same pictures once more as its validation, at the end.
        heard: called after each epoch.
    """
    seed_everything(seed % 2**32, workers=False, verbose=False)
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    own = {name: value for name, value in module.trainer_arguments.items() if name not in _LENGTHS}
    arguments = {
        "accelerator": "gpu" if pictures.is_cuda else "cpu",
        "devices": [pictures.device.index or 0] if pictures.is_cuda else 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "limit_val_batches": 1.0 if validates else 0,
        "check_val_every_n_epoch": epochs,
        "max_epochs": epochs,
        "callbacks": [_Hearing(heard, epochs, len(pictures))],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(**{**own, **arguments})
        # Lightning leaves a model in the mode in which it finds it.
        module.train()
        trainer.fit(module, datamodule=_Pictures(pictures, batch_size, seed))


class _Pictures(LightningDataModule):
    """Good pictures in batches; the same ones for validation, where a model asks for such."""

    def __init__(self, pictures: Tensor, batch_size: int, seed: int) -> None:
        super().__init__()
        self._dataset = _Items(pictures)
        self._seed = seed
        # anomalib's models ask for it.
        self.train_batch_size = min(batch_size, len(pictures))
        self.category = ""

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled."""
        generator = torch.Generator().manual_seed(self._seed)
        # A last batch of a single picture would have no variance to normalise by.
        left_over = len(self._dataset) % self.train_batch_size == 1 and self.train_batch_size > 1
        return self._loader(shuffle=True, generator=generator, drop_last=left_over)

    def val_dataloader(self) -> DataLoader[Any]:
        """In order."""
        return self._loader(shuffle=False)

    def _loader(self, **how: Any) -> DataLoader[Any]:
        return DataLoader(self._dataset, self.train_batch_size, collate_fn=_collate, **how)


class _Items(Dataset[Any]):
    """Pictures (N, H, W, 3) one by one, as anomalib's datasets give them."""

    def __init__(self, pictures: Tensor) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, place: int) -> Any:
        return ImageItem(image=to_input(self._pictures[place : place + 1])[0], gt_label=torch.tensor(False))


def _collate(items: Sequence[Any]) -> Any:
    return ImageBatch.collate(list(items))


class _Hearing(Callback):
    """Tells the epochs, with their mean loss where the model's steps give one."""

    def __init__(self, heard: Heard | None, epochs: int, pictures: int) -> None:
        self._heard, self._epochs, self._pictures = heard, epochs, pictures
        self._losses: list[float] = []
        self._began = time.perf_counter()

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._losses, self._began = [], time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            self._losses.append(float(loss.detach()))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self._heard is not None:
            loss = sum(self._losses) / len(self._losses) if self._losses else 0.0
            speed = self._pictures / max(time.perf_counter() - self._began, 1e-9)
            self._heard(trainer.current_epoch + 1, self._epochs, loss, speed)
