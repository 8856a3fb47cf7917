"""Results in a storage instead of the working folder, with Snakemake's provider `fs`."""

import shutil

import pytest

from checkout import Checkout


@pytest.mark.workflow
def test_results_in_a_storage_are_those_of_the_working_folder(tmp_path):
    pytest.importorskip("snakemake_storage_plugin_fs", reason="the storage provider fs is not installed")
    if not shutil.which("rsync"):
        pytest.skip("the storage provider fs needs rsync")
    here = Checkout.fresh(tmp_path / "here")
    small = {"grid__mixes": ["en"], "grid__targets": ["nli", "retrieval"]}
    here.run("results/summary.tsv", **small)

    store = tmp_path / "store"
    storage = ("--default-storage-provider", "fs", "--default-storage-prefix", str(store))
    there = Checkout.fresh(tmp_path / "there")
    there.run("results/summary.tsv", *storage, **small)
    for name in ("summary.tsv", "answer.md", "eval/tiny/nli/en/seed0/nli/fri.json", "encoders/tiny/manifest.json"):
        assert (store / "results" / name).read_bytes() == (here.folder / "results" / name).read_bytes(), name
    assert not (there.folder / "results/target").exists()
    assert not list((there.folder / ".snakemake/storage").rglob("*.safetensors")), "copies are removed"
    assert there.planned(*storage, **small) == set()

    # Snakemake's memory of how results were made stays in the working folder, so another one knows times only.
    elsewhere = Checkout.fresh(tmp_path / "elsewhere")
    assert elsewhere.planned(*storage, **small) == set()
    more = small | {"grid__targets": ["nli", "pos", "retrieval"]}
    planned = elsewhere.planned(*storage, **more)
    assert not any(job.startswith(("Pretrain", "Train tiny", "Train target nli")) for job in planned), planned
    assert any(job.startswith("Train target pos") for job in planned)
