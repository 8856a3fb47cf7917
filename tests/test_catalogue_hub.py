"""What tasks download (sections `hub`, `url`), from stand-ins in the layout and with the columns of the originals.

`PUBLISHED` and `SITE` were written down from the originals' own pages and loading code, not from the task files, and
each entry says what was seen where: [V] seen (the place is named), [R] recalled, seen nowhere. The rows are made up.
"""

import io
import json
import re
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import urlopen

import huggingface_hub
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

import hub_server
from intermezzo import sources
from intermezzo.cli.main import main
from intermezzo.core.errors import UserError
from intermezzo.core.places import PROJECT
from intermezzo.sources import hub as hub_source
from intermezzo.sources.hub.patterns import matching
from intermezzo.tasks import PublishedSource, formats, load_task, task_names
from specifications import data

TEXT, NUMBER, INT32 = Value("string"), Value("int64"), Value("int32")
ALL, HELD_OUT = ("train", "validation", "test"), ("validation", "test")
MAIN, CONVERTED = "{config}/{split}-00000-of-00001.parquet", "{config}/{split}/0000.parquet"
"""A repository that was converted to Parquet, and the branch refs/convert/parquet that the hub itself makes."""
CATALOGUE_PAGE = (PROJECT / "docs/catalogue.md").read_text(encoding="utf-8").splitlines()
COUNTS = ("rows", "unverified_rows")
NLI = ["entailment", "neutral", "contradiction"]
NER = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
ANSWERS = {"text": List(TEXT), "answer_start": List(INT32)}
SQUAD = dict.fromkeys(("id", "title", "context", "question"), TEXT) | {"answers": ANSWERS}
XTREME_R = (  # its 50 languages (evaluate.py of google-research/xtreme)
    "af ar az bg bn de el en es et eu fa fi fr gu he hi ht hu id it ja jv ka kk ko lt ml mr ms my nl pa pl pt qu ro ru"
    " sw ta te th tl tr uk ur vi wo yo zh"
)
BELEBELE = (  # its card
    "acm_Arab afr_Latn als_Latn amh_Ethi apc_Arab arb_Arab arb_Latn ars_Arab ary_Arab arz_Arab asm_Beng azj_Latn"
    " bam_Latn ben_Beng ben_Latn bod_Tibt bul_Cyrl cat_Latn ceb_Latn ces_Latn ckb_Arab dan_Latn deu_Latn ell_Grek"
    " eng_Latn est_Latn eus_Latn fin_Latn fra_Latn fuv_Latn gaz_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr"
    " hin_Deva hin_Latn hrv_Latn hun_Latn hye_Armn ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan"
    " kac_Latn kan_Knda kat_Geor kaz_Cyrl kea_Latn khk_Cyrl khm_Khmr kin_Latn kir_Cyrl kor_Hang lao_Laoo lin_Latn"
    " lit_Latn lug_Latn luo_Latn lvs_Latn mal_Mlym mar_Deva mkd_Cyrl mlt_Latn mri_Latn mya_Mymr nld_Latn nob_Latn"
    " npi_Deva npi_Latn nso_Latn nya_Latn ory_Orya pan_Guru pbt_Arab pes_Arab plt_Latn pol_Latn por_Latn ron_Latn"
    " rus_Cyrl shn_Mymr sin_Latn sin_Sinh slk_Latn slv_Latn sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srp_Cyrl"
    " ssw_Latn sun_Latn swe_Latn swh_Latn tam_Taml tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi tsn_Latn tso_Latn"
    " tur_Latn ukr_Cyrl urd_Arab urd_Latn uzn_Latn vie_Latn war_Latn wol_Latn xho_Latn yor_Latn zho_Hans zho_Hant"
    " zsm_Latn zul_Latn"
)
XQUAD_R = "ar de el en es hi ru th tr vi zh"
TATOEBA = (
    "afr ara ben bul deu cmn ell est eus fin fra heb hin hun ind ita jav jpn kat kaz kor mal mar nld pes por rus spa"
    " swh tam tel tgl tha tur urd vie"
)


# -- repositories of the hub ---------------------------------------------------------------------------------------


def pairs(first, second, labels, **more):
    """Rows of two texts and a label, one for each of `labels`."""
    rows = [{first: f"First {i}.", second: f"Second {i}.", "label": label} for i, label in enumerate(labels)]
    return [row | {key: value(i) for key, value in more.items()} for i, row in enumerate(rows)]


def two(first, second, label):
    return {first: TEXT, second: TEXT, "label": label}


def tokens(column, names):
    return {"tokens": List(TEXT), column: List(ClassLabel(names=names))}


def question(name, starts, texts):
    row = {"id": name, "title": "Lima", "context": "Ana lives in Lima.", "question": "Where?"}
    return row | {"answers": {"text": texts, "answer_start": starts}}


TAGGED = {"tokens": ["Ana", "met", "Lima", "."]}
SENTENCES = {"source_sentence": "Bonjour.\n", "target_sentence": "Hello.\n", "source_lang": "fra", "target_lang": "eng"}
ALTERNATIVES = {
    "premise": "It rained.",
    "choice1": "It was dry.",
    "choice2": "The street got wet.",
    "question": "effect",
}
COPA = dict.fromkeys(("premise", "choice1", "choice2", "question"), TEXT)

