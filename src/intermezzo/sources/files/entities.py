"""Reader of entity retrieval (Mewsli-X): a mention in its sentence searches the description of the entity it means.

Texts are made as google-research/xtreme makes them (utils_mewslix.py): a query is the mention, a colon, and the
mention's sentence with the mention in braces; an entity is the sentences of its description.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from intermezzo.core.errors import suggestion
from intermezzo.sources.files.reading import File, text_id
from intermezzo.tasks.formats.base import stands_at

Row = dict[str, Any]


def mewslix_jsonl(file: File, kind: str, language: str | None = None) -> list[Row]:
    """Rows of the format ranking from Mewsli-X's JSON lines.

    kind: `queries` (wikinews_mentions: articles with mentions; of the articles in `language`, None: all),
    `candidates` (candidate_set_entities) or `pairs` (wikipedia_pairs: a mention and its entity, for training).
    """
    if kind not in KINDS:
        raise file.fault(f"kind: unknown kind '{kind}' in the task file; {suggestion(kind, KINDS)}")
    rows: list[Row] = []
    for line, record in file.json_lines():
        try:
            if kind == "queries" and language not in (None, record["context"]["language"]):
                continue
            rows += KINDS[kind](record)
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            raise file.fault(f"not a line of Mewsli-X's {kind} ({error})", line) from None
    return rows


def _queries(record: dict[str, Any]) -> Iterator[Row]:
    for mention in record["mentions"]:
        text = _query(record["context"], mention)
        relevant = [text_id(mention["entity_id"])]
        yield {"id": text_id(mention["example_id"]), "text": text, "text_pair": None, "relevant": relevant}


def _candidates(record: dict[str, Any]) -> Iterator[Row]:
    yield {"id": text_id(record["entity_id"]), "text": _description(record), "text_pair": None, "relevant": []}


def _pairs(record: dict[str, Any]) -> Iterator[Row]:
    context, mention = record["contextual_mention"]["context"], record["contextual_mention"]["mention"]
    pair = _description(record["entity"])
    yield {"id": text_id(mention["example_id"]), "text": _query(context, mention), "text_pair": pair, "relevant": []}


KINDS: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "queries": _queries,
    "candidates": _candidates,
    "pairs": _pairs,
}


def _query(context: dict[str, Any], mention: dict[str, Any]) -> str:
    text, span = context["text"], mention["mention_span"]
    if not text:
        raise ValueError("no article text: the archive leaves it out, Mewsli-X's own get-mewsli-x.sh puts it in")
    start, end, name = span["start"], span["end"], span["text"]
    if not stands_at(name, text, start) or end != start + len(name):
        raise ValueError(f"mention {mention['example_id']}: '{name}' is not at character {start} of its text")
    for sentence in context["sentence_spans"]:
        if sentence["start"] <= start and end <= sentence["end"]:
            head, tail = text[sentence["start"] : start], text[end : sentence["end"]]
            return _one_line(f"{name}: {_unbraced(head)} {{ {name} }} {_unbraced(tail)}")
    raise ValueError(f"mention {mention['example_id']}: '{name}' is in no single sentence")


def _description(entity: dict[str, Any]) -> str:
    text = entity["description"]
    spans = [(span["start"], span["end"]) for span in entity["sentence_spans"]]
    if outside := [span for span in spans if not 0 <= span[0] <= span[1] <= len(text)]:
        raise ValueError(f"sentence_spans {outside[0]} in a description of {len(text)} characters")
    return _one_line(" ".join(text[start:end] for start, end in spans))


def _unbraced(text: str) -> str:
    """Braces mark the mention alone."""
    return re.sub(r"\{(.*?)\}", r"(\1)", text)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()).replace("  ", " ").strip()
