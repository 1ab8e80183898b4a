#!/bin/sh
# Attention after the training: a biased network is trained without being watched and saves a checkpoint an epoch;
# then its run is replayed, and the epoch found from which it looks at the tag.
#   sh examples/replay.sh [folder [epochs]]
# Needs the extra [demo]; takes about two minutes.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-runs/replay}
epochs=${2:-8}
mkdir -p "$folder"
cd "$folder"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

cat > demo_net.py <<'PYTHON'
"""The demo's network and its biased training, with MXNet's own checkpoints."""
import sys

from vizcallbacks.demo import clever_hans
from vizcallbacks.demo.run import probe_set


def build():
    return clever_hans.network()


def train(epochs):
    from mxnet import gluon
    from mxnet.gluon.contrib.estimator import CheckpointHandler, Estimator

    training = clever_hans.RUNS["biased"]
    net = clever_hans.network()
    estimator = Estimator(
        net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer=clever_hans.trainer(net, training)
    )
    estimator.fit(
        clever_hans.training_data(training),
        epochs=epochs,
        event_handlers=[CheckpointHandler("checkpoints", "biased", max_checkpoints=100)],
    )
    probe_set(60).save("probe.npz")


if __name__ == "__main__":
    train(int(sys.argv[1]))
PYTHON

${PYTHON:-python3} demo_net.py "$epochs"
ls checkpoints

# 1. the run's folder, as if the training had been watched
${PYTHON:-python3} -m vizcallbacks replay checkpoints --net demo_net:build --probe probe.npz --logdir run

# 2. the epoch from which its maps lie on the tag, of all that were replayed
${PYTHON:-python3} -m vizcallbacks check run --rule 'energy/tag <= 0.1' --first-bad --html report.html ||
    echo "exit code $?"

# 3. the same without a run: the first epoch whose maps lie on the tag, by explaining a few: three or four of eight
${PYTHON:-python3} -m vizcallbacks replay checkpoints --net demo_net:build --probe probe.npz --logdir bisection \
    --rule 'energy/tag <= 0.1' --first-bad || echo "exit code $?"
