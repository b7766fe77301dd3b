"""Grounded SAM: one sentence finds the object in every picture of a data set, two published networks do the work.

Grounding DINO proposes boxes for the sentence; of those left after non-maximum suppression the one with the highest
score goes to Segment Anything (SAM or SAM 2), and of its proposals for that box the one that it rates highest is the
mask. Hönel & Nordqvist (2025) prepare their pictures so. Needs the optional extra `raylab2f[segment]`.

References:
    Liu et al., "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection", ECCV 2024.
    Kirillov et al., "Segment Anything", ICCV 2023; Ravi et al., "SAM 2", ICLR 2025.
    Ren et al., "Grounded SAM: Assembling Open-World Models for Diverse Visual Tasks", 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms

from raylab2f.errors import UserError
from raylab2f.preparation.segmentation import NothingDetectedError, Segment

__all__ = ["GroundedSam", "GroundedSamConfig", "best_box", "best_mask", "require_transformers"]


@dataclass(frozen=True)
class GroundedSamConfig:
    """What is looked for, and with which networks.

    Arguments:
        prompt: the object in plain words, such as "the curved metal part in the center of the image".
        detector: Grounding DINO checkpoint: name on the Hugging Face hub, or a local folder.
        segmenter: SAM or SAM 2 checkpoint, likewise.
        box_threshold: least score of a box, in [0, 1].
        text_threshold: least score of a word of the prompt for a box, in [0, 1]; a box that no word reaches is dropped.
        nms_threshold: of two boxes with a larger intersection over union the better one stays.
    """

    prompt: str
    detector: str = "IDEA-Research/grounding-dino-base"
    segmenter: str = "facebook/sam-vit-huge"
    box_threshold: float = 0.25
    text_threshold: float = 0.25
    nms_threshold: float = 0.8


def require_transformers() -> None:
    """`UserError` unless the library that both networks come from is there."""
    if find_spec("transformers") is None:
        raise UserError(
            "--method grounded-sam needs the library transformers; install it with pip install 'raylab2f[segment]', or "
            "choose --method contrast."
        )


class GroundedSam:
    """Both networks on one device; calling it segments one (H, W, 3) RGB picture.

    Raises:
        UserError: the library or a checkpoint cannot be had.
    """

    def __init__(self, config: GroundedSamConfig, device: torch.device) -> None:
        require_transformers()
        from transformers import AutoModelForMaskGeneration, AutoModelForZeroShotObjectDetection

        self.config = config
        self.device = device
        # Grounding DINO was trained on lower-case phrases that end in a full stop.
        self.text = config.prompt.strip().lower().rstrip(".") + "."
        self.box_processor, self.detector = _load(AutoModelForZeroShotObjectDetection, config.detector, device)
        self.mask_processor, self.segmenter = _load(AutoModelForMaskGeneration, config.segmenter, device)

    def __call__(self, picture: NDArray[np.uint8]) -> Segment:
        boxes, scores = self._propose_boxes(picture)
        number, others = best_box(boxes, scores, self.config.nms_threshold)
        masks, ratings = self._propose_masks(picture, boxes[number].tolist())
        note = f"{others + 1} boxes fit the prompt; the best was taken" if others else None
        return Segment(best_mask(masks, ratings), float(scores[number]), note)

    @torch.inference_mode()
    def _propose_boxes(self, picture: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 4) boxes as left, top, right, bottom in pixels, and their (n,) scores."""
        inputs = self.box_processor(images=picture, text=self.text, return_tensors="pt").to(self.device)
        [found] = self.box_processor.post_process_grounded_object_detection(
            self.detector(**inputs),
            inputs.input_ids,
            threshold=self.config.box_threshold,
            text_threshold=self.config.text_threshold,
            target_sizes=[picture.shape[:2]],
        )
        named = torch.tensor([bool(label) for label in found["text_labels"]], dtype=torch.bool)
        return found["boxes"].cpu().float()[named], found["scores"].cpu().float()[named]

    @torch.inference_mode()
    def _propose_masks(self, picture: NDArray[np.uint8], box: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
        """(m, H, W) boolean masks for a box and the (m,) ratings that the network gives them."""
        inputs = self.mask_processor(images=picture, input_boxes=[[box]], return_tensors="pt").to(self.device)
        # Only for undoing the resizing; the network does not take them.
        sizes = [inputs.pop(name) for name in ("original_sizes", "reshaped_input_sizes") if name in inputs]
        output = self.segmenter(**inputs, multimask_output=True)
        [masks] = self.mask_processor.post_process_masks(output.pred_masks.cpu(), *(size.cpu() for size in sizes))
        return masks[0].bool(), output.iou_scores.cpu().float()[0, 0]


def best_box(boxes: torch.Tensor, scores: torch.Tensor, nms_threshold: float) -> tuple[int, int]:
    """The row of the box with the highest score, and how many other boxes non-maximum suppression leaves.

    Arguments:
        boxes: (n, 4) left, top, right, bottom.
        scores: (n,).

    Raises:
        NothingDetectedError: there is no box.
    """
    if len(boxes) == 0:
        raise NothingDetectedError("nothing detected: no box fits the prompt")
    kept = nms(boxes, scores, nms_threshold)
    return int(kept[0]), len(kept) - 1


def best_mask(masks: torch.Tensor, ratings: torch.Tensor) -> NDArray[np.bool_]:
    """The (H, W) mask with the highest rating among (m, H, W).

    Raises:
        NothingDetectedError: that mask is empty.
    """
    mask = masks[int(ratings.argmax())].numpy()
    if not mask.any():
        raise NothingDetectedError("nothing detected: the mask of the best box is empty")
    return np.asarray(mask, bool)


def _load(family: Any, name: str, device: torch.device) -> tuple[Any, Any]:
    """Processor and network of a checkpoint, by hub name or folder; safetensors only, for a pickle may run code."""
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(name)
        network = family.from_pretrained(name, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"The checkpoint {name} cannot be loaded ({reason}); give a folder with a checkpoint in safetensors, or a "
            "name on the hub that can be reached from here."
        ) from error
    return processor, network.to(device).eval()
