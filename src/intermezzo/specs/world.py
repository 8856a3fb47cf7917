"""Settings of the embedded world, as docs/world.md describes them."""

from __future__ import annotations

from intermezzo.specs.base import Positive, Seed, Share, Spec


class WorldSettings(Spec):
    """Which world it is, and how much its languages share (`world` of the configuration)."""

    seed: Seed
    loanwords: Share
    names_shared: bool
    code_mixed_documents: Share
    code_mixed_words: Share
    documents_scale: Positive
    translation_noise: Share
