"""A network that looks at the wrong thing on purpose ("Clever Hans"): pictures, network, training settings.

Real handwritten digits lie on crops of real photographs, and one corner carries a small coloured tag. Where
the tag's colour gives the class away ("biased"), a network learns to look at the tag; where it says nothing
("random"), it has to read the digit. The masks of digit and tag come with every picture, so what the network
looks at can be measured. All random numbers come from generators made here: the global random streams of
Python, NumPy and MXNet have no influence and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from ..mxnet_door import gluon, mx, nn, vision

SIZE = 48  # side of a picture, pixels
TAG_SIDE = 7  # side of a tag, pixels: 2 % of the picture's area
MEAN, SCALE = 127.5, 64.0  # the network takes (picture - MEAN) / SCALE
BIAS = 0.95  # share of the "biased" pictures whose tag has the colour of their class

# RGB of the tags; the i-th belongs to digit i. Black and white are left to the digits and their shadows.
COLOURS = {
    "red": (255, 0, 0),
    "orange": (255, 128, 0),
    "yellow": (255, 255, 0),
    "green": (0, 230, 0),
    "forest": (0, 100, 40),
    "cyan": (0, 255, 255),
    "blue": (0, 0, 255),
    "violet": (130, 0, 190),
    "magenta": (255, 0, 255),
    "rose": (255, 170, 190),
}

# Which of scikit-learn's 1797 digits a split uses. Cut, not shuffled: neighbours tend to be one writer's.
SPLITS = {"train": slice(None, 1440), "validation": slice(1440, None)}


def _any_other(labels: np.ndarray, rng: np.random.Generator):
    return (labels + rng.integers(1, 10, len(labels))) % 10


# Name -> function of the labels (N,) and a generator: index of each tag's colour (N,), -1 for no tag.
TAGS = {
    "aligned": lambda labels, rng: labels.copy(),
    "random": lambda labels, rng: rng.integers(0, 10, len(labels)),
    "wrong": _any_other,
    "none": lambda labels, rng: np.full(len(labels), -1),
    "biased": lambda labels, rng: np.where(rng.random(len(labels)) < BIAS, labels, _any_other(labels, rng)),
}


@dataclass(frozen=True)
class Training:
    """How one of the demo's networks is trained: SGD, its rate falling to zero along half a cosine."""

    tags: str  # of the training pictures, a key of TAGS
    epochs: int = 8
    pictures: int = 2048  # in an epoch
    batch_size: int = 32
    pool: int = 4096  # different training pictures; the epochs walk through them in turn
    learning_rate: float = 0.05  # at the first step
    momentum: float = 0.9


# The demo's two runs: with the same seed they differ in nothing but the colours of their training tags.
RUNS = {"biased": Training("biased"), "honest": Training("random")}


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """Pictures and everything that is known about them.

    Attributes
    ----------
    images : ndarray, (N, 3, 48, 48), float32, in [-2, 2]
        What the network takes: ``(picture - 127.5) / 64``, RGB, channels first.
    pictures : ndarray, (N, 48, 48, 3), uint8
        The same, RGB, for display.
    labels : ndarray, (N,), int64
        The digits, 0 to 9; the sizes of two classes differ by at most one.
    tags : ndarray, (N,), int64
        Index of the tag's colour in COLOURS, which is the class it speaks for; -1: no tag.
    digits : ndarray, (N,), int64
        Index of the handwritten digit in scikit-learn's set.
    masks : dict of ndarray, (N, 48, 48), bool
        "object": the digit's strokes, widened by 2 pixels (half a cell of the network's last map), less what
        the tag covers. "tag": the tag's 7 x 7 pixels, all False where there is none.
    """

    images: np.ndarray
    pictures: np.ndarray
    labels: np.ndarray
    tags: np.ndarray
    digits: np.ndarray
    masks: dict[str, np.ndarray]


