"""EfficientNet-Lite, which neither Gluon's model zoo nor GluonCV has: the network, and torch's names for its
weights.

EfficientNet (Tan and Le, 2019, arXiv:1905.11946) without squeeze-excitation and with ReLU6 in place of swish, as
TensorFlow published it for small devices and others ported it to torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..mxnet_door import gluon, nn

LITE0 = (
    # blocks, kernel, stride of the first, expansion, channels in, channels out
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
"""The stages of EfficientNet-Lite0 between the stem (32 channels, stride 2) and the head (1280 channels)."""

_HEAD = 1280
_EPSILON = 1e-3  # of every BatchNorm; Gluon's own default is 1e-5


class EfficientNetLite(nn.HybridBlock):
    """The network: ``features``, down to the pooled head, and ``output``, a dense layer, as in Gluon's model zoo.

    It takes (N, 3, H, W) float32, H and W multiples of 32 (224 in training), and returns (N, classes) scores
    before the softmax. ``features.17.conv`` is the head's convolution, which Grad-CAM takes by default: its map
    is (H/32, W/32).

    Parameters
    ----------
    stages : tuple of tuples
        As LITE0.
    classes : int
    """

    def __init__(
        self, stages: tuple[tuple[int, ...], ...] = LITE0, classes: int = 1000, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(ConvUnit(3, stages[0][4], 3, 2))
            for blocks, kernel, stride, expansion, first, channels in stages:
                for number in range(blocks):
                    into = channels if number else first
                    self.features.add(MBConv(into, channels, kernel, 1 if number else stride, expansion))
            self.features.add(ConvUnit(stages[-1][5], _HEAD, 1), nn.GlobalAvgPool2D(), nn.Flatten())
            self.features.add(nn.Dropout(0.2))
            self.output = nn.Dense(classes, in_units=_HEAD)

    def hybrid_forward(self, F: Any, x: Any):
        return self.output(self.features(x))


class MBConv(nn.HybridBlock):
    """Widen by a 1 x 1 convolution, convolve each channel by itself, narrow; no activation after the narrowing.

    The input is added where it has the output's shape. (N, C, h, w) -> (N, channels, h / stride, w / stride).
    """

    def __init__(
        self, into: int, channels: int, kernel: int, stride: int, expansion: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        wide = into * expansion
        self._adds = stride == 1 and into == channels
        with self.name_scope():
            self.expand = ConvUnit(into, wide, 1) if expansion > 1 else None
            self.depthwise = ConvUnit(wide, wide, kernel, stride, groups=wide)
            self.project = ConvUnit(wide, channels, 1, activation=False)

    def hybrid_forward(self, F: Any, x: Any):
        wide = x if self.expand is None else self.expand(x)
        narrow = self.project(self.depthwise(wide))
        return x + narrow if self._adds else narrow


class ConvUnit(nn.HybridBlock):
    """Convolution without bias, BatchNorm, ReLU6 unless `activation` is False.

    TensorFlow's padding "SAME": with stride 2 an even side gets kernel - 2 pixels in all, the odd one *behind*,
    (0, 1) for 3 and (1, 2) for 5. MXNet's convolution pads both sides alike, so the padding is an operator of
    its own.
    """

    def __init__(
        self,
        into: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        before = (kernel - stride) // 2
        self._pad = (0, 0, 0, 0, *(before, kernel - stride - before) * 2) if stride > 1 else None
        self._activation = activation
        around = 0 if stride > 1 else kernel // 2
        with self.name_scope():
            self.conv = nn.Conv2D(
                channels, kernel, stride, around, groups=groups, use_bias=False, in_channels=into
            )
            self.norm = nn.BatchNorm(epsilon=_EPSILON, in_channels=channels)

    def hybrid_forward(self, F: Any, x: Any):
        if self._pad is not None:
            x = F.pad(x, mode="constant", pad_width=self._pad, constant_value=0)
        x = self.norm(self.conv(x))
        return F.clip(x, 0, 6) if self._activation else x


def torch_names(net: EfficientNetLite) -> dict[str, gluon.Parameter]:
    """The parameters of `net` by their names in torch's port (lukemelas' EfficientNet-PyTorch)."""
    *blocks, head, _, _, _ = list(net.features)[1:]
    names = dict(_unit_names(net.features[0], "_conv_stem", "_bn0"))
    for number, block in enumerate(blocks):
        units = ("expand", "_expand_conv"), ("depthwise", "_depthwise_conv"), ("project", "_project_conv")
        for place, (unit, conv) in enumerate(units):
            if getattr(block, unit) is not None:
                at = f"_blocks.{number}."
                names.update(_unit_names(getattr(block, unit), at + conv, f"{at}_bn{place}"))
    names.update(_unit_names(head, "_conv_head", "_bn1"))
    return {**names, "_fc.weight": net.output.weight, "_fc.bias": net.output.bias}


def _unit_names(unit: ConvUnit, conv: str, norm: str) -> Iterator[tuple[str, gluon.Parameter]]:
    yield f"{conv}.weight", unit.conv.weight
    yield f"{norm}.weight", unit.norm.gamma
    yield f"{norm}.bias", unit.norm.beta
    yield f"{norm}.running_mean", unit.norm.running_mean
    yield f"{norm}.running_var", unit.norm.running_var
