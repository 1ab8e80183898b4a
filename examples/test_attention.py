"""Attention in CI: copy this file into your tests, and put your own network and pictures into its two fixtures.

- ``pip install vizcallbacks[demo] pytest``
- ``pytest test_attention.py``: the first run writes the baselines beside this file and fails. Commit them.
- From then on it fails when the network starts to look elsewhere, with a report and a picture.
- ``pytest --accept-attention`` if the change is intended: rewrites the baselines that fail, for review.
"""

from dataclasses import replace

import pytest

import vizcallbacks as vc
from vizcallbacks.demo import clever_hans
from vizcallbacks.mxnet_door import autograd, gluon  # so that they work beside NumPy 1.24 and newer


@pytest.fixture(scope="module")
def net():
    """Your trained network, such as ``net.load_parameters("trained.params")``. Here: some seconds of training."""
    training = replace(clever_hans.RUNS["honest"], epochs=2, pictures=1024, pool=1024)
    net = clever_hans.network(seed=0)
    net.hybridize()
    trainer, loss_of = clever_hans.trainer(net, training), gluon.loss.SoftmaxCrossEntropyLoss()
    data = clever_hans.training_data(training, seed=0)
    for _ in range(training.epochs):
        for images, labels in data:
            with autograd.record():
                loss = loss_of(net(images), labels)
            loss.backward()
            trainer.step(len(images))
    return net


@pytest.fixture(scope="module")
def probe():
    """Your validation pictures, the same in every run. Masks are worth the effort, but may be left out."""
    found = clever_hans.pictures(100, "random", seed=1, split="validation")
    return vc.ProbeSet(found.images, found.labels, pictures=found.pictures, masks=found.masks)


def test_the_network_looks_where_it_looked_before(attention_regression, net, probe):
    attention_regression.check(net, probe)


def test_the_network_looks_at_the_object_and_not_at_the_tag(attention_regression, net, probe):
    rules = {"energy/object": ">= 0.2", "energy/tag": ["<= 0.1", "<= 0.3 for 90%"], "dead": "<= 0.1"}
    attention_regression.check(net, probe, rules=rules)