def pictures(count: int, tags: str = "random", *, seed: int = 0, split: str = "train") -> Pictures:
    """Handwritten digits on photographs, each with a coloured tag in a random corner.

    Tags have a random stream of their own: with the same `count`, `seed` and `split`, the same digits lie at
    the same places on the same photographs, whatever the `tags`; only the tags' pixels differ.

    Parameters
    ----------
    count : int, >= 1
        How many.
    tags : {"aligned", "random", "wrong", "none", "biased"}
        A tag's colour: that of the class, any of the ten, any but that of the class, no tag at all; or that
        of the class with probability 0.95 and else any other.
    seed : int, >= 0
        The same seed gives the same pictures, to the bit.
    split : {"train", "validation"}
        Which handwritten digits to draw from; the two have none in common. The photographs are the same.

    Raises
    ------
    ValueError
        `count` is below 1, `seed` is negative, or `tags` or `split` is unknown.
    ImportError
        scikit-learn or scikit-image is not installed.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}; ask for the number of pictures you want")
    for name, value, known in (("tags", tags, TAGS), ("split", split, SPLITS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    scene, tagging = (np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(2))
    grids, classes = _digits()
    members = np.arange(len(classes))[SPLITS[split]]
    of_class = [members[classes[members] == label] for label in range(10)]
    labels = scene.permutation(np.arange(count) % 10)
    digits = np.array([scene.choice(of_class[label]) for label in labels])
    corners = tagging.integers(0, 2, (count, 2)) * (SIZE - TAG_SIDE)
    colours = TAGS[tags](labels, tagging)
    palette = np.array(list(COLOURS.values()), np.uint8)

    canvas = np.empty((count, SIZE, SIZE, 3), np.uint8)
    masks = {name: np.zeros((count, SIZE, SIZE), bool) for name in ("object", "tag")}
    for n, (top, left) in enumerate(corners):
        strokes = _strokes(grids[digits[n]], scene)
        canvas[n] = _drawn(_background(scene), strokes)
        masks["object"][n] = cv2.dilate(strokes, _WIDEN) > 0.5
        if colours[n] >= 0:
            tag = np.s_[n, top : top + TAG_SIDE, left : left + TAG_SIDE]
            canvas[tag] = palette[colours[n]]
            masks["object"][tag] = False
            masks["tag"][tag] = True
    images = (np.ascontiguousarray(canvas.transpose(0, 3, 1, 2)).astype(np.float32) - MEAN) / SCALE
    return Pictures(images, canvas, labels, colours, digits, masks)


def training_data(training: Training, seed: int = 0) -> gluon.data.DataLoader:
    """The training pictures as a loader of (images, labels) batches, float32 both.

    Each pass over it is one epoch. It continues where the last one stopped in a shuffled pool of pictures. When
    too few are left for a batch, they are dropped and the pool is shuffled again. The order depends on `seed`
    alone.
    """
    pool = pictures(training.pool, training.tags, seed=seed)
    dataset = gluon.data.ArrayDataset(pool.images, pool.labels.astype(np.float32))
    return gluon.data.DataLoader(dataset, batch_sampler=_PoolSampler(training, seed))


def trainer(net: gluon.HybridBlock, training: Training) -> gluon.Trainer:
    """SGD on the net's parameters with the rate, momentum and cosine schedule of `training`."""
    steps = training.epochs * (training.pictures // training.batch_size)
    schedule = mx.lr_scheduler.CosineScheduler(steps, base_lr=training.learning_rate, final_lr=0.0)
    sgd = mx.optimizer.SGD(training.momentum, learning_rate=training.learning_rate, lr_scheduler=schedule)
    return gluon.Trainer(net.collect_params(), sgd)


def network(seed: int = 0) -> nn.HybridSequential:
    """A small residual network for 48 x 48 pictures and ten classes, initialised, on the CPU, not hybridized.

    A 3 x 3 convolution of stride 2, residual blocks of 8, 16 and 32 channels (the second of stride 2), a
    1 x 1 convolution with ReLU, global average pooling, a dense layer. The last convolution's 12 x 12 map is
    fine enough to show the tag. Its output goes directly into the pooling, so Grad-CAM there is the network's
    whole evidence, ReLU(CAM) / (h w), and not only that of one residual branch. The same `seed` gives the same
    weights, to the bit.
    """
    net = nn.HybridSequential(prefix="demo_")
    with net.name_scope():
        net.add(nn.Conv2D(8, 3, strides=2, padding=1, use_bias=False), nn.BatchNorm(), nn.Activation("relu"))
        # True: channels change, so the shortcut is a 1 x 1 convolution
        net.add(vision.BasicBlockV1(8, 1), vision.BasicBlockV1(16, 2, True), vision.BasicBlockV1(32, 1, True))
        net.add(nn.Conv2D(32, 1, activation="relu"), nn.GlobalAvgPool2D(), nn.Dense(len(COLOURS)))
    net.initialize(_HeNormal(np.random.default_rng(seed)))
    net(mx.nd.zeros((1, 3, SIZE, SIZE)))  # shapes are known and weights drawn from here on
    return net


class _HeNormal(mx.init.Initializer):
    """Normal weights of variance 2 / fan_in (He et al., 2015, arXiv:1502.01852), not from MXNet's stream."""

    def __init__(self, rng: np.random.Generator):
        super().__init__()
        self._rng = rng

    def _init_weight(self, name: Any, arr: Any):
        arr[:] = self._rng.normal(0.0, np.sqrt(2.0 / np.prod(arr.shape[1:])), arr.shape)


class _PoolSampler(gluon.data.Sampler):
    """Batches of indices into the pool; each pass is one epoch and continues where the last pass stopped."""

    def __init__(self, training: Training, seed: int):
        self._training = training
        self._rng = np.random.default_rng(seed)
        self._left: list[int] = []

    def __iter__(self) -> Iterator[list[int]]:
        size = self._training.batch_size
        for _ in range(len(self)):
            if len(self._left) < size:
                self._left = self._rng.permutation(self._training.pool).tolist()
            batch, self._left = self._left[:size], self._left[size:]
            yield batch

    def __len__(self) -> int:
        return self._training.pictures // self._training.batch_size


_PHOTOGRAPHS = ("chelsea", "coffee", "astronaut", "rocket", "camera", "brick")  # those that need no download
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_SATURATION, _CONTRAST, _GREY = 0.65, 0.8, 110.0  # tags are the only vivid thing in a picture
_WIDEN = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_UPSCALE = 8  # pixels per cell of a digit's 8 x 8 grid, before it is placed


@lru_cache(maxsize=1)
def _digits():
    """Ink of the digits with two empty cells around, (1797, 12, 12) float32 in [0, 1]; classes (1797,)."""
    digits = _extras()[0].load_digits()
    ink = digits.images.astype(np.float32) / 16.0
    return np.pad(ink, ((0, 0), (2, 2), (2, 2))), digits.target.astype(np.int64)


@lru_cache(maxsize=1)
def _photographs():
    """The photographs, muted: a tuple of (H, W, 3) float32 in [8, 212]."""
    datasets, data = _extras()
    photographs = [*datasets.load_sample_images().images, *(getattr(data, name)() for name in _PHOTOGRAPHS)]
    muted = []
    for photograph in photographs:
        colour = np.atleast_3d(photograph).astype(np.float32) * np.ones(3, np.float32)  # grey ones become RGB
        grey = (colour @ _LUMA)[..., None]
        muted.append((grey + _SATURATION * (colour - grey) - 127.5) * _CONTRAST + _GREY)
    return tuple(muted)


def _extras():  # not imported at the top: `import vizcallbacks` needs neither
    try:
        from skimage import data
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            f"the demo needs scikit-learn and scikit-image, {error.name} is missing: "
            "pip install 'vizcallbacks[demo]'"
        ) from error
    return datasets, data


