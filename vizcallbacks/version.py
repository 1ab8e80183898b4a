"""The version, for the package, its metadata and the files it writes."""

__version__ = "0.2.0"
