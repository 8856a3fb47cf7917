"""Distances between languages: the user's file, the regressor of the gain, and the file that URIEL+ gives."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from intermezzo.analysis import gains, gains_text
from intermezzo.cli.main import main
from intermezzo.config import load
from intermezzo.core.errors import UserError
from intermezzo.core.places import PROJECT
from intermezzo.dag.experiment import Grid
from intermezzo.dag.specs import Specs
from intermezzo.languages import distances
from test_answer import LANGUAGES, SEEN, design, families, supervised


def test_a_file_of_distances(tmp_path):
    path = tmp_path / "distances.tsv"
    path.write_text("# comment\nsw\tyo\t0.5\n\nzu\tsw\t0\nyo\tsw\t0.50\n")
    known = distances.read(path)
    assert distances.between(known, "yo", "sw") == distances.between(known, "sw", "yo") == 0.5
    assert distances.between(known, "sw", "zu") == 0 and distances.between(known, "zu", "yo") is None
    path.write_text(distances.text(known, "again"))
    assert distances.read(path) == known


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sw\tyo\t0.5\nsw yo 0.5\n", "distances.tsv, line 2: 'sw yo 0.5' is no distance; write two codes"),
        ("sw\tyo\t-1", "line 1: .* a number from 0 on"),
        ("sw\tyo\tnan", "line 1: .* is no distance"),
        ("sw\t\t1", "line 1: .* is no distance"),
        ("sw\tyo\t1\tx", "line 1: .* is no distance"),
        ("sw\tyo\t1\nyo\tsw\t2", "line 2: sw and yo have another distance on an earlier line"),
        ("# nothing\n", "distances.tsv: no line has a distance"),
    ],
)
def test_what_is_no_file_of_distances_is_one_message(tmp_path, content, said):
    path = tmp_path / "distances.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        load({"languages": {"distances": str(path)}})


def test_a_file_that_is_missing_is_one_message(tmp_path):
    with pytest.raises(UserError, match=r"languages\.distances: .*none\.tsv: No such file"):
        load({"languages": {"distances": str(tmp_path / "none.tsv")}})


@pytest.mark.slow
def test_the_design_has_distances_to_languages_of_mixes(tmp_path):
    path = tmp_path / "distances.tsv"
    path.write_text("fri\tmor\t0.25\nen\tfri\t0.5\ntiw\tfri\t0.75\nxx\tfri\t1\n")
    spec = json.loads(Specs(Grid(load({"languages": {"distances": str(path)}}))).spec_summary())
    assert spec["distances"] == {
        "en": {"fri": 0.5},
        "fri": {"mor": 0.25},
        "mor": {"fri": 0.25},
        "tiw": {"fri": 0.75},
    }


@pytest.mark.slow
def test_the_gain_is_fitted_on_the_distance_to_the_mix():
    """Languages gain ten points less per unit of distance; `ub` has no distance to one language of the mix."""
    away = {code: 0.1 + 0.05 * number for number, code in enumerate(LANGUAGES)}
    known = {code: {other: max(away[code], 0.9 * (other != "sa")) for other in SEEN if other != code} for code in away}
    known["sa"] = {other: away["sa"] for other in SEEN if other != "sa"}
    known["ub"].pop("sc")

    def gain(cell):
        return -10 * away[cell.language] * (cell.mix == "mix" and not supervised(cell))

    found = families(design(distances=known), gain, noise=0.1)
    line = gains.regressions(found).set_index(["predictor", "fit"]).loc[("distance", "alone")]
    assert line["slope"] == pytest.approx(-10, abs=1) and line["n_languages"] == len(LANGUAGES) - 2
    assert "distance to the nearest other language in the mix" in "".join(gains_text.blocks(found))
    assert "distance" not in set(gains.regressions(families())["predictor"])


class Database:
    """What the command takes of URIEL+."""

    def get_languages_with_distance_data(self, kind: str) -> list[str]:
        return ["eng", "swh", "yor", "deu"] if kind == "featural" else []

    def new_distance(self, kind: str, code: str, other: str) -> float:
        if {code, other} == {"swh", "yor"}:
            raise ValueError("no shared features")
        return 0.25 if "eng" in (code, other) else 0.5


@pytest.mark.slow
def test_urielplus_writes_a_file_of_distances(tmp_path, monkeypatch, capsys):
    out, config = tmp_path / "distances.tsv", str(PROJECT / "config" / "experiments" / "rare_native.yaml")
    monkeypatch.setitem(sys.modules, "urielplus.urielplus", None)
    assert main(["distances", config, "--out", str(out)]) == 2
    assert "URIEL+ is not installed; pip install" in capsys.readouterr().err
    module = ModuleType("urielplus.urielplus")
    module.URIELPlus = Database
    monkeypatch.setitem(sys.modules, "urielplus", ModuleType("urielplus"))
    monkeypatch.setitem(sys.modules, "urielplus.urielplus", module)
    assert main(["distances", config, "--out", str(out)]) == 0
    known = distances.read(out)
    assert distances.between(known, "en", "sw") == 0.25 and distances.between(known, "de", "sw") == 0.5
    assert main(["distances", config, "--out", str(out), "--kind", "genetic"]) == 2
    assert "URIEL+ has no genetic features of two of the languages" in capsys.readouterr().err
