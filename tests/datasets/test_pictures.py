import hashlib
import pickle

import numpy as np
import pytest
from PIL import Image, ImageOps

from raylab2f.datasets.pictures import UnreadablePictureError, probe_file, read_mask, read_picture
from raylab2f.errors import UserError


@pytest.fixture
def colours():
    return np.random.default_rng(3).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def test_an_rgb_picture_is_read_as_it_is(tmp_path, save, colours):
    path = save(tmp_path / "a.png", colours)
    read = read_picture(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, colours)
    assert read.flags.writeable


def test_a_picture_is_read_from_a_uri(tmp_path, save, colours):
    path = save(tmp_path / "ä b.png", colours)
    np.testing.assert_array_equal(read_picture(path.as_uri()), colours)


def test_grey_is_copied_to_three_channels(tmp_path, save, colours):
    path = save(tmp_path / "a.png", colours[:, :, 0])
    np.testing.assert_array_equal(read_picture(path), np.repeat(colours[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_divided_by_257(tmp_path, save, suffix):
    values = np.array([[0, 128, 129, 257], [4095, 32768, 65406, 65535]], np.uint16)
    path = save(tmp_path / f"a.{suffix}", values)
    read = read_picture(path)
    np.testing.assert_array_equal(read[:, :, 0], np.rint(values / 257).astype(np.uint8))
    assert (read == read[:, :, :1]).all()
    assert probe_file(path).peak == 65535


def test_16_bit_colour_keeps_the_high_byte(tmp_path):
    cv2 = pytest.importorskip("cv2")
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())
    np.testing.assert_array_equal(read_picture(path), (values[:, :, ::-1] >> 8).astype(np.uint8))


def test_transparency_is_laid_over_black(tmp_path, save, colours):
    alpha = np.zeros((5, 7), np.uint8)
    alpha[:, :3] = 255
    path = save(tmp_path / "a.png", np.dstack([colours, alpha]))
    expected = colours.copy()
    expected[:, 3:] = 0
    np.testing.assert_array_equal(read_picture(path), expected)


def test_half_transparent_is_half_as_bright(tmp_path, save):
    path = save(tmp_path / "a.png", np.full((2, 2, 4), [200, 100, 50, 128], np.uint8))
    np.testing.assert_allclose(read_picture(path)[0, 0], [100, 50, 25], atol=1)


def test_a_palette_gives_its_colours(tmp_path):
    indices = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    indices.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    indices.save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_picture(tmp_path / "a.png"), [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]]
    )


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (3, 2), (255, 0, 0, 0)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), np.full((2, 3, 3), [0, 255, 255]))


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "pgm", "ppm", "pbm", "webp", "jp2", "tif", "gif"])
def test_further_formats_are_read(tmp_path, suffix):
    grey = np.zeros((8, 12), np.uint8)
    grey[:4] = 255
    image = Image.fromarray(grey).convert("1" if suffix == "pbm" else "RGB" if suffix == "ppm" else "L")
    image.save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_allclose(read_picture(tmp_path / f"a.{suffix}")[:, :, 1], grey, atol=2)
    facts = probe_file(tmp_path / f"a.{suffix}")
    assert (facts.width, facts.height) == (12, 8)


def test_a_cmyk_jpeg_is_read(tmp_path):
    Image.new("CMYK", (16, 8), (0, 0, 0, 255)).save(tmp_path / "a.jpg", quality=100)
    assert read_picture(tmp_path / "a.jpg").max() <= 2


