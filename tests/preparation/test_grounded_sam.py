"""Choices after the networks with known boxes and masks; loading and running with tiny random networks."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from raylab2f.errors import UserError
from raylab2f.preparation.grounded_sam import GroundedSam, GroundedSamConfig, best_box, best_mask
from raylab2f.preparation.segmentation import NothingDetectedError

needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is not installed; pip install 'raylab2f[segment]'"
)
BOXES = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60], [0, 0, 10, 5.0]])


def test_the_best_box_wins_and_near_copies_of_it_do_not_count():
    number, others = best_box(BOXES, torch.tensor([0.3, 0.9, 0.5, 0.4]), 0.8)
    assert number == 1
    assert others == 2


def test_a_lower_threshold_suppresses_more():
    assert best_box(BOXES, torch.tensor([0.3, 0.9, 0.5, 0.4]), 0.5) == (1, 1)


def test_no_box_is_nothing_detected():
    with pytest.raises(NothingDetectedError, match="nothing detected"):
        best_box(torch.zeros(0, 4), torch.zeros(0), 0.8)


def test_the_mask_with_the_highest_rating_wins():
    masks = torch.zeros(3, 4, 5, dtype=torch.bool)
    masks[1, 2, 3] = True
    assert np.argwhere(best_mask(masks, torch.tensor([0.1, 0.9, 0.5]))).tolist() == [[2, 3]]
    with pytest.raises(NothingDetectedError, match="empty"):
        best_mask(masks, torch.tensor([0.9, 0.1, 0.5]))


@pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is installed")
def test_without_the_library_the_error_names_the_extra():
    with pytest.raises(UserError, match=r"raylab2f\[segment\]"):
        GroundedSam(GroundedSamConfig("part"), torch.device("cpu"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Folders with tiny random networks, as `from_pretrained` expects them."""
    import transformers as tf

    root = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "the", "metal", "part"]
    (root / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    config = tf.GroundingDinoConfig(
        backbone_config=tf.SwinConfig(
            image_size=64,
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 1, 1],
            window_size=4,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=tf.BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
        ),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=10,
        num_feature_levels=3,
    )
    tf.GroundingDinoForObjectDetection(config).save_pretrained(root / "dino")
    pictures = tf.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    tf.GroundingDinoProcessor(pictures, tf.BertTokenizer(str(root / "vocab.txt"))).save_pretrained(root / "dino")

    prompts = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    decoder |= {"iou_head_depth": 2, "iou_head_hidden_dim": 16}
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64, "patch_size": 16}
    vision |= {"output_channels": 16, "global_attn_indexes": [0], "window_size": 2, "mlp_dim": 16, "num_pos_feats": 8}
    sam = tf.SamConfig(
        vision_config=vision,
        prompt_encoder_config={**prompts, "image_embedding_size": 4},
        mask_decoder_config=decoder,
    )
    tf.SamModel(sam).save_pretrained(root / "sam")
    sizes = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    sizes |= {"mask_size": {"longest_edge": 16}, "mask_pad_size": {"height": 16, "width": 16}}
    tf.SamProcessor(tf.SamImageProcessor(**sizes)).save_pretrained(root / "sam")

    hiera = tf.Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 1, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[],
        window_positional_embedding_background_size=[2, 2],
    )
    vision2 = tf.Sam2VisionConfig(
        backbone_config=hiera,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=16,
    )
    sam2 = tf.Sam2Config(vision_config=vision2, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    tf.Sam2Model(sam2).save_pretrained(root / "sam2")
    square = {"size": {"height": 64, "width": 64}, "mask_size": {"height": 16, "width": 16}}
    tf.Sam2Processor(tf.Sam2ImageProcessor(**square)).save_pretrained(root / "sam2")
    return root


def grounded_sam(checkpoints, segmenter, **changes):
    changes = {"box_threshold": 0.0, "text_threshold": 0.0, **changes}
    config = GroundedSamConfig("The metal part", str(checkpoints / "dino"), str(checkpoints / segmenter), **changes)
    return GroundedSam(config, torch.device("cpu"))


@needs_transformers
@pytest.mark.parametrize("segmenter", ["sam", "sam2"])
def test_checkpoints_in_folders_load_and_give_masks_of_the_pictures_size(checkpoints, segmenter):
    picture = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    find = grounded_sam(checkpoints, segmenter)
    assert find.text == "the metal part."
    found, again = find(picture), find(picture)
    assert found.mask.shape == (90, 140)
    assert found.mask.dtype == bool
    assert 0 <= found.score <= 1
    np.testing.assert_array_equal(found.mask, again.mask)


@needs_transformers
def test_boxes_are_in_pixels_and_above_their_threshold(checkpoints):
    picture = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    boxes, scores = grounded_sam(checkpoints, "sam")._propose_boxes(picture)
    assert boxes.shape == (10, 4)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert ((middle >= 0) & (middle <= torch.tensor([140.0, 90.0]))).all()
    assert middle.max() > 1
    limit = float(scores.median())
    fewer, higher = grounded_sam(checkpoints, "sam", box_threshold=limit)._propose_boxes(picture)
    assert 0 < len(fewer) < 10
    assert (higher > limit).all()


@needs_transformers
@pytest.mark.parametrize("changes", [{"box_threshold": 1.0}, {"text_threshold": 1.0}])
def test_nothing_above_the_thresholds_is_nothing_detected(checkpoints, changes):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(NothingDetectedError, match="no box"):
        grounded_sam(checkpoints, "sam", **changes)(picture)


@needs_transformers
def test_a_checkpoint_that_is_not_there_is_named(checkpoints):
    with pytest.raises(UserError, match=r"nowhere cannot be loaded"):
        grounded_sam(checkpoints, "nowhere")
