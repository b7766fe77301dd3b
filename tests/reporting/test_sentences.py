"""What a page says of how its figures came about."""

import pytest

from raylab2f.reporting.page.sentences import method_sentences


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ("balanced", "each draws its partitions anew"),
        ("kfold", "every part is judged in exactly one of them"),
        ("leave-condition-out", "pictures of one condition alone, of which none trained or chose its threshold"),
    ],
)
def test_the_scheme_is_told(scheme, said):
    run = {
        "record": {"settings": {"split_by": "object", "scheme": scheme}},
        "folds": {"finished": 4, "planned": 4},
        "rules": {"strategies": ["youden"], "confidence": 0.95, "interval": "object-bootstrap", "replicates": 100},
    }
    assert said in method_sentences(run)[0]
