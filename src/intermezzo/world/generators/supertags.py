"""Supertagging: every word's category says what it combines with, as in combinatory categorial grammar (CCG).

`X|Y` is a word that makes an X with a Y, on either side of it: the slash has no direction, so that the languages share
the categories although their word orders differ (a language lacks those of words that it does not have). Noun phrases
bear their role; a clause is a statement (`dcl`) or a question (`q`, with the gap `wh` of its verb); what modifies a
clause stands before it (`S|S`) or within it (`VP|VP`). English has all 39 categories.
"""

from __future__ import annotations

from collections.abc import Iterator

from intermezzo.world.generators.base import Row, Say
from intermezzo.world.generators.tagging import draw_ner, draw_pos
from intermezzo.world.grammar import Meaning, Token
from intermezzo.world.scenes import Fragment, Question, Sampler, Scene, State

ROLES = {"subject": "subj", "object": "obj", "place": "loc", "time": "time"}
NOMINAL = {"NOUN": "N[{0}]", "NUM": "N[{0},num]", "DET": "NP[{0}]|N[{0}]", "ADJ": "N[{0}]|N[{0}]"}
"""Universal tag -> category in a noun phrase of a role."""
WH = {
    "subject": "S[wq]|(S[q]|NP[subj])",
    "object": "S[wq]|(S[q]|NP[obj])",
    "place": "S[wq]|S[q,loc]",
    "time": "S[wq]|S[q,time]",
}
NEGATION = "VP[neg]|VP"


def draw(sampler: Sampler) -> Iterator[Meaning]:
    """Statements, questions and states as for parts of speech; a third are statements with names in all roles."""
    words, names = draw_pos(sampler), draw_ner(sampler)
    while True:
        yield next(names)[0] if sampler.rng.random() < 0.33 else next(words)


def row(meaning: Scene | State | Question, say: Say, _: Say) -> Row:
    """Columns of a supertagged sentence: tokens, and the category of each in tags."""
    tokens = say(meaning)
    tags = _state(meaning, tokens, say) if isinstance(meaning, State) else _clause(meaning, tokens, say)
    return {"tokens": [token.text for token in tokens], "tags": [*tags, tokens[-1].text]}


def _clause(meaning: Scene | Question, tokens: list[Token], say: Say) -> list[str]:
    """Categories of all tokens of an event or a question but the full stop."""
    scene, gap = (meaning.scene, meaning.slot) if isinstance(meaning, Question) else (meaning, "")
    categories = _phrases(scene, tokens, say)
    gaps = {slot: "wh" if slot == gap else ROLES[slot] for slot in ("subject", "object")}
    mood = "q" if gap else "dcl"
    negations = [token.tag for token in say(Fragment(scene, "verb"))].count("PART")
    for position, token in enumerate(tokens[:-1]):
        if position in categories:
            continue
        if token.slot == "verb":
            categories[position] = f"S[{mood}]|NP[{gaps['subject']}]|NP[{gaps['object']}]"
        elif token.tag == "AUX":
            categories[position] = f"VP[{mood}]|VP"
        elif token.tag == "PART":  # a question particle, which comes last of all, does what English's auxiliary does
            categories[position], negations = (NEGATION if negations else "VP[q]|VP"), negations - 1
        else:  # a question word; in a statement an adposition said alone, as an adverb
            categories[position] = WH[gap] if gap else f"{_modified(position)}[loc]"
    return [categories[position] for position in range(len(tokens) - 1)]


def _phrases(scene: Scene, tokens: list[Token], say: Say) -> dict[int, str]:
    """Position -> category of the words of noun phrases, with their adpositions, and of adverbs of time.

    Only heads know their slot. The other words of a phrase are found by saying the phrase alone.
    """
    categories = {}
    for slot, role in ROLES.items():
        heads = [position for position, token in enumerate(tokens) if token.slot == slot]
        if heads:
            phrase = [token.slot for token in say(Fragment(scene, slot))[:-1]]
            start = heads[0] - phrase.index(slot)
            for position in range(start, start + len(phrase)):
                tag = tokens[position].tag
                if tag == "PROPN":
                    categories[position] = f"NP[{role}]" if position == heads[-1] else f"NP[{role}]|NP[{role}]"
                elif tag in ("ADP", "ADV"):
                    categories[position] = (
                        f"({_modified(start)})|NP[{role}]" if tag == "ADP" else f"{_modified(start)}[{role}]"
                    )
                else:
                    categories[position] = NOMINAL[tag].format(role)
    return categories


def _modified(first: int) -> str:
    return "VP|VP" if first else "S|S"


def _state(state: State, tokens: list[Token], say: Say) -> list[str]:
    """Categories of "the dog will not be happy" but for the full stop."""
    # The copula stands in its group where any verb does: only the group of a verb tells it from an auxiliary.
    verb = Fragment(Scene("n:dog", "v:love", "n:cake", negated=state.negated), "verb")
    group = {"VERB": "S[dcl]|NP[subj]|AP", "AUX": "VP[dcl]|VP", "PART": NEGATION}
    copula = (group[token.tag] for token in say(verb)[:-1])
    holder = {**NOMINAL, "ADJ": "AP"}
    return [next(copula) if t.tag in ("AUX", "PART") else holder[t.tag].format("subj") for t in tokens[:-1]]
