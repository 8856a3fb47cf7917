"""The language table: complete for the tasks, in line with published facts, and shared with the world."""

import pytest
import yaml

from intermezzo import languages
from intermezzo.errors import UserError
from intermezzo.tasks import RESOURCES, load_task, task_names


def codes(text: str) -> set[str]:
    return set(text.split())


XTREME_R = codes(
    "af ar az bg bn de el en es et eu fa fi fr gu he hi ht hu id it ja jv ka kk ko lt ml mr ms my nl pa pl pt qu ro ru"
    " sw ta te th tl tr uk ur vi wo yo zh"
)


def test_the_50_languages_of_xtreme_r_and_every_language_of_a_file_are_in_the_table():
    known = set(languages.table("files"))
    assert len(XTREME_R) == 50 and known >= XTREME_R
    for name in task_names():
        files = load_task(name).sources.files
        assert not files or known >= set(files.data), name


def test_rare_languages_are_the_joshi_classes_0_to_2():
    rare = languages.rare("files")
    assert rare & XTREME_R == codes("az gu ht jv ml mr my pa qu sw te wo yo")
    assert rare - XTREME_R == codes("ay gn ha ig nah rw")


def test_class_totals_of_xtreme_r_agree_with_the_literature():
    classes = [entry.joshi for code, entry in languages.table("files").items() if code in XTREME_R]
    assert [classes.count(number) for number in (5, 4, 3)] == [7, 13, 17]


def test_what_xlm_r_was_not_pretrained_on():
    assert {c for c, entry in languages.table("files").items() if not entry.xlmr} == codes(
        "ht qu wo yo ig rw ay gn nah"
    )


def test_rows_are_complete_and_every_class_has_a_source_or_is_marked():
    lines = [line for line in (RESOURCES / "languages.tsv").read_text().splitlines() if not line.startswith("#")]
    assert all(len(line.split("\t")) == 9 and all(line.split("\t")) for line in lines)
    listed = [line.split("\t")[0] for line in lines[1:]]
    assert len(listed) == len(set(listed))
    assert {line.split("\t")[6] for line in lines[1:]} <= {"A", "[unverified]"}


def test_family_and_name():
    assert languages.family("qu", "files") == "Quechuan"
    assert languages.name("ht", "files") == "Haitian Creole"
    with pytest.raises(UserError, match="unknown language 'swa' of source 'files'; did you mean 'sw'"):
        languages.family("swa", "files")


def test_the_world_has_its_own_languages():
    entries = yaml.safe_load((RESOURCES / "world.yaml").read_text())["languages"]
    assert set(languages.table("world")) == set(entries)
    assert languages.rare("world") == {code for code, entry in entries.items() if entry["rare"]}
    assert {languages.family(code, "world") for code in entries} == {entry["family"] for entry in entries.values()}
