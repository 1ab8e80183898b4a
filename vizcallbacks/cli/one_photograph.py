"""What ``vizcallbacks explain`` prints, draws and writes about each photograph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .. import archive
from ..attribution.methods import METHODS
from ..pictures.panels import edges_note, guided_note, header_of, panel, titled_maps
from ..pretrained.preprocessing import PretrainedModel
from .all_photographs import class_of, most_probable

SCHEMA = 1  # of the raw maps' files
PANEL_WIDTH = 952  # px: four crops of 224 side by side, each pixel as the net saw it


def heading(result: Any, model: PretrainedModel) -> list[str]:
    """Lines on what is the same for all photographs."""
    parts = [model.name]
    if result.layer is not None and any(METHODS[name].shape == "layer" for name in result.maps):
        parts.append(f"layer {result.layer!r}")
    if any("guided_gradient" in METHODS[name].needs for name in result.maps):
        parts.append("guided {} of {} ReLUs".format(*result.relus))
    note = edges_note(result.maps)
    return [", ".join(parts), *filter(None, [note]), *result.remarks]


def top_lines(result: Any, i: int) -> list[str]:
    if np.isnan(result.outputs[i]).any():
        return ["   the net's outputs are not numbers (NaN)"]
    if result.probabilities is None:
        return [f"   {_score(result, i)}"]
    return [f"   {p:.2f}  {class_of(result, number)}" for number, p in most_probable(result, i)]


def _score(result: Any, i: int) -> str:
    """What is printed about a net with one output, which has no classes."""
    return f"score {result.scores[i]:.4g}"


def asked_lines(result: Any, i: int, target: int | None) -> list[str]:
    """The class of --target with its probability, unless it is printed already."""
    if target is None or result.probabilities is None or result.predictions[i] < 0:
        return []
    if target in dict(most_probable(result, i)):
        return []
    return [f"   {result.probabilities[i, target]:.2f}  {class_of(result, target)}, asked for"]


def picture_of(result: Any, i: int, target: int | None) -> np.ndarray:
    """What the net saw, and its maps side by side."""
    predicted, probe = -1 if result.predictions is None else int(result.predictions[i]), result.probe
    is_other = target is not None and target != predicted and result.probabilities is not None
    header = header_of(
        probe,
        i,
        predicted,
        np.nan if result.confidence is None else float(result.confidence[i]),
        epoch=f"maps: {probe.class_name(target)} · {result.probabilities[i, target]:.2f}" if is_other else "",
        note=guided_note(result.maps, result.relus),
    )
    undefined = np.isnan(result.outputs[i]).any()
    unseen = "the outputs are not numbers (NaN)" if undefined else _score(result, i)
    header = replace(header, label="" if predicted >= 0 else unseen)
    maps = titled_maps({name: maps[i] for name, maps in result.maps.items()})
    return panel(probe.pictures[i], maps, header, PANEL_WIDTH)


def save_raw(result: Any, i: int, path: str, model: PretrainedModel, out: str) -> None:
    arrays = {
        **{name: maps[i] for name, maps in result.maps.items()},
        "picture": result.probe.pictures[i],
        "outputs": result.outputs[i],
        **({} if result.probabilities is None else {"probabilities": result.probabilities[i]}),
    }
    facts = {
        "photograph": path,
        "model": model.name,
        "layer": result.layer,
        "target": int(result.targets[i]),
        "prediction": -1 if result.predictions is None else int(result.predictions[i]),
        "class": class_of(result, int(result.targets[i])),
        "relus": list(result.relus),
        "methods": list(result.maps),
    }
    archive.write(out, "explanation", SCHEMA, arrays, facts)


def facts_of(result: Any, i: int, path: str, place: str, target: int | None, has_raw: bool) -> dict[str, Any]:
    """What is printed about a photograph, for programs. `place`: the path of its results without endings."""
    explained = None if result.targets is None else int(result.targets[i])
    known = result.probabilities is not None and result.predictions[i] >= 0
    names = result.probe.class_names

    def told(number: int, probability: float) -> dict[str, Any]:
        return {"class": number, "name": names[number] if names else None, "probability": probability}

    facts: dict[str, Any] = {
        "photograph": path,
        "picture": f"{place}.png",
        "raw": f"{place}.npz" if has_raw else None,
        "explained": explained,
        "score": float(result.scores[i]),
        "classes": [told(number, chance) for number, chance in most_probable(result, i)] if known else [],
    }
    if target is not None and known:
        facts["asked_for"] = told(target, float(result.probabilities[i, target]))
    return facts
