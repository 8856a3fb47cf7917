"""Fixtures of several test files, and the order of files. They import late: most tests need no torch."""

import os

import pytest
from filelock import FileLock

# Before torch is imported. Tests are small and run side by side: threads of each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items):
    """Files with whole runs first: they take longest, and of several processes none is to begin one at the end."""
    whole_runs = {item.path for item in items if item.get_closest_marker("workflow")}
    items.sort(key=lambda item: item.path not in whole_runs)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The tiny experiment, run to its end: one run for all test processes, which copy what they change."""
    from checkout import Checkout

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    with FileLock(f"{folder}.lock"):
        if not (folder / "results" / "summary.tsv").exists():
            Checkout.fresh(folder).run()
    return Checkout(folder)


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
