"""What the maps explain: targets for segmentation, detection and several labels (see `explain`)."""

from .attribution.targets import detection, multi_label, segmentation

__all__ = ["detection", "multi_label", "segmentation"]