PUBLISHED = [
    # (repository, branch, path, configurations, splits, columns, rows)
    # Columns and label names [V] huggingface/datasets, dataset_infos.json of anli, snli, glue (mnli, qqp), squad and
    # squad_v2; paths [V] public code that downloads them, but those of anli and squad [R].
    ("facebook/anli", "main", MAIN, "plain_text",
     [f"{split}_r{i}" for i in (1, 2, 3) for split in ("train", "dev", "test")],
     {"uid": TEXT, **two("premise", "hypothesis", ClassLabel(names=NLI)), "reason": TEXT},
     lambda split: pairs("premise", "hypothesis", [2, 0], uid=lambda i: f"{split}-{i}", reason=lambda i: "")),
    ("stanfordnlp/snli", "main", MAIN, "plain_text", ALL, two("premise", "hypothesis", ClassLabel(names=NLI)),
     pairs("premise", "hypothesis", [0, -1, 1, 2])),
    ("nyu-mll/glue", "main", MAIN, "mnli",
     ("train", "validation_matched", "validation_mismatched", "test_matched", "test_mismatched"),
     two("premise", "hypothesis", ClassLabel(names=NLI)) | {"idx": INT32},
     pairs("premise", "hypothesis", [1, 2, 0], idx=int)),
    ("nyu-mll/glue", "main", MAIN, "qqp", ALL,
     two("question1", "question2", ClassLabel(names=["not_duplicate", "duplicate"])) | {"idx": INT32},
     [*pairs("question1", "question2", [1, 0], idx=int), {"question1": "", "question2": "?", "label": 0, "idx": 2}]),
    ("rajpurkar/squad", "main", MAIN, "plain_text", ("train", "validation"), SQUAD,
     [question("5733", [13], ["Lima"]), question("5734", [0, 0], ["Ana", "Ana"])]),
    ("rajpurkar/squad_v2", "main", MAIN, "squad_v2", ("train", "validation"), SQUAD,
     [question("56be", [13], ["Lima"]), question("5a8d", [], [])]),
    # Columns [V] dataset_infos.json; the label is text and empty in the test set. Path [V] public code.
    ("Rowan/hellaswag", "main", "data/{split}-00000-of-00001.parquet", "default", ALL,
     {"ind": INT32, **dict.fromkeys(("activity_label", "ctx_a", "ctx_b", "ctx"), TEXT), "endings": List(TEXT),
      **dict.fromkeys(("source_id", "split", "split_type", "label"), TEXT)},
     [{"ind": 4, "activity_label": "Rain", "ctx_a": "It rains.", "ctx_b": "she", "ctx": "It rains. she", "label": "3",
       "endings": ["a.", "b.", "c.", "d."], "source_id": "x~1", "split": "train", "split_type": "indomain"}]),
    # Columns [V] dataset_infos.json; the folder `default` [V] listings of that branch (social_i_qa), [R] cosmos_qa.
    # social_i_qa's labels had a line end until issue 1633 of huggingface/datasets; its card has "1" [V].
    ("allenai/cosmos_qa", "refs/convert/parquet", CONVERTED, "default", ALL,
     dict.fromkeys(("id", "context", "question", "answer0", "answer1", "answer2", "answer3"), TEXT) | {"label": INT32},
     [{"id": "3Q##1", "context": "C.", "question": "Q?", "answer0": "a", "answer1": "b", "answer2": "c", "answer3": "d",
       "label": 3}]),
    ("allenai/social_i_qa", "refs/convert/parquet", CONVERTED, "default", ("train", "validation"),
     dict.fromkeys(("context", "question", "answerA", "answerB", "answerC", "label"), TEXT),
     [{"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c", "label": label}
      for label in "31"]),
    # Columns [V] dataset_infos.json; path [V] public code.
    ("tau/commonsense_qa", "main", "data/{split}-00000-of-00001.parquet", "default", ALL,
     {"id": TEXT, "question": TEXT, "question_concept": TEXT, "choices": {"label": List(TEXT), "text": List(TEXT)},
      "answerKey": TEXT},
     [{"id": "07f", "question": "Q?", "question_concept": "rain", "choices": {"label": [*"ABCDE"], "text": [*"vwxyz"]},
       "answerKey": "E"}]),
    # Columns and label names [V] super_glue.py, xcopa.py; configurations [V] xcopa.py; paths [V] public code, [R].
    ("aps/super_glue", "main", MAIN, "copa", ALL,
     COPA | {"idx": INT32, "label": ClassLabel(names=["choice1", "choice2"])}, [ALTERNATIVES | {"idx": 7, "label": 1}]),
    ("cambridgeltl/xcopa", "main", MAIN, "et ht id it qu sw ta th tr vi zh", HELD_OUT,
     COPA | {"label": INT32, "idx": INT32, "changed": Value("bool")},
     [ALTERNATIVES | {"idx": 0, "label": 1, "changed": False},
      ALTERNATIVES | {"question": "cause", "idx": 1, "label": 0, "changed": True}]),
    # Label names [V] xnli.py, a column per text [R]; path [V] public code. PAWS-X: columns and the label names "0" and
    # "1" [V] paws-x.py; path [V] public code.
    ("facebook/xnli", "main", MAIN, "ar bg de el en es fr hi ru sw th tr ur vi zh", ALL,
     two("premise", "hypothesis", ClassLabel(names=NLI)), pairs("premise", "hypothesis", [2, 1, 0])),
    ("google-research-datasets/paws-x", "main", MAIN, "de en es fr ja ko zh", ALL,
     {"id": INT32, **two("sentence1", "sentence2", ClassLabel(names=["0", "1"]))},
     pairs("sentence1", "sentence2", [0, 1], id=lambda i: i + 1)),
    # Columns, label order, configurations and splits [V] card of xtreme in huggingface/datasets and xtreme.py, which
    # leaves line ends in Tatoeba's sentences; that main holds Parquet [V] its commits, the path [R].
    ("google/xtreme", "main", "tatoeba.{config}/{split}-00000-of-00001.parquet", TATOEBA, ("validation",),
     dict.fromkeys(SENTENCES, TEXT),
     [SENTENCES, SENTENCES | {"source_sentence": "Merci.\n", "target_sentence": "Thanks.\n"}]),
    # Path, commit and keys [V] public code that reads them.
    ("facebook/belebele", "main", "data/{config}.jsonl", BELEBELE, ("test",), None,
     [{"link": "https://x.org", "question_number": 1, "flores_passage": "It rained.", "question": "Why?",
       **{f"mc_answer{i}": f"{i}." for i in (1, 2, 3, 4)}, "correct_answer_num": number, "dialect": "x", "ds": "y"}
      for number in "41"]),
    # Labels [V] public code; that the branch has this layout [R].
    ("Divyanshu/indicxnli", "refs/convert/parquet", CONVERTED, "as bn gu hi kn ml mr or pa ta te", ALL,
     two("premise", "hypothesis", NUMBER), pairs("premise", "hypothesis", [2, 1, 0])),
    # Columns and label order [V] wikiann.py (`spans` [R]), its 176 configurations [V]; path [R].
    ("unimelb-nlp/wikiann", "main", MAIN, " ".join(sorted(set(XTREME_R.split()) - {"ht", "wo"})), ALL,
     tokens("ner_tags", NER) | {"langs": List(TEXT), "spans": List(TEXT)},
     [TAGGED | {"ner_tags": [1, 0, 5, 0], "langs": ["sw"] * 4, "spans": ["PER: Ana", "LOC: Lima"]}]),
    # Columns and label names [V] dataset_infos.json of americas_nli, configurations [V] there; path [R].
    ("nala-cub/americas_nli", "main", MAIN, "aym bzd cni gn hch nah oto quy shp tar", HELD_OUT,
     two("premise", "hypothesis", ClassLabel(names=NLI)), pairs("premise", "hypothesis", [2, 1, 0])),
    # Path, commit, quoting and labels (0 is entailment) [V] public code that reads these tables.
    ("masakhane/afrixnli", "main", "data/{config}/{split}.tsv",
     "amh eng ewe fra hau ibo kin lin lug orm sna sot swa twi wol xho yor zul", ("dev", "test"), "tsv",
     [["premise", "hypothesis", "label"], *([f"First {i}.", f"Second {i}.", str(2 - i)] for i in range(3))]),
    # Columns and path [V] public code; the languages [R].
    ("wikimedia/wikipedia", "main", "{config}/{split}-00000-of-00041.parquet",
     " ".join(f"20231101.{code}" for code in XTREME_R.split()), ("train",),
     dict.fromkeys(("id", "url", "title", "text"), TEXT),
     [{"id": "12", "url": "https://sw.wikipedia.org/wiki/Lima", "title": "Lima", "text": "Lima.\n\nLima is a city."}]),
    # Paths [V] the repository's card. Its lines are not those of the original: a line per mention with the finished
    # query in `mention` and its entity in `entity_id` [V izhx/nlu-evals, code by the same person that reads them; sizes
    # of the files: 300 to 600 bytes a mention, 2,400 in the original]; whether there are more keys is not known.
    ("izhx/mewsli-x", "main", "wikinews_mentions/{config}/{split}.jsonl", "ar de en es fa ja pl ro ta tr uk",
     ("dev", "test"), None, [{"mention": "Lima: Ana lives in { Lima }.", "entity_id": "Q2868"}]),
]  # fmt: skip


