import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from raylab2f.datasets.masks import FEW_VALUES
from raylab2f.datasets.pictures import UnreadablePictureError, probe_mask, read_mask

LOSSLESS = ["png", "bmp", "tif", "pgm", "gif", "webp", "jp2"]


def blocks(levels, dtype=np.uint8, size=48):
    """A square with one block of each level."""
    values = np.zeros((size, size), dtype)
    side = size // (len(levels) + 1)
    for number, level in enumerate(levels):
        values[number * side + 1 : (number + 1) * side, 3 : size // 2] = level
    return values


def write(path, image, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(path, **({"lossless": True} if path.suffix == ".webp" else {}), **options)
    return path


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("levels", [[85, 170, 255], [50, 100, 150], [1, 8, 16], [1, 192], [255], [1, 2, 3, 255]])
def test_all_classes_of_a_lossless_mask_are_marked(tmp_path, suffix, levels):
    values = blocks(levels)
    path = write(tmp_path / f"m.{suffix}", values)
    np.testing.assert_array_equal(read_mask(path), values > 0)
    facts = probe_mask(path)
    assert (facts.classes, facts.marked, facts.lossy) == (len(levels), (values > 0).sum(), False)
    assert facts.unsure is None


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 65535), min_size=1, max_size=5, unique=True), st.booleans())
def test_all_classes_of_16_bits_are_marked(tmp_path_factory, levels, tiff):
    values = blocks(levels, np.uint16)
    # Values that crowd at both ends are noise.
    if any(value <= 8 * 257 for value in levels) and sum(value >= 65535 - 8 * 257 for value in levels) > 1:
        return
    path = write(tmp_path_factory.getbasetemp() / ("sixteen.tif" if tiff else "sixteen.png"), values)
    np.testing.assert_array_equal(read_mask(path), values > 0)


def test_colours_are_marked_however_dark(tmp_path):
    values = np.zeros((48, 48, 3), np.uint8)
    values[4:12, 10:18] = (48, 112, 32)
    values[24:32, 10:18] = (176, 112, 32)
    path = write(tmp_path / "m.png", values)
    np.testing.assert_array_equal(read_mask(path), values.any(axis=2))
    assert probe_mask(path).classes == 2


