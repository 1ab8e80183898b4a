"""What is told of the passes through a net: what guided walks covered, and what the net's own code wrote."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Coverage:
    """A net's activations, by what guided backpropagation makes of them.

    Attributes
    ----------
    guided, total : int
        ReLU-like activations that it rectifies, and all that ran.
    unguided : tuple of str
        Places of those that it cannot rectify.
    gates, smooth : int
        Activations that it leaves to their own derivative: sigmoids and hard sigmoids; ELU, SELU, GELU, tanh.
    """

    guided: int = 0
    total: int = 0
    unguided: tuple[str, ...] = ()
    gates: int = 0
    smooth: int = 0

    @property
    def relus(self) -> tuple[int, int]:
        """(guided, total)."""
        return self.guided, self.total

    @property
    def plain_activations(self) -> dict[str, int]:
        """Kind -> number of those that are left to their own derivative."""
        return {"gate": self.gates, "smooth": self.smooth}


@dataclass(frozen=True)
class Purity:
    """Whether the net's own code left everything as it was.

    Attributes
    ----------
    blocks : tuple of str
        Places of the blocks that wrote state in `forward`; it was put back.
    """

    blocks: tuple[str, ...] = ()

    @property
    def pure(self) -> bool:
        """Whether no block wrote state."""
        return not self.blocks

    def __add__(self, other: Purity) -> Purity:
        return Purity(tuple(dict.fromkeys((*self.blocks, *other.blocks))))