def trees():
    """(repository, branch) -> path -> (columns, rows)."""
    found = {}
    for repository, branch, path, configs, splits, columns, rows in PUBLISHED:
        for config in configs.split():
            for split in splits:
                given = rows(split) if callable(rows) else rows
                tree = found.setdefault((repository, branch), {})
                tree[path.format(config=config, split=split)] = (columns, given)
    return found


TREES = trees()


def encoded(columns, rows):
    if columns == "tsv":
        return table(*rows)
    if columns is None:
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    sink = pa.BufferOutputStream()
    Dataset.from_list(rows, features=Features(columns)).to_parquet(sink)
    return sink.getvalue().to_pybytes()


# -- addresses -----------------------------------------------------------------------------------------------------


def squad(*items, **more):
    """SQuAD JSON with one paragraph."""
    questions = [
        {"id": name, "question": "Where?", "answers": [{"text": text, "answer_start": start}]}
        for name, text, start in items
    ]
    paragraph = {"context": "  Ana lives in Lima. It rains.", "qas": questions} | more
    return json.dumps({"version": "1.1", "data": [{"title": "Lima", "paragraphs": [paragraph]}]}).encode()


def tar(mode, **members):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=f"w:{mode}") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def packed(**members):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def bucc(part):
    corpora = {"de": "de-000000001\tHallo.\nde-000000002\tNein.\n", "en": "en-000000007\tHello.\nen-000000009\tRain.\n"}
    texts = corpora | {"gold": "de-000000001\ten-000000007\n"}
    return tar("bz2", **{f"bucc2018/de-en/de-en.{part}.{end}": text.encode() for end, text in texts.items()})


SPANS = [[2, 20], [21, 30]]
PARALLEL = {
    f"lareqa-9bc8c7f/xquad-r/{code}.json": squad(("56be", "Lima", 15), sentence_breaks=SPANS, sentences=["a", "b"])
    for code in XQUAD_R.split()
}
SPAN = {"start": 13, "end": 17, "text": "Lima"}
CONTEXT = {
    "document_id": "Q1",
    "language": "en",
    "text": "Ana lives in Lima.",
    "sentence_spans": [{"start": 0, "end": 18}],
}
ENTITY = {"entity_id": "Q2868", "title": "Lima", "description": "Lima is a city.", "description_language": "en",
          "sentence_spans": [{"start": 0, "end": 15}]}  # fmt: skip
PAIR = {"entity": ENTITY, "contextual_mention": {
    "context": CONTEXT, "mention": {"example_id": "en-1", "entity_id": "Q2868", "mention_span": SPAN}}}  # fmt: skip
AFRIQA = {"context": "Ana lives in Lima.", "question_lang": "Wapi?", "question_translated": "Where?", "title": "Lima",
          "answer_lang": "Lima"}  # fmt: skip
