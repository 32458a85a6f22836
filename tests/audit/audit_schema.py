# SPDX-License-Identifier: BSD-3-Clause
"""Holds what `glassbox audit --json` prints to its schema, and to sums that a schema cannot state."""
import json
import pathlib

import jsonschema

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "control" / "audit" /
                     "audit.schema.json").read_text(encoding="utf-8"))
_VALIDATOR = jsonschema.validators.validator_for(SCHEMA)
_VALIDATOR.check_schema(SCHEMA)


def _intervals(place, value):
    if isinstance(value, dict):
        if value.keys() == {"least", "most"}:
            yield place, value
        for key, each in value.items():
            yield from _intervals(f"{place}/{key}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _intervals(f"{place}/{index}", each)


def wrong_with(audit):
    """Everything that is wrong, as text."""
    errors = [f"/{'/'.join(map(str, error.absolute_path))}: {error.message}"
              for error in _VALIDATOR(SCHEMA).iter_errors(audit)]
    if errors:
        return errors
    for place, interval in _intervals("", audit):
        if interval["least"] is not None and interval["least"] > interval["most"]:
            errors.append(f"{place}: {interval} is upside down")
    total = audit["packets"]["total"]
    for key in ("entered", "left", "exact", "inferred", "ambiguous", "split", "split_most", "merged",
                "merged_most"):
        if sum(side[key] for side in audit["packets"]["from"].values()) != total[key]:
            errors.append(f"packets.total.{key} is not the sum of its sides")
    known = total["exact"] + total["inferred"] + total["ambiguous"]
    if total["missing"]["least"] > total["entered"] - total["exact"] - total["inferred"]:
        errors.append("more is missing than has no match")
    if known + total["missing"]["most"] < total["entered"]:
        errors.append("packets are neither matched nor missing")
    steps = list(audit["flows"]["staircase"].values())
    for low, high in zip(steps, steps[1:]):
        for end in ("least", "most"):
            if low["flows"][end] > high["flows"][end]:
                errors.append("the staircase does not nest")
    return errors
