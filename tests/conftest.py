"""Fixtures of several test files. They import late: most tests need no torch."""

import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """path(task, language, n=64) -> a Parquet file of toy examples."""
    from toy_training import toy_data

    return toy_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def encoder(data, tmp_path_factory):
    """The folder of a toy encoder."""
    from toy_training import toy_encoder

    return toy_encoder(data, tmp_path_factory.mktemp("encoder"))