AFRIQA_LINES = "".join(
    json.dumps(AFRIQA | {"id": str(i), "answer_pivot": {"text": [text], "answer_start": [13]}}) + "\n"
    for i, text in enumerate(("Lima", "yes"))
).encode()
AFRIQA_TWI = AFRIQA_LINES + (  # as published: missing values as pandas writes them
    json.dumps(AFRIQA | {"id": "166", "answer_pivot": {"text": [float("nan")], "answer_start": [float("nan")]}}) + "\n"
    + json.dumps(AFRIQA | {"id": "108", "question_lang": float("nan"),
                           "answer_pivot": {"text": ["Lima"], "answer_start": [13]}}) + "\n"
).encode()  # fmt: skip
IOB2 = b"# sent_id = w-1\n# text = Ana met Lima\n1\tAna\tB-PER\t-\t-\n2\tmet\tO\t-\t-\n3\tLima\tB-LOC\t-\t-\n\n"
MASAKHANER = b"Ana I-PER\nmet O\nLima B-LOC\nin O\n2020 B-DATE\n\n"
MASAKHAPOS = b"Ana PROPN\nmet VERB\nLima PROPN\n\n"
WNUT = b"Ana\tB-person\nmet\tO\n%sLima\tB-location\n%s"

CONLLU = "".join(f"{i}\t{word}\t_\t{tag}{6 * (chr(9) + '_')}\n" for i, word, tag in (
    (1, "Ana", "PROPN"), (2, "met", "VERB"), (3, "Lima", "PROPN"), (4, ".", "PUNCT")))  # fmt: skip
WITHHELD = "1\t_\t_\tNOUN\t_\t_\t_\t_\t_\t_\n2\t_\t_\tVERB\t_\t_\t_\t_\t_\t_\n"
TREEBANKS = {
    # A folder per treebank, files by the language's code [V] xtreme.py; others' names hold those of languages [V].
    "UD_Greek-GDT/el_gdt": CONLLU, "UD_Ancient_Greek-PROIEL/grc_proiel": "1\tFALSE" + CONLLU[5:],
    "UD_English-EWT/en_ewt": CONLLU, "UD_English-ESL/en_esl": WITHHELD, "UD_Chinese-GSD/zh_gsd": CONLLU,
    "UD_Classical_Chinese-Kyoto/lzh_kyoto": "1\tFALSE" + CONLLU[5:], "UD_Kazakh-KTB/kk_ktb": CONLLU,
    "UD_Thai-PUD/th_pud": CONLLU, "UD_Wolof-WTB/wo_wtb": CONLLU,
}  # fmt: skip


def release(version):
    """A release of Universal Dependencies."""
    return tar("gz", **{f"ud-treebanks-{version}/{stem}-ud-{split}.conllu": f"{text}\n".encode()
                        for stem, text in TREEBANKS.items() for split in ("train", "dev", "test")})  # fmt: skip


def table(*rows, delimiter="\t"):
    return "".join(delimiter.join(row) + "\n" for row in rows).encode()


