"""Modules that share what takes long to make stay in one process; versions of pytest and pytest-xdist decide it."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="the tests run in one process")
def test_the_process_that_deals_tests_out_sees_their_groups(request):
    assert request.node.nodeid.endswith("@test_groups_of_tests.py")
