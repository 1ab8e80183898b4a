"""Attention in an Estimator fit: ``python examples/estimator.py``.

GluonCV's cifar_resnet20_v1 on handwritten digits pasted on photographs; under a minute on two cores.
"""

import argparse

import vizcallbacks as vc
from vizcallbacks.demo import clever_hans
from vizcallbacks.mxnet_door import (
    estimator,
    gluon,
    gluoncv_model_zoo,
    mx,
)  # so that they work beside NumPy 1.24 and newer

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--logdir", default="runs/estimator")
parser.add_argument("--epochs", type=int, default=3)
options = parser.parse_args()
mx.random.seed(0)

# 48 x 48 pictures of digits with masks of where the digit is
train = clever_hans.pictures(1024, "none", seed=1)
validation = clever_hans.pictures(200, "none", seed=2, split="validation")
train_data = gluon.data.DataLoader(
    gluon.data.ArrayDataset(train.images, train.labels.astype("float32")), batch_size=64, shuffle=True
)
validation_data = gluon.data.DataLoader(
    gluon.data.ArrayDataset(validation.images, validation.labels.astype("float32")), batch_size=64
)

net = gluoncv_model_zoo().get_model("cifar_resnet20_v1", classes=10)
net.initialize(mx.init.Xavier())
net.hybridize(static_alloc=True)

probe = vc.ProbeSet(
    validation.images[:8],
    validation.labels[:8],
    pictures=validation.pictures[:8],
    class_names=[f"digit {digit}" for digit in range(10)],
    masks={"object": validation.masks["object"][:8]},
)
trained = estimator.Estimator(
    net,
    gluon.loss.SoftmaxCrossEntropyLoss(),
    train_metrics=mx.metric.Accuracy(),
    trainer=gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.003}),
)
trained.fit(
    train_data,
    val_data=validation_data,
    epochs=options.epochs,
    event_handlers=[vc.AttentionHandler(probe, options.logdir)],
)
print(f"To watch: tensorboard --logdir {options.logdir} --samples_per_plugin images=1000")
