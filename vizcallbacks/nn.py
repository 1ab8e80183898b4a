"""Drop-in layers, as the tutorial's: `Conv2D` and `Activation` of Gluon that can be told what to show."""

from .nets.layers import Activation, Conv2D

__all__ = ["Activation", "Conv2D"]
