"""The part of a net above one layer, for methods that change the layer's output and look at the score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..mxnet_door import autograd, mx
from .blocks import layout_of
from .compiled import CompiledNet
from .graph import INPUT, Entry, dependent
from .passes import Scored
from .planning import Segment, Wanted
from .tape import Forward


class Above(Scored):
    """Scores of the same targets on changed outputs of one layer; what is below the layer runs once.

    What goes round the layer, such as a shortcut, stays that of the images as they are.

    Parameters
    ----------
    run : Forward
        Of the images, with the layer among those asked for.
    place : int
        Which of ``run.ran`` is changed.
    choose : callable
        The net's outputs for the n images -> (n,) scores.
    batch_size : int
        Images per pass; changed batches share a pass as far as it and the graph allow.
    several : bool
        Whether the graph may be run on more images than those of the pass; a recorded graph may not.

    Raises
    ------
    ValueError
        If a function in Python is above the layer: its backward is known, but it cannot be run again.
    """

    def __init__(self, run: Forward, place: int, choose: Callable, batch_size: int, several: bool) -> None:
        compiled, inputs, taps = run.origin
        self._layer, entry = taps[place]
        self._graph = compiled.graph
        self._plan = compiled.plan([(self._layer, entry)], Wanted(image=False, guided=False))
        if not all(isinstance(step, Segment) for step in self._plan.steps):
            raise ValueError(
                f"a function in Python (autograd.Function) is between layer {self._layer.name!r} and the score, "
                "and it cannot be run on changed maps of the layer; name a layer above it, or another method"
            )
        count = len(inputs[0])
        groups = max(1, batch_size // count)
        self._training = compiled.in_training
        self._given = {**compiled.arrays(self._plan), **{f"{INPUT}{i}": one for i, one in enumerate(inputs)}}
        self._below: dict[Entry, Any] = compiled.given(self._plan)
        if self._plan.below is not None:
            found = self._called(self._plan.below, self._given, {})
            self._below.update(zip(self._plan.below.outputs, found if isinstance(found, list) else [found]))
        self._tap = self._plan.taps[0]
        self._names, self._entries = self._of_images(len(inputs))
        rows = [self._given[name] for name in self._names] + [self._below[one] for one in self._entries]
        if groups > 1 and not (
            several
            and all(one.ndim and len(one) == count for one in rows)
            and _takes(compiled, inputs, groups)
        ):
            groups = 1
        super().__init__(count, choose, groups)

    def _of_images(self, count: int) -> tuple[list[str], list[Entry]]:
        """The inputs, and what is computed below the layer and used above it, that have a row for each image."""
        names = [f"{INPUT}{number}" for number in range(count)]
        seen = {node for name in names for node in dependent(list(self._below), name)}
        return names, [entry for entry in self._below if entry[0] in seen]

    def _outputs(self, group: Sequence[np.ndarray]) -> Any:
        tapped = self._below[self._tap]
        axes = ["NCHW".index(letter) for letter in layout_of(self._layer)]
        changed = np.concatenate(group).transpose(axes)
        repeated = {name: _repeated(self._given[name], len(group)) for name in self._names}
        given = {**self._given, **repeated}
        values = {**self._below, **{one: _repeated(self._below[one], len(group)) for one in self._entries}}
        values[self._tap] = mx.nd.array(changed, ctx=tapped.ctx, dtype=tapped.dtype)
        for step in self._plan.steps:
            values[step.outputs[0]] = self._called(step, given, values)
        heads = [given[one[0].name] if one[0].is_variable else values[one] for one in self._plan.heads]
        return self._graph.regroup(heads)

    def _called(self, segment: Any, given: dict[str, Any], values: dict[Entry, Any]) -> Any:
        known = {
            **given,
            **{name: values[entry] for name, entry in segment.sources.items() if entry in values},
        }
        with autograd.pause(train_mode=self._training):
            return segment.run(*(known[name] for name in segment.variables))


def _repeated(array: Any, times: int) -> Any:
    return array if times == 1 else mx.nd.concat(*[array] * times, dim=0)


def _takes(compiled: CompiledNet, inputs: Sequence, times: int) -> bool:
    """Whether the graph runs on that many times the images."""
    try:
        return compiled.infers([_repeated(one, times) for one in inputs])
    except mx.MXNetError:
        return False
