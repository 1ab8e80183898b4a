"""What takes an operator's place in a graph that is run for gradients.

Such a graph runs in train mode, where oneDNN keeps what its backward passes need. So what differs between the
modes is fixed to predict mode's way, and operators with wrong gradients on MXNet 1.9.1 get others. Each
function takes a node, which it may change, and returns what takes the place of its first output.
"""

from __future__ import annotations

from .graph import Entry, Node


def dropped(node: Node) -> Entry:
    return node.inputs[0]


def batch_norm(node: Node) -> Entry:
    if not node.training:  # else it asks for the batch's own statistics, as GluonCV's GroupNorm does
        node.attrs["use_global_stats"] = "True"
    return node, 0


def sync_batch_norm(node: Node) -> Entry:
    node.op = "BatchNorm"
    node.attrs = {name: node.attrs[name] for name in ("eps", "fix_gamma") if name in node.attrs}
    return batch_norm(node)


def batch_norm_relu(node: Node) -> Entry:
    # its own gradient is zero after a forward pass in predict mode
    node.op = "BatchNorm"
    return relu(Node("relu", f"{node.name}_relu", {}, [batch_norm(node)]))


def relu(node: Node) -> Entry:
    # relu is no oneDNN operator and takes ten times as long
    node.op, node.attrs = "Activation", {"act_type": "relu"}
    return node, 0


def leaky_relu(node: Node) -> Entry:
    if node.attrs.get("act_type") == "rrelu":
        # in predict mode its slope is the mean of the bounds
        slope = (
            float(node.attrs.get("lower_bound", 0.125)) + float(node.attrs.get("upper_bound", 0.334))
        ) / 2
        node.attrs = {"act_type": "leaky", "slope": repr(slope)}
    if node.attrs.get("act_type") == "selu":  # MXNet's own gradient is wrong below zero
        node.attrs = {"act_type": "elu", "slope": "1.6732632423543772"}
        return Node("_mul_scalar", f"{node.name}_scale", {"scalar": "1.0507009873554805"}, [(node, 0)]), 0
    return node, 0


def rnn(node: Node) -> Entry:
    node.attrs["p"] = "0"  # its dropout
    return node, 0


def box_decode(node: Node) -> Entry:
    # boxes get no gradient: MXNet's own is zero, or crashes the process
    return Node("BlockGrad", f"{node.name}_values", {}, [(node, 0)]), 0


FIRST_ONLY = (dropped, batch_norm, sync_batch_norm, batch_norm_relu, leaky_relu, box_decode)
"""Those for operators with several outputs, of which the others are lost."""
