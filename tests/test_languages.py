"""The language table: complete for the tasks, in line with published facts, and shared with the world."""

import re

import pytest
import yaml

from intermezzo import languages
from intermezzo.core.errors import UserError
from intermezzo.languages.pretraining import has_read, key_of, known_encoders, languages_of
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
    assert len({(row["iso639_3"], row["script"], "Hant" in row["code"]) for row in rows}) == len(rows)
    assert len({row["name"] for row in rows}) == len(rows)


def test_cells_are_of_their_columns_kind(rows):
    kinds = {
        "code": "[a-z]{2,3}|[a-z]{3}_[A-Z][a-z]{3}",
        "iso639_3": "[a-z]{3}",
        "joshi": "[0-5]",
        "wikipedia_articles": "0|[1-9][0-9]*|-",
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
    assert unverified["luo"] == {"family", "branch", "joshi"} and unverified["en"] == {"branch"}


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
    used = (set(sources.parts("files")) | set(sources.parts("hub"))) - OUTSIDE_LANGUAGES
    entries = {code: languages.find(code, languages.table("files")) for code in used}
    assert [code for code, entry in entries.items() if entry is None or entry.variety_of] == []


def test_rare_languages_are_the_joshi_classes_0_to_2():
    rare = languages.rare("files")
    assert rare & XTREME_R == codes("az gu ht jv ml mr my pa qu sw te wo yo")
    assert {code for text in PUBLISHED.values() for code in codes(text)} - XTREME_R <= rare
    assert not rare & codes("ca cs da sv sr hr ceb be arz")


def test_class_totals_of_xtreme_r_agree_with_the_literature():
    classes = [entry.joshi for code, entry in languages.table("files").items() if code in XTREME_R]
    assert [classes.count(number) for number in (5, 4, 3)] == [7, 13, 17]


def test_wikipedia_articles_are_numbers_and_nought_without_a_wikipedia(rows):
    articles = {row["code"]: int(row["wikipedia_articles"]) for row in rows if row["wikipedia_articles"] != "-"}
    assert max(articles, key=articles.get) == "en"
    assert codes("bbj bem bzd cni hch luo oto shp tar") <= {code for code, number in articles.items() if number == 0}
    assert {row["code"] for row in rows if row["wikipedia_articles"] == "-"} & XTREME_R == set()


def test_family_and_name():
    assert languages.family("qu", "files") == "Quechuan"
    assert languages.name("ht", "files") == "Haitian Creole"
    with pytest.raises(UserError, match="unknown language 'sww' of source 'files'; "):
        languages.family("sww", "files")
    with pytest.raises(UserError, match="unknown language 'yor' of source 'files'; the table calls it 'yo'"):
        languages.family("yor", "files")


def test_the_world_has_its_own_languages():
    entries = yaml.safe_load((RESOURCES / "world.yaml").read_text())["languages"]
    table = languages.table("world")
    assert set(table) == set(entries)
    assert languages.rare("world") == {code for code, entry in entries.items() if entry["rare"]}
    assert {languages.family(code, "world") for code in entries} == {entry["family"] for entry in entries.values()}
    assert {(entry.joshi, entry.wikipedia_articles) for entry in table.values()} == {(None, None)}


# -- codes with a script, and languages of one's own -------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a folder `config` and without a checkout."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("code", "name", "script", "variety_of", "joshi"),
    [
        ("kas_Arab", "Kashmiri (Arabic script)", "Arabic", None, 1),
        ("kas_Latn", "Kashmiri (Latin script)", "Latin", None, 1),
        ("zho_Hans", "Chinese", "Han", "zh", 5),
        ("zho_Hant", "Chinese (traditional)", "Han", None, 5),
        ("yor_Latn", "Yoruba", "Latin", "yo", 2),
        ("swh_Arab", "Swahili (Arabic script)", "Arabic", None, 2),
        ("ace_Latn", "Achinese", "Latin", "ace", 1),
    ],
)
def test_a_code_may_carry_a_script(code, name, script, variety_of, joshi):
    entry = languages.find(code, languages.table("files"))
    assert (entry.code, entry.name, entry.script, entry.variety_of, entry.joshi) == (
        code, name, script, variety_of, joshi
    )  # fmt: skip


@pytest.mark.parametrize("code", ["xxx_Latn", "xxx", "swa", "kas_arab", "kas_", "_Arab", "kas_Arab_x"])
def test_a_code_that_nobody_defined_is_none(code):
    assert languages.find(code, languages.table("files")) is None


