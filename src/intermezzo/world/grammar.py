"""From meanings to sentences: word order, articles, cases, adpositions, negation and questions of one language.

A sentence is a list of `Token`s; its text is the tokens joined by single blanks, full stops included, so that
tagged and running text are the same to a tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from intermezzo.world.inventory import Inventory
from intermezzo.world.lexicon import Lexicon
from intermezzo.world.scenes import Fragment, Kind, Prompt, Question, Scene, State

Meaning = Scene | State | Kind | Question | Fragment | Prompt
Substitute = Callable[[str, str], str | None]
"""(concept, role of its case) -> another form to say, or None: the hook of code-mixing and of translation noise."""


class Token(NamedTuple):
    """A word or a punctuation mark of a sentence, with its universal part-of-speech tag."""

    text: str
    tag: str
    slot: str = ""
    """Slot of the scene that the token fills as head ("subject", "place" ...); "" for everything else."""


class Grammar:
    """Realises meanings in one language."""

    def __init__(self, inventory: Inventory, lexicon: Lexicon) -> None:
        self.inventory, self.lexicon, self.language = inventory, lexicon, lexicon.language
        self.interrogatives = {"subject": "f:who", "object": "f:what", "place": "f:where", "time": "f:when"}

    def say(self, meaning: Meaning, substitute: Substitute | None = None) -> list[Token]:
        """The sentence for `meaning`, with its full stop or question mark."""
        if isinstance(meaning, Scene):
            return [*self._statement(meaning, substitute), Token(".", "PUNCT")]
        if isinstance(meaning, Question):
            return [*self._question(meaning, substitute), Token("?", "PUNCT")]
        if isinstance(meaning, State):
            return [*self._state(meaning, substitute), Token(".", "PUNCT")]
        if isinstance(meaning, Kind):
            return [*self._kind(meaning, substitute), Token(".", "PUNCT")]
        if isinstance(meaning, Prompt):
            return [self._function(meaning.word), Token("?", "PUNCT")]
        return [*self._parts(meaning.scene, substitute)[meaning.slot], Token(".", "PUNCT")]

    # Words and phrases

    def _word(self, concept: str, substitute: Substitute | None, slot: str = "", suffix: str = "") -> Token:
        form = substitute(concept, slot) if substitute else None
        return Token((form or self.lexicon.forms[concept]) + suffix, self.inventory.tag[concept], slot)

    def _function(self, word: str) -> Token:
        concept = f"f:{word}"
        return Token(self.lexicon.forms[concept], self.inventory.tag[concept])

    def _noun_phrase(
        self, head: str, adjective: str | None, slot: str, case: str, substitute: Substitute | None
    ) -> list[Token]:
        suffix = self.lexicon.suffix(case) if case else ""
        if head.startswith("@"):
            parts = [self.lexicon.names[int(number)] for number in head[1:].split("@")]
            parts[-1] += suffix
            return [Token(part, "PROPN", slot) for part in parts]
        noun = [self._word(head, substitute, slot, suffix)]
        quality = [self._word(adjective, substitute)] if adjective else []
        phrase = quality + noun if self.language.adjective == "before" else noun + quality
        return [self._function("the"), *phrase] if self.language.article else phrase

    def _adpositional(self, adposition: str, phrase: list[Token]) -> list[Token]:
        """`phrase` with its adposition; a locative case says "in" and "on" by itself."""
        if adposition in ("f:in", "f:on") and "locative" in self.language.suffixes:
            return phrase
        marker = self._function(adposition[2:])
        return [marker, *phrase] if self.language.adposition == "before" else [*phrase, marker]

    def _place(self, scene: Scene, substitute: Substitute | None) -> list[Token]:
        relation = scene.relation or ""
        if scene.place is None:
            adverb = self._function(relation[2:])
            return [adverb._replace(tag="ADV")]
        return self._adpositional(relation, self._noun_phrase(scene.place, None, "place", "locative", substitute))

    def _time(self, time: str, substitute: Substitute | None) -> list[Token]:
        if time.startswith("y:"):
            return self._adpositional("f:in", [Token(time[2:], "NUM", "time")])
        group = self.inventory.time_group[time]
        if group == "adverb":
            return [self._word(time, substitute, "time")]
        word = self._word(time, substitute, "time", self.lexicon.suffix("locative"))
        return self._adpositional("f:on" if group == "day" else "f:in", [word])

    # Clauses

    def _parts(self, scene: Scene, substitute: Substitute | None) -> dict[str, list[Token]]:
        parts = {
            "subject": self._noun_phrase(scene.subject, scene.subject_adjective, "subject", "", substitute),
            "verb": self._verb_group(self._word(scene.verb, substitute, "verb"), scene.negated),
            "object": self._noun_phrase(scene.object, scene.object_adjective, "object", "accusative", substitute),
        }
        if scene.relation is not None:
            parts["place"] = self._place(scene, substitute)
        if scene.time is not None:
            parts["time"] = self._time(scene.time, substitute)
        return parts

    def _verb_group(self, verb: Token, negated: bool) -> list[Token]:
        suffix = self.lexicon.suffix("future")
        if negated and "negation" not in self.language.verb_group:
            suffix = self.lexicon.suffix("negation") + suffix
        words = {"verb": verb._replace(text=verb.text + suffix), "auxiliary": self._function("will")}
        if negated:
            words["negation"] = self._function("not")
        return [words[name] for name in self.language.verb_group if name in words]

    def _statement(self, scene: Scene, substitute: Substitute | None) -> list[Token]:
        parts = self._parts(scene, substitute)
        front = next((slot for slot in ("time", "place") if scene.front and slot in parts), None)
        return self._order(parts, [front] if front else [])

    def _order(self, parts: dict[str, list[Token]], front: list[str]) -> list[Token]:
        """Core order with adjuncts in their place; the slots of `front` come before everything."""
        core = [{"S": "subject", "V": "verb", "O": "object"}[letter] for letter in self.language.order]
        adjuncts = [slot for slot in ("place", "time") if slot in parts]
        anchor = {"last": len(core), "before_object": core.index("object"), "after_subject": core.index("subject") + 1}
        position = anchor[self.language.adjuncts]
        order = [*core[:position], *adjuncts, *core[position:]]
        order = [*front, *(slot for slot in order if slot not in front)]
        return [token for slot in order for token in parts.get(slot, ())]

    def _question(self, question: Question, substitute: Substitute | None) -> list[Token]:
        scene, gap = question.scene, question.slot
        parts = self._parts(scene, substitute)
        for adjunct in ("place", "time"):
            parts.pop(adjunct, None)
        case = {"object": "accusative"}.get(gap, "")
        word = self._function(self.interrogatives[gap][2:])
        parts[gap] = [word._replace(text=word.text + self.lexicon.suffix(case))]
        if self.language.question == "in_situ":
            return [*self._order(parts, []), self._function("asks")]
        if self.language.question == "front" or gap == "subject":
            return self._order(parts, [gap])
        auxiliary, *rest = parts.pop("verb")  # the inverting language has its auxiliary first in the group
        return [*parts.pop(gap), auxiliary, *self._order({**parts, "verb": rest}, [])]

    def _state(self, state: State, substitute: Substitute | None) -> list[Token]:
        holder = self._noun_phrase(state.holder, None, "subject", "", substitute)
        copula = self._verb_group(self._function("be"), state.negated)
        return self._predication(holder, copula, [self._word(state.quality, substitute)])

    def _kind(self, kind: Kind, substitute: Substitute | None) -> list[Token]:
        member = [self._function("every"), self._word(kind.member, substitute, "subject")]
        noun = self._word(kind.category, substitute)
        article = self._function("an")
        if self.language.code == "en" and noun.text[0] not in "aeiou":
            article = article._replace(text="a")
        category = [article, noun] if self.language.article else [noun]
        return self._predication(member, [self._function("is")], category)

    def _predication(self, holder: list[Token], copula: list[Token], predicate: list[Token]) -> list[Token]:
        parts = {"S": holder, "V": copula, "O": predicate}
        return [token for letter in self.language.order for token in parts[letter]]


def text_of(tokens: list[Token]) -> str:
    """The tokens as text, joined by single blanks."""
    return " ".join(token.text for token in tokens)
