import hashlib

import pytest

from raylab2f.files import digests
from raylab2f.files.digests import sha256_of


@pytest.mark.parametrize("size", [0, 1, digests._BLOCK, digests._BLOCK + 1])
def test_the_digest_is_that_of_the_whole_file(tmp_path, size):
    content = bytes(index % 251 for index in range(size))
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
