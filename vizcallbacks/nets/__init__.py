"""The way through a net: swap layers in, read the graph, run it forward and backward, put everything back.

May use MXNet (by `mxnet_door`). Takes and gives arrays and blocks; knows no methods, pictures or files.
"""