def test_big_endian_16_bits_are_read_like_little_endian_ones(tmp_path):
    values = np.array([[0, 256, 32768], [4095, 65535, 1]], np.uint16)
    Image.frombytes("I;16B", (3, 2), values.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif")[:, :, 0], np.rint(values / 257).astype(np.uint8))
    assert probe_file(tmp_path / "a.tif").peak == 65535


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA", "P"])
def test_modes_with_transparency_show_black_there(tmp_path, mode):
    image = Image.new("RGBA", (4, 2), (200, 200, 200, 255))
    image.paste((90, 90, 90, 0), (0, 0, 2, 2))
    path = tmp_path / ("a.gif" if mode == "P" else "a.tif" if mode == "PA" else "a.png")
    (image if mode == "P" else image.convert("RGBA" if mode == "PA" else mode)).save(path)
    np.testing.assert_array_equal(read_picture(path)[:, :, 0], [[0, 0, 200, 200]] * 2)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16", "I;16B"])
def test_large_pictures_are_converted_like_small_ones(tmp_path, save, mode):
    rng = np.random.default_rng(5)
    values = np.dstack([rng.integers(0, 256, (1100, 1200, 3)), rng.integers(0, 2, (1100, 1200)) * 255]).astype(np.uint8)
    path = tmp_path / ("a.gif" if mode == "P" else "a.tif")
    if mode.startswith("I;16"):
        deep = values[:, :, 0].astype(np.uint16) * 257
        Image.frombytes(mode, (1200, 1100), deep.astype(">u2" if mode == "I;16B" else "<u2").tobytes()).save(path)
        expected = np.repeat(values[:, :, :1], 3, axis=2)
    else:
        (Image.fromarray(values) if mode == "P" else Image.fromarray(values).convert(mode)).save(path)
        rgba = np.asarray(Image.open(path).convert("RGBA"))
        expected = rgba[:, :, :3] * (rgba[:, :, 3:] > 0)
    np.testing.assert_array_equal(read_picture(path), expected)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_stands_as_viewers_show_it(tmp_path, colours, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(colours).save(tmp_path / "a.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), expected)
    facts = probe_file(tmp_path / "a.png")
    assert (facts.height, facts.width, facts.orientation) == (*expected.shape[:2], turn)


def test_one_bit_becomes_black_and_white(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png")[0, :, 0], [255, 0])


def test_exif_orientation_is_applied_to_picture_and_size(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(colours).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), np.rot90(colours, -1))
    facts = probe_file(tmp_path / "a.png")
    assert (facts.width, facts.height) == (5, 7)


def test_probing_tells_size_and_checksum(tmp_path, save):
    path = save(tmp_path / "a.jpg")
    facts = probe_file(path)
    assert (facts.width, facts.height, facts.peak) == (8, 6, None)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
@pytest.mark.parametrize("read", [read_picture, read_mask, probe_file])
def test_a_truncated_file_is_detected(tmp_path, save, suffix, read):
    whole = save(tmp_path / f"a.{suffix}", size=(60, 80)).read_bytes()
    for share in (0.3, 0.6, 0.9):
        (tmp_path / f"cut.{suffix}").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UnreadablePictureError, match="damaged"):
            read(tmp_path / f"cut.{suffix}")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b"no picture at all", "not a picture"), (None, "does not exist")]
)
def test_what_is_no_picture_is_named(tmp_path, content, reason):
    path = tmp_path / "ä b.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(UnreadablePictureError, match="cannot be opened"):
        read_picture(tmp_path)


def test_floating_point_pictures_are_refused(tmp_path, save):
    path = save(tmp_path / "a.tif", np.zeros((2, 2), np.float32))
    with pytest.raises(UnreadablePictureError, match="format F"):
        read_picture(path)


def test_32_bit_values_beyond_16_bits_are_refused(tmp_path, save):
    path = save(tmp_path / "a.tif", np.full((2, 2), 70_000, np.int32))
    with pytest.raises(UnreadablePictureError, match="65535"):
        read_picture(path)


@pytest.mark.parametrize("read", [read_picture, probe_file])
def test_the_pixel_limit_is_inclusive_and_named(tmp_path, save, read):
    path = save(tmp_path / "a.png", size=(10, 10))
    read(path, 100)
    with pytest.raises(UnreadablePictureError, match="--pixel-limit 99") as caught:
        read(path, 99)
    assert str(path) in str(caught.value)


def test_a_limit_above_the_decoder_s_own_holds(tmp_path, monkeypatch, save):
    path = save(tmp_path / "a.png", size=(10, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    assert read_picture(path, 100).shape == (10, 10, 3)
    assert Image.MAX_IMAGE_PIXELS == 4


def test_the_error_survives_another_process(tmp_path):
    with pytest.raises(UnreadablePictureError) as caught:
        read_picture(tmp_path / "absent.png")
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert str(copy) == str(caught.value)


class TestMask:
    @pytest.mark.parametrize("value", [255, 1, 7])
    def test_black_and_white_or_class_numbers(self, tmp_path, save_mask, value):
        mask = read_mask(save_mask(tmp_path / "m.png", value=value))
        assert mask.dtype == np.bool_
        expected = np.zeros((6, 8), bool)
        expected[1:3, 2:4] = True
        np.testing.assert_array_equal(mask, expected)

    def test_several_classes_all_count(self, tmp_path, save):
        path = save(tmp_path / "m.png", np.array([[0, 1, 2, 3]], np.uint8))
        np.testing.assert_array_equal(read_mask(path), [[False, True, True, True]])

    def test_soft_edges_are_cut_in_the_middle(self, tmp_path, save):
        path = save(tmp_path / "m.png", np.array([[0, 3, 127, 128, 255]], np.uint8))
        np.testing.assert_array_equal(read_mask(path), [[False, False, False, True, True]])

    def test_16_bits(self, tmp_path, save):
        soft = save(tmp_path / "a.png", np.array([[0, 255, 32767, 32768, 65535]], np.uint16))
        np.testing.assert_array_equal(read_mask(soft), [[False, False, False, True, True]])
        numbers = save(tmp_path / "b.png", np.array([[0, 1, 2]], np.uint16))
        np.testing.assert_array_equal(read_mask(numbers), [[False, True, True]])

    def test_all_black_marks_nothing(self, tmp_path, save):
        assert not read_mask(save(tmp_path / "m.png", np.zeros((3, 4), np.uint8))).any()

    def test_colour_and_transparency(self, tmp_path, save):
        values = np.zeros((1, 3, 4), np.uint8)
        values[0, 0] = (255, 0, 0, 255)
        values[0, 1] = (255, 255, 255, 0)
        np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", values)), [[True, False, False]])