def test_a_table_of_ones_own_adds_languages_and_corrects_facts(folder):
    (folder / "config/languages.tsv").write_text(
        "# my languages\ncode\tname\tjoshi\tfamily\tencoders\n"
        "xyz\tXyzzy\nabc_Deva\tAbecedic\tnot known\tIndo-European\txlm-r mbert\nyo\t-\t4\n"
    )
    table = languages.table("files")
    assert (table["xyz"].name, table["xyz"].family, table["xyz"].joshi, table["xyz"].rare) == (
        "Xyzzy", None, None, True
    )  # fmt: skip
    assert (table["abc_Deva"].family, table["abc_Deva"].encoders) == ("Indo-European", ("xlm-r", "mbert"))
    assert (table["yo"].name, table["yo"].joshi, table["yo"].rare) == ("Yoruba", 4, False)
    assert list(table)[-2:] == ["xyz", "abc_Deva"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("code\tnaem\nxyz\tXyzzy\n", "line 1: unknown column 'naem'; did you mean 'name'"),
        ("code\tjoshi\nxyz\t1\n", "line 1: no column name"),
        ("code,name\nxyz,Xyzzy\n", "line 1: unknown column 'code,name'.*tabs between cells"),
        ("code\tname\tname\nxyz\tX\tX\n", "line 1: column 'name' is there more than once"),
        ("code\tname\n# c\nxyz\tX\nxyz\tY\n", "line 4: 'xyz' is on an earlier line already"),
        ("code\tname\nxyz\tX\t1\n", "line 2: 3 cells, but the first line names 2 columns"),
        ("code\tname\nxyz\n", "line 2: the language 'xyz' is in no table yet and needs a name"),
        ("code\tname\nx/z\tX\n", "line 2: 'x/z' is no code"),
        ("code\tname\nmul\tX\n", "line 2: 'mul' has a meaning of its own"),
        ("code\tname\tjoshi\nxyz\tX\t7\n", "line 2: joshi: .*less than or equal to 5"),
        ("code\tname\tjoshi\nxyz\tX\tlow\n", "line 2: joshi: must be a whole number; found 'low'"),
        ("code\tname\tiso639_3\nxyz\tX\tXY\n", "line 2: iso639_3: .*'XY'"),
    ],
)
def test_a_broken_table_of_ones_own_is_one_message_with_its_line(folder, text, complaint):
    (folder / "config/languages.tsv").write_text(text)
    with pytest.raises(UserError, match=f"^config/languages.tsv, {complaint}"):
        languages.table("files")


def test_a_table_that_is_no_text_is_one_message(folder):
    (folder / "config/languages.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"config/languages.tsv: cannot be read .*write it as UTF-8"):
        languages.table("files")


# -- what encoders have read -------------------------------------------------------------------------------------------


def read_by(encoder: str, text: str) -> list[bool | None]:
    table, read = languages.table("files"), languages_of(encoder)
    return [has_read(languages.find(code, table), read, key_of(encoder)) for code in text.split()]


def test_what_xlm_r_was_pretrained_on():
    read = languages_of("FacebookAI/xlm-roberta-large")
    assert XTREME_R - read == codes("ht qu wo yo")
    assert read == languages_of("xlm-roberta-base") and "lat" in read
    assert read_by("xlm-r", "am ha om xh ig rw hin_Latn arb_Latn zho_Hans zho_Hant") == [
        True, True, True, True, False, False, True, None, True, True
    ]  # fmt: skip


def test_other_encoders_have_lists_of_their_own():
    assert read_by("google-bert/bert-base-multilingual-cased", "yo war am sd min ceb") == [
        True, True, False, False, True, True
    ]  # fmt: skip
    assert read_by("Davlan/afro-xlmr-base", "yo ig rw wo de") == [True, True, True, False, True]
    assert read_by("intfloat/multilingual-e5-base", "yo de") == [False, True]
    assert read_by("cis-lmu/glot500-base", "wo qu gn bbj sat ace") == [True, True, True, False, True, True]
    assert read_by("jhu-clsp/mmBERT-base", "bbj qu fon vai bor ace_Arab") == [True, True, True, False, False, None]
    assert languages_of("somebody/unheard-of") is None


@pytest.mark.parametrize("name", known_encoders())
def test_every_encoder_of_the_list_has_languages_in_our_codes(name):
    read, table = languages_of(name), languages.table("files")
    assert {"en", "sw", "zh", "fa"} <= read
    unknown = {code for code in read if code not in table}
    assert not [code for code in unknown if len(code) < 3], "two letters where the table has three, or a slip"