@pytest.mark.parametrize("ink", [(0, 0, 0), (200, 0, 0), (255, 255, 255), (3, 3, 3)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_ink_on_transparent_ground_is_marked_whatever_its_colour(tmp_path, ink, mode):
    values = np.zeros((48, 48, 4), np.uint8)
    values[18:28, 20:32] = (*ink, 255)
    path = tmp_path / ("m.gif" if mode == "P" else "m.png")
    image = Image.fromarray(values)
    (image if mode == "P" else image.convert(mode)).save(path)
    np.testing.assert_array_equal(read_mask(path), values[:, :, 3] > 0)
    assert probe_mask(path).marked == 120


def test_soft_ink_is_cut_in_the_middle_of_its_alpha(tmp_path):
    alpha = np.zeros((9, 64), np.uint8)
    alpha[:] = np.linspace(0, 255, 64).astype(np.uint8)
    values = np.dstack([np.zeros((9, 64, 3), np.uint8), alpha])
    np.testing.assert_array_equal(read_mask(write(tmp_path / "m.png", values)), alpha >= 128)


@pytest.mark.parametrize("opacity", [255, 130])
def test_equal_opacity_everywhere_says_nothing(tmp_path, opacity):
    grey = blocks([40, 255])
    values = np.dstack([grey, grey, grey, np.full_like(grey, opacity)])
    np.testing.assert_array_equal(read_mask(write(tmp_path / "m.png", values)), grey > 0)


def test_black_between_transparent_and_coloured_is_background_and_told(tmp_path):
    values = np.zeros((40, 40, 4), np.uint8)
    values[5:35, 5:35, 3] = 255
    values[10:20, 10:20, 0] = 255
    path = write(tmp_path / "m.png", values)
    np.testing.assert_array_equal(read_mask(path), values[:, :, 0] > 0)
    assert "transparent" in probe_mask(path).unsure


class TestPalettes:
    def save(self, path, indices, colours):
        image = Image.fromarray(indices, "P")
        image.putpalette([value for colour in colours for value in colour])
        image.save(path)
        return path

    @pytest.mark.parametrize("black", [0, 1, 2])
    def test_black_is_background_wherever_it_stands(self, tmp_path, black):
        colours = [(200, 0, 0), (0, 60, 0)]
        colours.insert(black, (0, 0, 0))
        indices = np.full((48, 48), black, np.uint8)
        others = [index for index in range(3) if index != black]
        indices[4:10, 4:20], indices[20:30, 4:20] = others
        path = self.save(tmp_path / "m.png", indices, colours)
        np.testing.assert_array_equal(read_mask(path), indices != black)
        assert probe_mask(path).classes == 2

    def test_of_entries_that_all_show_black_the_first_is_background(self, tmp_path):
        indices = blocks([1, 2])
        path = self.save(tmp_path / "m.png", indices, [(0, 0, 0)] * 3)
        np.testing.assert_array_equal(read_mask(path), indices > 0)


@pytest.mark.parametrize("shape", ["grey", "colour"])
def test_without_black_the_rim_is_background_and_that_is_told(tmp_path, shape):
    values = np.where(blocks([7]) > 0, 3, 200).astype(np.uint8)
    path = write(tmp_path / "m.png", values if shape == "grey" else np.dstack([values, values, values // 2]))
    np.testing.assert_array_equal(read_mask(path), values == 3)
    assert "rim" in probe_mask(path).unsure


def test_one_value_everywhere(tmp_path):
    for value, marked in ((0, 0), (1, 60), (255, 60)):
        facts = probe_mask(write(tmp_path / "m.png", np.full((6, 10), value, np.uint8)))
        assert (facts.marked, facts.unsure, facts.inverted) == (marked, None, bool(marked))


def test_black_on_white_is_not_turned_round_but_told(tmp_path):
    values = 255 - blocks([255])
    path = write(tmp_path / "m.png", values)
    np.testing.assert_array_equal(read_mask(path), values > 0)
    assert probe_mask(path).inverted


def test_a_foreground_in_the_middle_is_not_taken_for_inverted(tmp_path):
    values = np.zeros((40, 40), np.uint8)
    values[2:38, 2:38] = 255
    assert not probe_mask(write(tmp_path / "m.png", values)).inverted


@pytest.mark.parametrize("radius", [0.6, 1, 2, 4])
def test_blurred_edges_are_cut_in_the_middle(tmp_path, radius):
    sharp = Image.fromarray(blocks([255]))
    soft = np.asarray(sharp.filter(ImageFilter.GaussianBlur(radius)))
    np.testing.assert_array_equal(read_mask(write(tmp_path / "m.png", soft)), soft >= 128)


@pytest.mark.parametrize("quality", [75, 90, 95, 98, 100])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_noise_of_jpeg_is_not_marked(tmp_path, quality, suffix):
    values = np.zeros((256, 256), np.uint8)
    values[50:101, 60:133] = 255
    content = io.BytesIO()
    Image.fromarray(values).save(content, "JPEG", quality=quality)
    path = tmp_path / f"m.{suffix}"
    if suffix == "jpg":
        path.write_bytes(content.getvalue())
        assert probe_mask(path).lossy
    else:
        Image.open(content).save(path)
    # At the highest quality single pixels are off by one.
    assert (read_mask(path) != (values > 0)).sum() <= 1


def test_classes_of_a_lossy_file_keep_the_old_rule(tmp_path):
    values = blocks([85, 255])
    for path, options in ((tmp_path / "m.jpg", {"quality": 100}), (tmp_path / "m.tif", {"compression": "jpeg"})):
        Image.fromarray(values).save(path, **options)
        np.testing.assert_array_equal(read_mask(path), values == 255)
        assert probe_mask(path).lossy
    Image.fromarray(values).save(tmp_path / "m.webp", quality=90)
    Image.fromarray(values).save(tmp_path / "m.jp2", irreversible=True, quality_mode="dB", quality_layers=[40])
    assert probe_mask(tmp_path / "m.webp").lossy
    assert probe_mask(tmp_path / "m.jp2").lossy


@pytest.mark.parametrize(("number", "all_marked"), [(FEW_VALUES - 1, True), (FEW_VALUES, False)])
def test_how_many_values_are_few(tmp_path, number, all_marked):
    values = blocks(np.linspace(20, 255, number).astype(int), size=16 * number)
    expected = values > 0 if all_marked else values >= 128
    np.testing.assert_array_equal(read_mask(write(tmp_path / "m.png", values)), expected)


def test_the_first_of_several_frames_counts(tmp_path):
    frames = [Image.fromarray(blocks([255])), Image.fromarray(blocks([0]))]
    for suffix in ("gif", "tif", "webp"):
        path = tmp_path / f"m.{suffix}"
        lossless = {"lossless": True} if suffix == "webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], **lossless)
        np.testing.assert_array_equal(read_mask(path), blocks([255]) > 0)


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "masks"
        folder.mkdir()
        write(folder / "b.png", blocks([255, 0]))
        write(folder / "a.PNG", blocks([0, 7]))
        (folder / ".hidden.png").write_bytes(b"no mask")
        (folder / "notes.txt").write_text("no mask", encoding="utf-8")
        return folder

    def test_masks_are_united(self, folder):
        expected = blocks([1, 1]) > 0
        np.testing.assert_array_equal(read_mask(folder), expected)
        facts = probe_mask(folder)
        assert (facts.marked, facts.classes, facts.width, facts.height) == (expected.sum(), 1, 48, 48)

    def test_the_digest_follows_names_and_contents(self, folder, tmp_path):
        digests = [probe_mask(folder).sha256]
        assert probe_mask(folder.rename(tmp_path / "elsewhere")).sha256 == digests[0]
        folder = tmp_path / "elsewhere"
        (folder / ".hidden.png").unlink()
        assert probe_mask(folder).sha256 == digests[0]
        (folder / "b.png").rename(folder / "c.png")
        digests.append(probe_mask(folder).sha256)
        write(folder / "c.png", blocks([9, 0]))
        digests.append(probe_mask(folder).sha256)
        (folder / "c.png").unlink()
        digests.append(probe_mask(folder).sha256)
        digests.append(probe_mask(folder / "a.PNG").sha256)
        assert len(set(digests)) == 5

    def test_sizes_must_agree(self, folder):
        write(folder / "c.png", blocks([255], size=20))
        for read in (read_mask, probe_mask):
            with pytest.raises(UnreadablePictureError, match=r"c\.png: it has 20 x 20 pixels, but another .* 48 x 48"):
                read(folder)

    def test_an_empty_folder_is_named(self, folder):
        for path in folder.glob("*.[pP]*"):
            path.unlink()
        with pytest.raises(UnreadablePictureError, match="masks: the folder holds no mask"):
            probe_mask(folder)
