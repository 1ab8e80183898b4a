"""Attention in a training on several workers, with MXNet's own key-value store.

On one machine, a scheduler, a server and two workers:

    export DMLC_PS_ROOT_URI=127.0.0.1 DMLC_PS_ROOT_PORT=9091 DMLC_NUM_SERVER=1 DMLC_NUM_WORKER=2
    export DMLC_INTERFACE=lo DMLC_NODE_HOST=127.0.0.1
    DMLC_ROLE=scheduler python -c "import vizcallbacks.mxnet_door" &
    DMLC_ROLE=server python -c "import vizcallbacks.mxnet_door" &
    DMLC_ROLE=worker python examples/distributed.py --shard-probes &
    DMLC_ROLE=worker python examples/distributed.py --shard-probes
    wait

On several machines, give DMLC_PS_ROOT_URI the scheduler's address, leave out the second line, and start a
process on each. Without --shard-probes, worker 0 takes all snapshots; with it, each worker takes snapshots of its
share of the probe images, in its own sub-run, which TensorBoard shows beside the others.
"""

import argparse

import vizcallbacks as vc
from vizcallbacks.demo import clever_hans
from vizcallbacks.mxnet_door import estimator, gluon, mx  # so that they work beside NumPy 1.24 and newer

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--logdir", default="runs/distributed")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--shard-probes", action="store_true")
options = parser.parse_args()
mx.random.seed(0)  # the same on all workers: before the first step each has its own first weights

# made here, not by the trainer from its name: the handler asks it for this worker's rank
store = mx.kv.create("dist_sync")

# each worker trains on pictures of its own, and all know the same validation pictures
train = clever_hans.pictures(512, "none", seed=1 + store.rank)
validation = clever_hans.pictures(100, "none", seed=100, split="validation")
train_data = gluon.data.DataLoader(
    gluon.data.ArrayDataset(train.images, train.labels.astype("float32")), batch_size=32, shuffle=True
)
net = clever_hans.network(seed=0)
net.hybridize(static_alloc=True)
probe = vc.ProbeSet(
    validation.images[:8],
    validation.labels[:8],
    pictures=validation.pictures[:8],
    class_names=[f"digit {digit}" for digit in range(10)],
)
trained = estimator.Estimator(
    net,
    gluon.loss.SoftmaxCrossEntropyLoss(),
    train_metrics=mx.metric.Accuracy(),
    trainer=gluon.Trainer(
        net.collect_params(), "sgd", {"learning_rate": 0.05, "momentum": 0.9}, kvstore=store
    ),
)
handler = vc.AttentionHandler(probe, options.logdir, shard_probes=options.shard_probes)
trained.fit(train_data, epochs=options.epochs, event_handlers=[handler])
print(f"To watch: tensorboard --logdir {options.logdir} --samples_per_plugin images=1000")