SITE = {
    # Layouts [V] the published files themselves (xquad, xquad-r, masakhane-ner, masakhane-pos, afriqa, UNER, WNUT 2017,
    # LASER at those commits; xquad.zh.json begins contexts with white space), GitHub's top folder of archives [R].
    "/google-deepmind/xquad/7d30520c717524000f0d9d2f9c10a069acd9d285/xquad.zh.json": squad(("56be", "Lima", 15)),
    "/google-research-datasets/lareqa/archive/9bc8c7fb6dd8d01d72a05a93c2cb96882b0d299c.tar.gz": tar("gz", **PARALLEL),
    "/facebookresearch/LASER/archive/74bc6ae7ffb7cba670fe0f428d0ede9f666fb821.tar.gz": tar("gz", **{
        f"LASER-74bc6ae/data/tatoeba/v1/tatoeba.{code}-eng.{end}": text
        for code in ("aze", "pol", "deu", "hsb")
        for end, text in ((code, b"Dzie\xc5\x84 dobry.\nTak.\n"), ("eng", b"Hello.\nYes.\n"))
    }),
    **{f"/masakhane-io/masakhane-ner/ba5843cd08aa491d5f96a5e809e71eb9ec461391/MasakhaNER2.0/data/wol/{split}.txt":
       MASAKHANER for split in ("train", "dev", "test")},
    **{f"/masakhane-io/masakhane-pos/a42273eb27d37f3dedfc3914bfccb88199e10454/data/yor/{split}.txt": MASAKHAPOS
       for split in ("train", "dev", "test")},
    **{f"/masakhane-io/afriqa/5c29933753692c28773c34ac1f68482007f1d2bb/data/gold_passages/{code}/gold_span_passages"
       f".afriqa.{code}.{passage}.{split}.json": AFRIQA_TWI if code == "twi" else AFRIQA_LINES
       for code, passage in (("hau", "en"), ("twi", "en"), ("swa", "en"), ("fon", "fr"))
       for split in ("train", "dev", "test")},
    **{f"/UniversalNER/UNER_{folder}-ud-{split}.iob2": IOB2 for split in ("train", "dev", "test") for folder in (
        "English-EWT/8ed072de2fd24022cc62458997fe96a8fe191ea4/en_ewt",
        "Chinese-GSDSIMP/1f0307599dece7b83f4cba90ce9b63ef37a7b162/zh_gsdsimp",
        "German-PUD/47eb039b6d80079b280ba70efe4136413fb7af9c/de_pud")},
    **{f"/leondz/emerging_entities_17/e52a2d2a71ac1a051ca2d532eef28653c5c02603/{name}": WNUT % (end, end)
       for name, end in (("wnut17train.conll", b"\t\n"), ("emerging.dev.conll", b"\n"),
                         ("emerging.test.annotated", b"\n"))},
    # Layouts [V] the published files at those commits (SIB-200, MasakhaNEWS, AfriSenti, NusaX, Taxi1500, UD).
    "/dadelani/sib-200/archive/593cea88519930f776c1a4a1980b6a35b39dca57.tar.gz": tar("gz", **{
        f"sib-200-593cea8/data/annotated/{code}/{split}.tsv":
        table(("index_id", "category", "text"), ("548", "sports", 'A "run".'), ("824", "travel", "By sea."))
        for code in ("eng_Latn", "kas_Deva", "zho_Hant") for split in ("train", "dev", "test")}),
    "/masakhane-io/masakhane-news/archive/819be052e79e0a600e0ed4a7356594681cb5c4f3.tar.gz": tar("gz", **{
        f"masakhane-news-819be05/data/tir/{split}.tsv":
        table(("category", "headline", "text", "url"), ("health", '"Rain\tfalls"', "It rains.", "https://x.org"))
        for split in ("train", "dev", "test")}),
    "/afrisenti-semeval/afrisent-semeval-2023/archive/5aec3cfcf87b59f885e98641f72e52182776429d.tar.gz": tar("gz", **{
        f"afrisent-semeval-2023-5aec3cf/data/{code}/{split}.tsv": table(*rows)
        for code, rows in (("twi", [("tweet", "label"), ("Yoo", "positive")]),
                           ("orm", [("ID", "tweet", "label"), ("or_1", "Yoo", "positive")]))
        for split in ("train", "dev", "test")}),
    "/IndoNLP/nusax/archive/75b0be5d982348332509f296e10d9bf9cb66d60f.tar.gz": tar("gz", **{
        f"nusax-75b0be5/datasets/sentiment/toba_batak/{split}.csv":
        table(("id", "text", "label"), ("219", '"Nyaman, ""tung"""', "neutral"), delimiter=",")
        for split in ("train", "valid", "test")}),
    "/cisnlp/Taxi1500/archive/af199419f908f435efcb1521bf60dd035c79ef92.tar.gz": tar("gz", **{
        f"Taxi1500-af19941/corpus_obtain/transfered/{code}.tsv":
        table(("62003016", "Faith", "Yabow"), ("66018007", "Sin", '"Mwinkeni'), ("55002024", "Grace", "Mndima"))
        for code in ("eng", "aii")}),
    "/nllb/flores200_dataset.tar.gz": tar("gz", **{
        f"flores200_dataset/{split}/{code}.{split}": text for split in ("dev", "devtest")
        for code, text in (("kas_Deva", b"A.\nB.\n"), ("eng_Latn", b"Hello.\nYes.\n"), ("yor_Latn", b"C.\nD.\n"))}),
    **{f"/repository/xmlui/bitstream/handle/11234/{handle}/ud-treebanks-{version}.tgz": release(version)
       for handle, version in (("1-3105", "v2.5"), ("1-3424", "v2.7"))},
    **{f"/UniversalDependencies/{stem}-ud-{split}.conllu": f"{CONLLU}\n".encode() for split in ("train", "dev", "test")
       for stem in ("UD_Erzya-JR/c8038472dea7/myv_jr", "UD_English-EWT/15d613d8447b/en_ewt",
                    "UD_Irish-IDT/ecefd4dfddc5/ga_idt")},
    **{f"/UniversalNER/{stem}-ud-{split}.iob2": IOB2.replace(b"w-1", stem.encode())
       for split in ("train", "dev", "test") for stem in (
        "UNER_Serbian-SET/main/sr_set", "UNER_Tagalog-TRG/master/tl_trg", "UNER_Tagalog-Ugnayan/master/tl_ugnayan",
        "UNER_Cebuano-GJA/master/ceb_gja")},
    # SQuAD JSON [V] the same; its address [V] dataset_infos.json of squad.
    "/SQuAD-explorer/dataset/train-v1.1.json": squad(("5733", "Ana", 2)),
    # Members [V] xtreme.py.
    "/MLQA/MLQA_V1.zip": packed(**{f"MLQA_V1/{split}/{split}-context-{context}-question-{asked}.json":
                                   squad((f"{context}{asked}", "Lima", 15))
                                   for split in ("dev", "test") for context in ("en", "hi") for asked in ("en", "hi")}),
    # Addresses [V] xtreme.py, one file of all languages [V] its `tydiqa`; the language before a hyphen in ids [R].
    **{f"/tydiqa/v1.1/tydiqa-goldp-v1.1-{split}.json": squad(("english-1-0", "Lima", 15), ("swahili--2-1", "Ana", 2))
       for split in ("train", "dev")},
    # Folder and endings [V] xtreme.py, names before them [R].
    "/bucc2018/bucc2018-de-en.sample-gold.tar.bz2": bucc("sample"),
    "/bucc2018/bucc2018-de-en.training-gold.tar.bz2": bucc("training"),
    # Keys [V] mewsli-x.md; files at the top of the archive [V] get-mewsli-x.sh of google-research.
    "/gresearch/mewsli/mewsli-x_20220518_6.zip": packed(**{
        "wikipedia_pairs-train.jsonl": json.dumps(PAIR).encode(), "wikipedia_pairs-dev.jsonl": b"{}",
        "candidate_set_entities.jsonl": json.dumps(ENTITY).encode()}),
}  # fmt: skip


# -- what the rows are ---------------------------------------------------------------------------------------------


def texts(count, **columns):
    more = {"text": [f"First {i}." for i in range(count)], "text_pair": [f"Second {i}." for i in range(count)]}
    return more | columns


REVERSED = texts(3, label=NLI[::-1])
WORDS = [["Ana", "met", "Lima", "."]]
TAGS = {"tokens": WORDS, "tags": [["PROPN", "VERB", "PROPN", "PUNCT"]]}
HAS_ANSWER = {"context": ["  Ana lives in Lima. It rains."], "question": ["Where?"], "answers": [["Lima"]],
              "answer_starts": [[15]]}  # fmt: skip
GOLD_PASSAGE = {
    "context": ["Ana lives in Lima."],
    "question": ["Wapi?"],
    "answers": [["Lima"]],
    "answer_starts": [[13]],
}
SCORED_PASSAGES = {"answers": [["Lima"], ["yes"]], "answer_starts": [[13], [13]]}
"""An answer at another offset is scored, and not trained on."""
EFFECT, CAUSE = "What was the effect?", "What was the cause?"
CHOICES = ["It was dry.", "The street got wet."]
CANDIDATE = "Ana lives in Lima.  Ana lives in Lima. It rains."
MENTIONED = {"text": ["Lima: Ana lives in { Lima }."], "text_pair": [None], "relevant": [["Q2868"]]}
PEOPLE = {"tokens": [["Ana", "met", "Lima"]], "tags": [["B-PER", "O", "B-LOC"]]}

