"""Watching a training: *when* to look, where the results go, and how neither can hurt the training.

`monitor` walks the line for one snapshot; `handler` says when, for the Estimator. Only `handler`, `question` and
`workers` use MXNet.
"""
