import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from raylab2f.datasets.catalogue import CATALOGUE, RemoteFile


def test_the_data_sets_promised_are_there():
    assert set(CATALOGUE) == {"g-link", "mvtec", "mpdd", "mtd", "dtd"}
    assert all(name == entry.name for name, entry in CATALOGUE.items())


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_says_whose_it_is_and_comes_safely(name):
    entry = CATALOGUE[name]
    assert all((entry.description, entry.licence, entry.citation, entry.layout, entry.verification))
    addresses = [entry.homepage, *(address for file in entry.files for address in file.addresses)]
    addresses += re.findall(r"\w+://\S+?(?=[,)]?(?:\s|$))", entry.by_hand or "")
    assert all(urlsplit(address).scheme == "https" for address in addresses)
    # What is said of the verification is what happens.
    unverified = entry.zenodo_record is None and not any(file.checksum for file in entry.files)
    assert (entry.verification == "no checksum is published") == unverified


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_object_rule_is_an_expression_with_a_group(name):
    rule = CATALOGUE[name].object_id
    assert rule is None or re.compile(rule).groupindex


def test_a_data_set_to_fetch_by_hand_says_where():
    for name in ("mvtec", "mpdd"):
        assert "https://" in CATALOGUE[name].by_hand


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a\\b", "C:x", "a\nb"])
def test_names_stay_in_their_folder(name):
    with pytest.raises(ValueError, match="plain file name"):
        RemoteFile(name, ("https://example.org/x",))
    with pytest.raises(ValueError, match="plain folder name"):
        replace(CATALOGUE["mtd"], name=name)


@pytest.mark.parametrize("address", ["ftp://example.org/x.zip", "data:,x", "/x.zip", "javascript:x"])
def test_other_schemes_are_refused(address):
    with pytest.raises(ValueError, match="is not one of"):
        RemoteFile("x.zip", ("https://example.org/x.zip", address))
    with pytest.raises(ValueError, match="no address"):
        RemoteFile("x.zip", ())


@pytest.mark.parametrize(
    "checksum",
    ["d41d8cd98f00b204e9800998ecf8427e", "md5:", "md5:xyz", "sha256:" + "0" * 32, "crc32:00000000", "md5:" + "A" * 32],
)
def test_what_cannot_be_a_checksum_is_refused(checksum):
    with pytest.raises(ValueError, match=r"algorithm|digest"):
        RemoteFile("x.zip", ("https://example.org/x.zip",), checksum)


def test_there_is_exactly_one_way_to_get_a_data_set():
    entry = CATALOGUE["mtd"]
    for wrong in ({"files": ()}, {"by_hand": "ask"}, {"zenodo_record": 1}):
        with pytest.raises(ValueError, match="exactly one of"):
            replace(entry, **wrong)
    with pytest.raises(ValueError, match="two files alike"):
        replace(entry, files=entry.files * 2)