CASES = {
    # task -> language and split -> column -> values
    "anli_plus": {
        "en train": {"label": [NLI[i] for i in (0, 1, 2, 1, 2, 0, 2, 0, 2, 0, 2, 0)]},
        "en dev": {"label": [NLI[i] for i in (0, 1, 2, 1, 2, 0, 2, 0, 2, 0, 2, 0)]},
    },
    "mnli": {
        "en train": texts(3, label=[NLI[i] for i in (1, 2, 0)]),
        "en dev": {"label": [NLI[i] for i in (1, 2, 0, 1, 2, 0)]},
    },
    "qqp": {f"en {split}": texts(2, label=["duplicate", "not_duplicate"]) for split in ("train", "dev")},
    "squad_v1": {
        f"en {split}": {"id": ["5733", "5734"], "context": ["Ana lives in Lima."] * 2, "question": ["Where?"] * 2,
                        "answers": [["Lima"], ["Ana", "Ana"]], "answer_starts": [[13], [0, 0]]}
        for split in ("train", "dev")
    },
    "squad_v2": {f"en {split}": {"answers": [["Lima"], []], "answer_starts": [[13], []]} for split in ("train", "dev")},
    "hellaswag": {
        f"en {split}": {"context": ["It rains. she"], "question": [""], "choices": [["a.", "b.", "c.", "d."]],
                        "label": [3]}
        for split in ("train", "dev")
    },
    "cosmosqa": {
        f"en {split}": {"context": ["C."], "question": ["Q?"], "choices": [[*"abcd"]], "label": [3]}
        for split in ("train", "dev")
    },
    "socialiqa": {
        f"en {split}": {"context": ["C."] * 2, "question": ["Q?"] * 2, "choices": [[*"abc"]] * 2, "label": [2, 0]}
        for split in ("train", "dev")
    },
    "commonsenseqa": {
        f"en {split}": {"context": [""], "question": ["Q?"], "choices": [[*"vwxyz"]], "label": [4]}
        for split in ("train", "dev")
    },
    "copa": {
        f"en {split}": {"context": ["It rained."], "question": [EFFECT], "choices": [CHOICES], "label": [1]}
        for split in ("train", "dev")
    },
    "xcopa": {
        f"{language} {split}": {"context": ["It rained."] * 2, "question": [EFFECT, CAUSE], "choices": [CHOICES] * 2,
                                "label": [1, 0]}
        for language, split in (("qu", "dev"), ("zh", "test"))
    },
    "mlm": {"sw train": {"id": ["12"], "text": ["Lima.\n\nLima is a city."], "text_pair": [None]}},
    "xnli": {"sw dev": REVERSED, "fr test": REVERSED},
    "pawsx": {name: texts(2, label=["different", "same"]) for name in ("en train", "ko dev", "de test")},
    "udpos": {name: TAGS for name in ("en train", "el dev", "zh dev", "kk test", "th test", "wo test")},
    "ud": {name: TAGS for name in ("en train", "myv test", "en test", "ga dev")},
    "sib200": {
        name: {"id": ["548", "824"], "text": ['A "run".', "By sea."], "text_pair": [None] * 2,
               "label": ["sports", "travel"]}
        for name in ("en train", "kas_Deva dev", "zho_Hant test")
    },
    "belebele": {
        f"{code} test": {"context": ["It rained."] * 2, "question": ["Why?"] * 2, "label": [3, 0],
                         "choices": [["1.", "2.", "3.", "4."]] * 2}
        for code in ("en", "npi_Latn", "zho_Hant")
    },
    "flores200": {f"kas_Deva {split}": {"text": ["A.", "B."], "text_pair": ["Hello.", "Yes."]}
                  for split in ("dev", "test")},
    "taxi1500": {
        "en train": {"id": ["62003016"], "text": ["Yabow"], "label": ["Faith"]},
        "aii dev": {"id": ["66018007"], "text": ['"Mwinkeni'], "label": ["Sin"]},
        "aii test": {"id": ["55002024"], "text": ["Mndima"], "label": ["Grace"]},
    },
    "masakhanews": {
        f"ti {split}": {"text": ["Rain\tfalls"], "text_pair": ["It rains."], "label": ["health"]}
        for split in ("train", "dev", "test")
    },
    "afrisenti": {name: {"text": ["Yoo"], "text_pair": [None], "label": ["positive"]}
                  for name in ("tw train", "om dev", "om test")},
    "nusax": {f"bbc {split}": {"id": ["219"], "text": ['Nyaman, "tung"'], "label": ["neutral"]}
              for split in ("train", "dev", "test")},
    "indicxnli": {"or train": REVERSED, "as dev": REVERSED, "bn test": REVERSED},
    "panx": {
        name: {"tokens": WORDS, "tags": [["B-PER", "O", "B-LOC", "O"]]} for name in ("en train", "yo dev", "qu test")
    },
    "xquad": {"zh test": HAS_ANSWER},
    "mlqa": {"hi dev": HAS_ANSWER | {"id": ["hihi"]}, "en test": HAS_ANSWER | {"id": ["enen"]}},
    "tydiqa": {
        "en train": HAS_ANSWER | {"id": ["english-1-0"]},
        "sw train": {"id": ["swahili--2-1"], "answers": [["Ana"]]},
        "sw test": {"id": ["swahili--2-1"], "answer_starts": [[2]]},
    },
    "bucc2018": {
        f"de {split}": {"id": ["de-000000001", "de-000000002", "en-000000007", "en-000000009"],
                        "text": ["Hallo.", "Nein.", "Hello.", "Rain."], "side": ["foreign"] * 2 + ["english"] * 2,
                        "pair": ["en-000000007", None, None, None]}
        for split in ("dev", "test")
    },
    "tatoeba": {
        "fr test": {"text": ["Bonjour.", "Merci."], "text_pair": ["Hello.", "Thanks."]},
        "pl test": {"text": ["Dzień dobry.", "Tak."], "text_pair": ["Hello.", "Yes."]},
    },
    "tatoeba_rare": {"hsb test": {"text": ["Dzień dobry.", "Tak."], "text_pair": ["Hello.", "Yes."]}},
    "nli": {
        "en train": texts(3, label=[NLI[i] for i in (1, 2, 0)]),
        "en dev": texts(3),
        "qu train": REVERSED,
        "nah test": REVERSED,
    },
    "qa": {
        "en train": {"id": ["5733", "5734"], "answers": [["Lima"], ["Ana", "Ana"]]},
        "ha train": GOLD_PASSAGE,
        "ha dev": SCORED_PASSAGES,
        "zh test": HAS_ANSWER,
        "sw test": SCORED_PASSAGES,
    },
    "ner": {
        "en train": {"tokens": [["Ana", "met", "Lima"], ["Ana", "met"], ["Lima"]],
                     "tags": [["B-PER", "O", "B-LOC"], ["B-PER", "O"], ["B-LOC"]]},
        "en dev": PEOPLE,
        "wo test": {"tags": [["B-PER", "O", "B-LOC", "O", "O"]]},
    },
    "lareqa": {
        "en train": {"text": ["Where?"], "text_pair": [CANDIDATE], "relevant": [[]]},
        "th test": {"id": ["56be"], "text": ["Where?"], "text_pair": [None],
                    "relevant": [[f"{code}:1:0" for code in XQUAD_R.split()]]},
        "th candidates": {"id": ["th:1:0", "th:1:1"],
                          "text": [CANDIDATE, "It rains.  Ana lives in Lima. It rains."]},
    },
    "mewslix": {
        "ro dev": MENTIONED,
        "ta test": MENTIONED,
        "en train": {"text": ["Lima: Ana lives in { Lima } ."], "text_pair": ["Lima is a city."], "relevant": [[]]},
        "mul candidates": {"id": ["Q2868"], "text": ["Lima is a city."], "text_pair": [None], "relevant": [[]]},
    },
    "americasnli": {"nah dev": REVERSED, "qu test": REVERSED},
    "afrixnli": {"am dev": REVERSED, "yo test": REVERSED},
    "masakhaner2": {
        f"wo {split}": {"tokens": [["Ana", "met", "Lima", "in", "2020"]], "tags": [["B-PER", "O", "B-LOC", "O", "O"]]}
        for split in ("train", "dev", "test")
    },
    "masakhapos": {
        f"yo {split}": {"tokens": [["Ana", "met", "Lima"]], "tags": [["PROPN", "VERB", "PROPN"]]}
        for split in ("train", "dev", "test")
    },
    "afriqa": {
        **{name: GOLD_PASSAGE for name in ("ha train", "tw train")},
        **{name: SCORED_PASSAGES for name in ("ha dev", "tw dev", "sw test", "fon test")},
    },
    "uner": {name: PEOPLE | {"id": ["w-1"]} for name in ("en train", "zh dev", "de test")}
    | {name: PEOPLE for name in ("srp_Latn train", "ceb test")}
    | {"tl test": {"tokens": PEOPLE["tokens"] * 2}},
    "wnut17": {
        f"en {split}": {"tokens": [["Ana", "met"], ["Lima"]], "tags": [["B-person", "O"], ["B-location"]]}
        for split in ("train", "dev", "test")
    },
}  # fmt: skip


