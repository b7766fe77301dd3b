import pytest

from raylab2f.errors import first_line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("\n no such thing \nand a traceback"), "no such thing"),
        (KeyError(), "KeyError"),
        (TimeoutError("  "), "TimeoutError"),
    ],
)
def test_a_quoted_error_is_one_line_that_says_something(error, said):
    assert first_line(error) == said
