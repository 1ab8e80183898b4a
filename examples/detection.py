"""A GluonCV SSD, trained for two epochs and watched.  python examples/detection.py [run folder]

In training, SSD returns scores, offsets and anchors; in use, class numbers, scores and boxes. The probe images are
explained as in use. The target is the score of the detection that the net is most certain of.

Such a score depends on few cells of the layer, so the maps are LayerCAM's, which weighs each cell by its own
gradient; Grad-CAM averages the gradients over all cells. In two trainings, the share of the map in the boxes was
0 % before, 34 and 42 % after one epoch, 54 and 56 % after two. The boxes are 10 % of the area.

The pictures are made here, so that nothing is downloaded. For your own data, use `VOCDetection` or `COCODetection`
instead of `Shapes`. It takes two minutes on two cores.
"""

import argparse

from vizcallbacks.mxnet_door import (
    autograd,
    gluon,
    mx,
)  # first: so that they work beside NumPy 1.24 and newer
import numpy as np
from gluoncv.data.batchify import Stack, Tuple
from gluoncv.data.transforms.presets.ssd import SSDDefaultTrainTransform, SSDDefaultValTransform
from gluoncv.loss import SSDMultiBoxLoss
from gluoncv.model_zoo import get_model

import vizcallbacks as vc

CLASSES = ("disc", "square")
SIZE, BATCH = 128, 8


class Shapes(gluon.data.Dataset):
    """Discs and squares: images (H, W, 3) uint8, and boxes (1, 6) as GluonCV's `VOCDetection` has them."""

    def __init__(self, count, seed):
        self._count, self._seed = count, seed

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        random = np.random.default_rng([self._seed, index])
        picture = random.integers(60, 140, (SIZE, SIZE, 3)).astype(np.uint8)
        label, side = index % 2, int(random.integers(32, 64))
        left, top = random.integers(0, SIZE - side, 2)
        y, x = np.mgrid[:side, :side] - (side - 1) / 2
        inside = x**2 + y**2 < (side / 2) ** 2 if label == 0 else np.ones((side, side), bool)
        picture[top : top + side, left : left + side][inside] = random.integers(170, 255, 3)
        box = [left, top, left + side - 1, top + side - 1, label, 0]
        return mx.nd.array(picture, dtype="uint8"), np.array([box], np.float32)


def main(run, pictures, epochs):
    mx.random.seed(0)
    np.random.seed(0)  # the training's augmentation
    net = get_model("ssd_512_mobilenet1.0_custom", classes=CLASSES, pretrained_base=False)
    for names, how in (
        ("weight", mx.init.Xavier()),
        ("gamma|var", mx.init.One()),
        ("bias|beta|mean|anchor", mx.init.Zero()),
    ):
        net.collect_params(f".*({names})").initialize(how)

    # the validation preset moves boxes and pictures; the masks follow it
    probe = vc.ProbeSet.from_dataset(
        Shapes(40, seed=1),
        per_class=4,
        transform=SSDDefaultValTransform(SIZE, SIZE),
        masks="label",
        class_names=CLASSES,
    )
    print(probe.describe())

    with autograd.train_mode():  # SSD tells its anchors in training only
        _, _, anchors = net(mx.nd.zeros((1, 3, SIZE, SIZE)))
    batchify = Tuple(Stack(), Stack(), Stack())
    data = gluon.data.DataLoader(
        Shapes(pictures, seed=0).transform(SSDDefaultTrainTransform(SIZE, SIZE, anchors)),
        BATCH,
        shuffle=True,
        batchify_fn=batchify,
        last_batch="discard",
    )
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 1e-3})
    loss = SSDMultiBoxLoss()

    # most detections go through this layer; the default is the last one, which sees the largest objects only
    layer = f"features.{net.prefix}mobilenet0_conv22"
    with vc.AttentionMonitor(
        probe,
        run,
        methods=("layer_cam", "grad_cam", "guided_grad_cam"),
        layer=layer,
        targets=vc.targets.detection(),
        batch_size=4,
    ) as monitor:
        monitor.snapshot(net, step=0)
        for epoch in range(1, epochs + 1):
            # as in GluonCV's scripts: the graph is made anew, since it holds what SSD returns in one of the modes
            net.hybridize()
            total = 0.0
            for batch in data:
                images, classes, boxes = (
                    array.as_in_context(mx.cpu()) for array in batch
                )  # from shared memory
                with autograd.record():
                    scores, offsets, _ = net(images)
                    sums, _, _ = loss(scores, offsets, classes, boxes)
                autograd.backward(sums)
                trainer.step(1)
                total += float(sum(value.sum().asscalar() for value in sums))
            net.hybridize()
            taken = monitor.snapshot(net, step=epoch)
            energy = np.nanmean(taken.measures["energy/object"])
            print(f"epoch {epoch}: loss {total / len(data):.2f}, {energy:.0%} of LayerCAM in the boxes")
    area = probe.masks["object"].mean()
    print(f"the boxes are {area:.0%} of the pictures; to look: tensorboard --logdir {run}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("run", nargs="?", default="runs/ssd", help="the run's folder (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=768, help="of an epoch (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="(default: %(default)s)")
    options = parser.parse_args()
    main(options.run, options.pictures, options.epochs)
