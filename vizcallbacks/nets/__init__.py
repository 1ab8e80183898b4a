"""The way through a net: swap layers in, read its graph, run it forward and backward, put everything back.

`blocks` (what a net is made of) -> `instrument` (swap, restore) -> `runner` (which way): `tracing` a net's
symbols, or the `record` of one `untouched` run that the `recorder` watches by `watching` MXNet's calls, with
`purity` putting back what the net writes. Both give one `graph`. What is known of operators stands in one table,
`operators`, with `replacements` and `reach`; `folding` makes the graph right and cheap to differentiate,
`planning` cuts it into segments and what is run `by_hand` between them, `compiled` runs these, on as many images
`together` as is cheap, `tape` walks their `pieces` backwards by what has `arrived`, `checking` holds what comes
out to the net's own outputs. What may outlive a call is `kept`, as long as the net's `fingerprint` is
the same.

May use MXNet (by `mxnet_door`). Takes and gives arrays and blocks; knows no methods, pictures or files.
"""
