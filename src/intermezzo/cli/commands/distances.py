"""The command that writes distances between languages from URIEL+, for `languages.distances`."""

from __future__ import annotations

import logging
from argparse import Namespace
from itertools import combinations

from intermezzo.core.artifacts import write_text
from intermezzo.core.errors import UserError
from intermezzo.languages import distances

INSTALL = "pip install 'intermezzo[typology]'"


def write_distances(options: Namespace) -> None:
    """Write the distances between the languages of an experiment, of those that URIEL+ has features of.

    Raises UserError where URIEL+ is not installed, and where it knows less than two of the languages.
    """
    from intermezzo.config import catalogue, load
    from intermezzo.dag.experiment import Grid
    from intermezzo.dag.specs import Specs
    from intermezzo.specs.summary import SummarySpec

    config = load(*options.overlays)
    if config.data.source == "world":
        raise UserError("data.source: the world's languages are in no database; name a configuration of real languages")
    try:
        from urielplus.urielplus import URIELPlus
    except ImportError:
        raise UserError(f"URIEL+ is not installed; {INSTALL}") from None
    logging.getLogger().setLevel(logging.WARNING)  # it logs each distance
    database = URIELPlus()
    known = {*map(str, database.get_languages_with_distance_data(options.kind))}
    design = SummarySpec.read(Specs(Grid(config)).spec_summary())
    used = {code for target in design.targets.values() for code in target.languages}
    used |= {code for entry in design.intermediates.values() for mix in entry.mixes.values() for code in mix}
    entries = catalogue.described(config, sorted(used)).values()
    codes = {entry.code: entry.iso639_3 for entry in entries if entry.iso639_3 in known}
    values: distances.Distances = {}
    for code, other in combinations(sorted(codes), 2):
        if codes[code] == codes[other]:  # two scripts of a language
            values[code, other] = 0.0
            continue
        try:
            values[code, other] = float(database.new_distance(options.kind, codes[code], codes[other]))
        except ValueError:  # no feature is known of both
            continue
    if not values:
        raise UserError(f"URIEL+ has no {options.kind} features of two of the languages; try another --kind")
    write_text(options.out, distances.text(values, f"{options.kind} distances of URIEL+"))
    missing = [entry.code for entry in entries if entry.code not in codes]
    print(f"{options.out}: {len(values)} distances of {len(codes)} languages; set languages.distances: {options.out}")
    if missing:
        print(f"not in URIEL+: {', '.join(missing)}")
