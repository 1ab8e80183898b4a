"""The fixed images to look at: the set (`probe_set`), its sources (`sources`), its masks (`masks`), image files.

Masks come from arrays, functions, files and annotations, and follow the transform of the images (`following`).
Imports the ground (`archive`, `checks`) only; datasets and transforms are duck-typed, so MXNet is not imported.
"""
