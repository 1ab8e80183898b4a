"""Mutations of a torch file, each read: ``python -m tests.pretrained.fuzz_torch_file FILE COUNT [SEED]``.

What is read must lie within the file's bytes: every number is summed, and a sum beyond them crashes. Runs with
2 GB of memory, so that a file which asks for more is seen.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from vizcallbacks.pretrained.torch_file import read_state_dict

EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF)


def mutated(data: bytes, draw: np.random.Generator) -> bytes:
    """One or two changes: of a byte, of a number of 4 or 8 bytes; pieces left out, doubled or moved."""
    for _ in range(draw.integers(1, 3)):
        kind, at = draw.integers(6), int(draw.integers(len(data) + 1))
        to, length = int(draw.integers(len(data) + 1)), int(draw.integers(1, 17))
        if kind == 0:
            data = data[:at] + bytes([draw.integers(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + bytes([draw.choice(EDGES)]) + data[at + 1 :]
        elif kind == 2:
            size = int(draw.choice([4, 8]))
            number = int(draw.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1])) * (1 if size == 4 else 2**31)
            data = data[:at] + (number % 2 ** (8 * size)).to_bytes(size, "little") + data[at + size :]
        elif kind == 3:
            data = data[:at] + data[at + length :]
        elif kind == 4:
            data = data[:at] + data[to : to + length] + data[at:]
        else:
            data = data[:at] + data[to : to + length] + data[at + length :]
    return data


def main(path: str, count: str, seed: str = "0") -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    with open(path, "rb") as file:
        plain = file.read()
    draw, read, slowest = np.random.default_rng(int(seed)), 0, 0.0
    for _ in range(int(count)):
        data = mutated(plain, draw)
        start = time.perf_counter()
        try:
            tensors = read_state_dict(data)
        except ValueError:
            pass
        else:
            read += 1
            for tensor in tensors.values():
                assert tensor.ndim <= 32
                assert tensor.size <= len(data), data
                with np.errstate(all="ignore"):
                    tensor.astype(np.float64).sum()
        slowest = max(slowest, time.perf_counter() - start)
    print(f"{read} read, {int(count) - read} refused; the slowest took {slowest:.3f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
