"""What the maps explain: targets beside single classes, for `explain(targets=)`."""

from .attribution.target import Target
from .attribution.targets import contrast, detection, head, multi_label, segmentation

__all__ = ["Target", "contrast", "detection", "head", "multi_label", "segmentation"]