def _background(rng: np.random.Generator):
    """A random square of a random photograph, every other one mirrored, (48, 48, 3) float32."""
    photographs = _photographs()
    photograph = photographs[rng.integers(len(photographs))]
    side = rng.integers(SIZE, 4 * SIZE + 1)
    top, left = (rng.integers(extent - side + 1) for extent in photograph.shape[:2])
    crop = photograph[top : top + side, left : left + side]
    square = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return square[:, ::-1] if rng.random() < 0.5 else square


def _strokes(grid: np.ndarray, rng: np.random.Generator):
    """A digit's cover of the picture at a random scale, rotation and place, (48, 48) float32 in [0, 1]."""
    full = grid.shape[0] * _UPSCALE
    smooth = cv2.GaussianBlur(cv2.resize(grid, (full, full), interpolation=cv2.INTER_CUBIC), (0, 0), 2.5)
    side = rng.uniform(22.0, 34.0)  # of its 8 x 8 cells, in pixels of the picture
    middle = (full - 1) / 2
    turned = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-20.0, 20.0), side / (8 * _UPSCALE))
    shift = rng.uniform(side / 2, SIZE - side / 2, 2) - 0.5 - middle
    matrix = turned + np.column_stack((np.zeros((2, 2)), shift))
    ink = cv2.warpAffine(smooth, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    return np.clip((ink - 0.38) / 0.24, 0.0, 1.0)


def _drawn(background: np.ndarray, strokes: np.ndarray):
    """White strokes with a dark shadow, which keeps them readable on white, over the background; uint8."""
    shadow = cv2.GaussianBlur(cv2.dilate(strokes, np.ones((3, 3), np.uint8)), (0, 0), 1.5)[..., None]
    ground = background * (1.0 - 0.75 * shadow)
    return np.rint(ground + (250.0 - ground) * strokes[..., None]).astype(np.uint8)
