"""Seeds that depend on nothing but the numbers they are made of."""

import hashlib
import struct


def stable_hash(*numbers: int) -> int:
    """Mix integers into one seed, the same on every machine, process and Python version.

    Args:
        numbers: Integers that fit in 64 bits with sign, such as seed, epoch and index; their order counts.

    Returns:
        Seed in [0, 2**64) for any generator; neighbouring numbers give unrelated seeds.
    """
    packed = struct.pack(f"<{len(numbers)}q", *numbers)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little")