# -- tests ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub():
    """Every repository of PUBLISHED; files with the same rows are encoded once."""
    known = {}
    with hub_server.HubServer() as server:
        for (repository, branch), tree in TREES.items():
            files = {}
            for path, (columns, rows) in tree.items():
                key = repr((columns, rows))
                files[path] = known[key] = known.get(key) or encoded(columns, rows)
            server.commit(repository, files | {"README.md": b"# Card"}, branch)
        yield server


class _Page(hub_server.Handler):
    def answer(self):
        content = self.server.owner.files.get(self.path)
        self.reply(404) if content is None else self.part(content)


@pytest.fixture(scope="module")
def site():
    """Stands in for all hosts of SITE, and for GitHub's archives of the commits that its files are of."""
    commits = {}
    for path, content in SITE.items():
        if match := re.fullmatch(r"/([\w.-]+/([\w.-]+))/([0-9a-f]{7,40})/(.*)", path):
            repository, name, commit, inside = match.groups()
            commits.setdefault(f"/{repository}/archive/{commit}.tar.gz", {})[f"{name}-{commit}/{inside}"] = content
    with hub_server.LocalServer(_Page) as server:
        server.files = SITE | {path: tar("gz", **members) for path, members in commits.items()}
        yield server


@pytest.fixture
def read(hub, site, tmp_path, monkeypatch):
    """read(name, language, split) -> table: the catalogue's task, from the stand-ins.

    These refuse every request twice (429) before they answer it. Numbers of rows and checksums are those of the
    originals and so left out, unless `keep` names them.
    """
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub_server, "PAGE", 1000)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(tmp_path)
    for server in (hub, site):
        server.busy = 2
        server.refused.clear()
        server.requests.clear()

    def lead(request, **options):
        address = urlsplit(request.full_url)
        request.full_url = site.endpoint + address.path
        return urlopen(request, **options)

    monkeypatch.setattr("intermezzo.sources.hub.transfer.urlopen", lead)

    def local(part, keep):
        part = {key: value for key, value in part.items() if key in keep or key not in COUNTS}
        if "repository" in part:
            part["revision"] = branch(part)
        if "url" in part:
            part["sha256"] = part["sha256"] if "sha256" in keep else None
        return part

    def prepared(name, keep=()):
        task = load_task(name)
        sections = {
            section: PublishedSource(
                data={
                    code: {key: [local(part, keep) for part in parts] for key, parts in splits.items()}
                    for code, splits in getattr(task.sources, section).data.items()
                }
            )
            for section in ("hub", "url")
            if getattr(task.sources, section)
        }
        task = task.model_copy(update={"sources": task.sources.model_copy(update=sections)})
        monkeypatch.setattr(hub_source, "load_task", lambda _: task)
        return task

    def read(name, language, split, keep=()):
        task = prepared(name, keep)
        rows = sources.read(data("hub", name, language, split))
        assert min(Counter(hub.requests + site.requests).values()) > hub.busy
        return formats.table(rows, task.format, task.labels, training=split == "train")

    read.prepared = prepared
    return read


