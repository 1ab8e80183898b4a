"""The tests import MXNet by its own name, which works beside any NumPy once its door was gone through."""

import vizcallbacks.mxnet_door  # noqa: F401
