"""A net and one batch of images, for methods that run the net more than once.

`Passes` runs all of the net, on changed images; `vizcallbacks.nets.above.Above` the part above a layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from tqdm import tqdm

from ..mxnet_door import autograd, mx
from .nested import rows_of
from .runner import Runner
from .tape import Forward


class Scored(ABC):
    """Scores of the same targets on one changed batch after another.

    Parameters
    ----------
    count : int
        n, the images of a batch.
    choose : callable
        The net's outputs for the n images -> (n,) scores.
    together : int
        Batches per pass.
    """

    def __init__(self, count: int, choose: Callable, together: int) -> None:
        self._count, self._choose, self._together = count, choose, together

    def scores(self, batches: Iterable[np.ndarray], count: int, title: str) -> np.ndarray:
        """The targets' scores on `count` batches, (count, n), in the net's own precision.

        Parameters
        ----------
        batches : iterable of ndarray, (n, ...), float32
            Changed images, or maps of a layer, each in the place of its original.
        title : str
            Of the progress bar that a terminal shows when it takes longer than two seconds.
        """
        found = []
        for group in self._grouped(batches, count, title):
            outputs = self._outputs(group)
            with autograd.pause(train_mode=False):
                found.append(self._score(outputs, len(group)).asnumpy())
        return np.concatenate(found).reshape(-1, self._count)

    @abstractmethod
    def _outputs(self, group: list[np.ndarray]) -> Any:
        """What the net returns for batches in a row."""

    def _grouped(self, batches: Iterable[np.ndarray], count: int, title: str) -> Iterator[list[np.ndarray]]:
        one_by_one = iter(batches)
        with progress(count, title) as bar:
            while group := list(islice(one_by_one, self._together)):
                yield group
                bar.update(len(group))

    def _score(self, outputs: Any, groups: int):
        """Scores of all groups in a row; each is scored as the batch it stands for."""
        count = self._count
        parts = [rows_of(outputs, slice(i * count, (i + 1) * count)) for i in range(groups)]
        scores = [self._choose(part).as_nd_ndarray() for part in parts]
        return mx.nd.concat(*scores, dim=0)


class Passes(Scored):
    """Scores and gradients of the same targets on changed images.

    Parameters
    ----------
    runner : Runner
        Of the net.
    images : ndarray, (n, C, H, W), float32
    to_net : callable
        Array of images -> NDArray as the net takes it.
    extra : list of NDArray
        What else the net takes, n each.
    choose : callable
        The net's outputs for the n images -> (n,) scores.
    batch_size : int
        Images per pass; changed batches share a pass as far as it allows.
    """

    def __init__(
        self,
        runner: Runner,
        images: np.ndarray,
        to_net: Callable,
        extra: list,
        choose: Callable,
        batch_size: int,
    ) -> None:
        super().__init__(len(images), choose, max(1, batch_size // len(images)))
        self.images = images
        self._runner, self._to_net, self._extra = runner, to_net, extra

    def gradients(
        self, batches: Iterable[np.ndarray], count: int, title: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each of `count` batches the scores, (n,), and their gradient, (n, C, H, W), float32.

        Parameters are those of `scores`.
        """
        for group in self._grouped(batches, count, title):
            run = self._forward(group)
            with autograd.record(train_mode=False):
                score = self._score(run.outputs, len(group))
            run.tape.close(score)
            (gradient,) = run.tape.walk([run.images], last=True)
            shape = (len(group), *self.images.shape)
            values = score.asnumpy().astype(np.float32).reshape(shape[:2])
            yield from zip(values, gradient.astype(np.float32).reshape(shape))

    def _outputs(self, group: list[np.ndarray]) -> Any:
        return self._forward(group, record=False).outputs

    def _forward(self, group: list[np.ndarray], record: bool = True) -> Forward:
        extra = [mx.nd.concat(*[array] * len(group), dim=0) for array in self._extra]
        images = self._to_net(np.concatenate(group))
        return self._runner.forward(images, [], extra, record=record, guided=False)


def progress(count: int, title: str) -> tqdm:
    """The bar of `count` passes that a terminal shows when they take longer than two seconds."""
    return tqdm(total=count, desc=title, unit="pass", disable=None, leave=False, delay=2)