def branch(part):
    """The branch of the stand-in: the part's own, or, where it names a commit of the original, the one there is."""
    if re.fullmatch("[0-9a-f]{40}", part.get("revision", "")):
        return next(branch for repository, branch in TREES if repository == part["repository"])
    return part.get("revision", "main")


def parts(name):
    """(language, split, part) of everything that the task downloads."""
    data = load_task(name).sources.parts("hub")
    return [(code, split, part) for code, splits in data.items() for split in splits for part in splits[split]]


def place(part):
    """What a case stands for: the repository, or the kind of file at an address."""
    return part.get("repository") or (urlsplit(part["url"]).hostname, part["reader"], part.get("kind"))


def test_every_task_with_something_to_download_has_a_case_for_each_split_and_place():
    assert set(CASES) == {name for name in task_names() if parts(name)}
    for name, cases in CASES.items():
        covered = [(code, split, part) for code, split, part in parts(name) if f"{code} {split}" in cases]
        assert {split for _, split, _ in covered} == {split for _, split, _ in parts(name)}, name
        assert {place(part) for *_, part in covered} == {place(part) for *_, part in parts(name)}, name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_the_task_reads_what_is_published(name, case, read):
    table = read(name, *case.split()).to_pydict()
    wanted = CASES[name][case]
    assert {column: table[column] for column in wanted} == wanted
    assert len(set(table["id"])) == len(table["id"])


def test_every_language_and_split_names_files_that_are_there():
    for name in CASES:
        for code, split, part in parts(name):
            if "repository" in part:
                tree = TREES[part["repository"], branch(part)]
                found = matching(tree, part["files"])
                assert found, (name, code, split, part["files"])
                assert all(PurePosixPath(path).suffix in (".parquet", ".jsonl", ".tsv") for path in found)


@pytest.mark.parametrize("name", ["masakhaner2", "masakhapos", "afriqa", "xquad", "ud", "wnut17"])
def test_files_of_one_commit_on_github_come_in_one_archive(name, read, site):
    commits = set()
    for language, split in map(str.split, CASES[name]):
        read(name, language, split)
        commits |= {part["url"].split("/")[5] for part in load_task(name).sources.parts("hub")[language][split]}
    assert len(set(site.requests)) == len(commits)
    assert all("/archive/" in request for request in site.requests)


def test_the_documented_command_checks_data_without_a_configuration(read, monkeypatch, capsys):
    """`tasks check --source hub` in an empty folder (docs/catalogue.md)."""
    task = read.prepared("xcopa")
    monkeypatch.setattr("intermezzo.cli.commands.tasks.load_task", lambda _: task)
    monkeypatch.setattr("intermezzo.core.environment.settle", lambda **_: None)
    command = ["tasks", "check", "--source", "hub", "xcopa"]
    assert command == next(line.split("#")[0] for line in CATALOGUE_PAGE if "tasks check" in line).split()[1:]
    assert main([*command, "--languages", "et", "qu"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["xcopa", code, split, "2", "rows"] for code in ("et", "qu") for split in ("dev", "test")]


def test_udpos_comes_from_the_treebanks_where_the_release_cannot_be_had(read, site):
    """Those of the release, without the sentences whose words are withheld."""
    released = read("udpos", "en", "test")
    archives = {path: site.files.pop(path) for path in list(site.files) if "ud-treebanks" in path}
    texts = {"en_ewt": CONLLU, "en_esl": WITHHELD}
    names = [url.partition(".com")[2] for url in load_task("udpos").sources.parts("hub")["en"]["test"][0]["otherwise"]]
    files = {name: texts.get(name.split("/")[-1].partition("-")[0], WITHHELD) for name in names}
    try:
        site.files |= {name: f"{text}\n".encode() for name, text in files.items()}
        Path("config/data.lock.yaml").unlink()
        shutil.rmtree("results/.downloads")
        assert read("udpos", "en", "test")["tokens"] == released["tokens"]
    finally:
        site.files = {path: content for path, content in site.files.items() if path not in names} | archives


UNKNOWN = {  # numbers of rows that no source at hand has
    "afriqa": "bem tw zu yo fon",
    "bucc2018": "de fr ru zh",
    "mlm": " ".join(sorted(XTREME_R.split())),
    "ud": "bor cy ga hy ka mt naq pcm tr ug",
    "udpos": "ro",
}


def test_every_language_has_an_expected_number_of_rows():
    """Data of another language, of another release or cut off show in it."""
    unknown = {}
    for name in task_names():
        for code, _, part in parts(name):
            if not part.keys() & set(COUNTS):
                unknown.setdefault(name, set()).add(code)
    assert unknown == {name: set(codes.split()) for name, codes in UNKNOWN.items()}


def test_of_several_parts_each_row_keeps_an_id_of_its_own(read):
    assert read("anli_plus", "en", "train")["id"].to_pylist()[-2:] == ["train_r3-0", "train_r3-1"]


def test_the_catalogues_numbers_of_rows_and_checksums_refuse_the_stand_ins(read):
    with pytest.raises(UserError, match=r"plain_text/train-00000-of-00001.parquet: 2 rows, expected 87599"):
        read("squad_v1", "en", "train", keep=("rows",))
    with pytest.raises(UserError, match=r"xquad\.zh\.json: sha256 is [0-9a-f]{64}, but the task file says 691d0b33"):
        read("xquad", "zh", "test", keep=("sha256",))
