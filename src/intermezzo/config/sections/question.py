"""The question of the experiment: which comparisons get a verdict."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from intermezzo.config.sections.base import Name, Number, Section


class QuestionConfig(Section):
    """The primary question, to be fixed before there are results. Its comparisons alone get a verdict in the answer,
    and are corrected for each other alone. Changes rerun the analysis and nothing else; the answer tells of them."""

    mixes: list[Name] | None = Field(
        None, description="Mixes that are compared; null = each mix of the grid with rows in a rare language."
    )
    against: Name | None = Field(None, description="The mix that they are compared with; null = the English-only mix.")
    groups: list[Literal["rare", "rare_seen", "rare_unseen", "other", "english"]] = Field(
        ["rare", "rare_seen", "rare_unseen"],
        description="Groups of languages: `rare` as a whole, those in the mix (`rare_seen`), those not in it "
        "(`rare_unseen`), `other`, `english`. Each is a comparison per mix and encoder.",
    )
    pairs: list[Literal["transfer", "untrained", "same skill", "same data", "few-shot", "translate-test"]] = Field(
        ["transfer"],
        description="Which (intermediate, target, language) count. `transfer` = zero-shot: the intermediate has no "
        "rows of the target's skill in the language; `same skill` = it has, of another task or in translation; "
        "`same data` = it has rows of the target's own task or training data; `untrained` = nothing is trained for the "
        "target, and the intermediate has no rows of its skill; `few-shot` = the target itself is trained in other "
        "languages than English; `translate-test` = the target's test data are translated into English.",
    )
    smallest: Annotated[Number, Field(ge=0)] = Field(
        1.0, description="The smallest difference that matters, in points: smaller ones count as equivalent."
    )

    def as_spec(self) -> dict[str, Any]:
        """The fields of `specs.summary.Question`."""
        values = self.model_dump()
        return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
