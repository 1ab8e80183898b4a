"""Attention in your own training loop: ``python examples/training_loop.py``.

Handwritten digits (scikit-learn), a small net, a plain Gluon loop; under a minute on two cores.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import vizcallbacks as vc
from vizcallbacks.mxnet_door import autograd, gluon, mx, nn  # so that they work beside NumPy 1.24 and newer

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--logdir", default="runs/training_loop")
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()
mx.random.seed(0)
np.random.seed(0)

# 8 x 8 digits in 0 .. 16, enlarged to 32 x 32; the last 297 are for validation
digits = load_digits()
images = np.repeat(np.repeat(digits.images, 4, axis=1), 4, axis=2)[:, None].astype("float32") / 16
labels = digits.target.astype("float32")
train_set = gluon.data.ArrayDataset(images[:1500], labels[:1500])
validation_set = gluon.data.ArrayDataset(images[1500:], labels[1500:])

net = nn.HybridSequential()
net.add(
    nn.Conv2D(16, 3, padding=1, activation="relu"),
    nn.MaxPool2D(2),
    nn.Conv2D(32, 3, padding=1),
    nn.BatchNorm(),
    nn.Activation("relu"),
    nn.Conv2D(32, 3, padding=1, activation="relu"),
    nn.GlobalAvgPool2D(),
    nn.Dense(10),
)
net.initialize(mx.init.Xavier())
net.hybridize()
trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.005})
loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
loader = gluon.data.DataLoader(train_set, batch_size=50, shuffle=True)

# one validation image of each digit, the same at every snapshot
probe = vc.ProbeSet.from_dataset(validation_set, per_class=1)

with vc.AttentionMonitor(probe, options.logdir) as monitor:
    monitor.snapshot(net, step=0)
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for data, label in loader:
            with autograd.record():
                loss = loss_of(net(data), label)
            loss.backward()
            trainer.step(len(data))
            total += loss.sum().asscalar()
        snapshot = monitor.snapshot(net, step=epoch)
        right = (snapshot.predictions == probe.labels).mean()
        print(f"epoch {epoch}: loss {total / len(train_set):.3f}, probe images right {right:.2f}")

print(f"To watch: tensorboard --logdir {options.logdir} --samples_per_plugin images=1000")
