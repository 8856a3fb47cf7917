"""The language table: complete for the tasks, in line with published facts, and shared with the world."""

import re

import pytest
import yaml

from intermezzo import languages
from intermezzo.core.errors import UserError
from intermezzo.tasks import RESOURCES, load_task, task_names


def codes(text: str) -> set[str]:
    return set(text.split())


XTREME = codes(
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi"
    " yo zh"
)
XTREME_R = XTREME | codes("az gu ht lt pa pl qu ro uk wo")
PUBLISHED = {
    "americasnli": "ay bzd cni gn hch nah oto qu shp tar",
    "afrixnli": "am en ee fr ha ig rw ln lg om sn st sw tw wo xh yo zu",
    "masakhaner2 and masakhapos": "bm bbj ee fon ha ig rw lg luo mos ny pcm sn sw tn tw wo xh yo zu",
    "afriqa": "bem fon ha ig rw sw tw wo yo zu",
}
"""The languages of each dataset in our codes, where they are not those of XTREME-R."""
OUTSIDE_LANGUAGES = {"mul"}
"""What task files use as a language and is none: candidates of all languages."""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return (RESOURCES / "languages.tsv").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def rows(lines) -> list[dict[str, str]]:
    header, *cells = [line.split("\t") for line in lines if not line.startswith("#")]
    return [dict(zip(header, row, strict=True)) for row in cells]


def test_every_row_has_every_cell_once(rows):
    assert all(value and value == value.strip() for row in rows for value in row.values())
    assert len({row["code"] for row in rows}) == len(rows)
    assert len({row["iso639_3"] for row in rows}) == len(rows)
    assert len({row["name"] for row in rows}) == len(rows)


def test_cells_are_of_their_columns_kind(rows):
    kinds = {
        "code": "[a-z]{2,3}",
        "iso639_3": "[a-z]{3}",
        "joshi": "[0-5]",
        "wikipedia_articles": "0|[1-9][0-9]*",
        "xlmr": "yes|no",
        "xtreme": "yes|no",
        "xtreme_r": "yes|no",
    }
    for column, kind in kinds.items():
        assert [row["code"] for row in rows if not re.fullmatch(kind, row[column])] == [], column


def test_the_head_says_of_every_column_where_it_comes_from(lines, rows):
    entries = [re.match(r"# ([a-z0-9_]+(?:, [a-z0-9_]+)*): \S", line) for line in lines]
    documented = [column for entry in entries if entry for column in entry[1].split(", ")]
    assert documented == list(rows[0])


def test_what_nobody_verified_is_marked_by_column(rows):
    unverified = {}
    for row in rows:
        marked = [] if row["unverified"] == "-" else row["unverified"].split(",")
        assert set(marked) <= set(row) - {"code", "unverified"} and len(marked) == len(set(marked)), row["code"]
        unverified[row["code"]] = set(marked)
    assert unverified["luo"] == {"family", "joshi"} and unverified["de"] == set()


def test_rows_are_sorted_by_class(rows):
    classes = [int(row["joshi"]) for row in rows]
    assert classes == sorted(classes, reverse=True)


def test_membership_in_xtreme_and_xtreme_r(rows):
    assert len(XTREME) == 40 and {row["code"] for row in rows if row["xtreme"] == "yes"} == XTREME
    assert len(XTREME_R) == 50 and {row["code"] for row in rows if row["xtreme_r"] == "yes"} == XTREME_R


@pytest.mark.parametrize("dataset", PUBLISHED)
def test_published_datasets_of_rare_languages_are_covered(dataset):
    assert codes(PUBLISHED[dataset]) <= set(languages.table("files"))


@pytest.mark.parametrize("name", task_names())
def test_every_language_of_a_task_is_in_the_table(name):
    sources = load_task(name).sources
    used = set(sources.parts("files")) | set(sources.parts("hub"))
    assert used <= set(languages.table("files")) | OUTSIDE_LANGUAGES


def test_rare_languages_are_the_joshi_classes_0_to_2():
    rare = languages.rare("files")
    assert rare & XTREME_R == codes("az gu ht jv ml mr my pa qu sw te wo yo")
    outside = {code for text in PUBLISHED.values() for code in codes(text)} - XTREME_R
    assert rare - XTREME_R == outside


def test_class_totals_of_xtreme_r_agree_with_the_literature():
    classes = [entry.joshi for code, entry in languages.table("files").items() if code in XTREME_R]
    assert [classes.count(number) for number in (5, 4, 3)] == [7, 13, 17]


def test_what_xlm_r_was_pretrained_on():
    table = languages.table("files")
    assert {code for code in XTREME_R if not table[code].xlmr} == codes("ht qu wo yo")
    assert {code for code in set(table) - XTREME_R if table[code].xlmr} == codes("am ha om xh")


def test_wikipedia_articles_are_numbers_and_nought_without_a_wikipedia(rows):
    articles = {row["code"]: int(row["wikipedia_articles"]) for row in rows}
    assert max(articles, key=articles.get) == "en"
    assert {code for code, number in articles.items() if number == 0} == codes("bbj bem bzd cni hch luo oto shp tar")


def test_family_and_name():
    assert languages.family("qu", "files") == "Quechuan"
    assert languages.name("ht", "files") == "Haitian Creole"
    with pytest.raises(UserError, match="unknown language 'swa' of source 'files'; did you mean 'sw'"):
        languages.family("swa", "files")


def test_the_world_has_its_own_languages():
    entries = yaml.safe_load((RESOURCES / "world.yaml").read_text())["languages"]
    table = languages.table("world")
    assert set(table) == set(entries)
    assert languages.rare("world") == {code for code, entry in entries.items() if entry["rare"]}
    assert {languages.family(code, "world") for code in entries} == {entry["family"] for entry in entries.values()}
    assert {(entry.joshi, entry.xlmr) for entry in table.values()} == {(None, None)}
