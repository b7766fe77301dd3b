"""Whatever stands in a file: it is read, or refused in one sentence."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raylab2f.datasets.pictures import UnreadablePictureError, probe_file, probe_mask, read_mask, read_picture

FORMATS = {
    "PNG": {}, "JPEG": {}, "BMP": {}, "TIFF": {"compression": "tiff_lzw"}, "PPM": {}, "WEBP": {"lossless": True},
    "JPEG2000": {}, "GIF": {},
}  # fmt: skip


def encoded(name, mode="RGB"):
    values = np.random.default_rng(1).integers(0, 256, (24, 31, 3)).astype(np.uint8)
    content = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if name in ("PNG", "JPEG", "TIFF", "WEBP") else {}
    Image.fromarray(values).convert(mode).save(content, name, **FORMATS[name], **options)
    return content.getvalue()


WHOLE = [encoded(name) for name in FORMATS] + [encoded("PNG", mode) for mode in ("P", "LA", "RGBA", "1", "I;16")]


@st.composite
def damaged(draw):
    content = bytearray(draw(st.sampled_from(WHOLE)))
    content = content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content
    for _ in range(draw(st.integers(0, 6))):
        if content:
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content)


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=400)
@given(damaged() | st.binary(max_size=80))
def test_it_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content)
    check(path, probe_file, read_picture)
    check(path, probe_mask, read_mask)


def check(path, probe, read):
    try:
        facts = probe(path, 100_000)
    except UnreadablePictureError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it need not be raised
        with pytest.raises(UnreadablePictureError):
            read(path, 100_000)
    else:
        assert read(path, 100_000).shape[:2] == (facts.height, facts.width)
