"""TIFF files of any bands, as geographic and scientific programs write them and Pillow does not."""

import struct
import zlib

import numpy as np

FORMS = {3: "H", 4: "I"}


def write(
    bands: list[np.ndarray], order: str = "<", extra: tuple[int, ...] = (), planar: bool = False,
    photometric: int = 2, packed: bool = False,
) -> bytes:  # fmt: skip
    """Return a file of bands (h, w) of one dtype; `order`: < or >; `extra`: what the last are."""
    height, width = bands[0].shape
    values = np.stack(bands, 0 if planar else -1)
    values = values.astype(values.dtype.newbyteorder(order))
    parts = [each.tobytes() for each in values] if planar else [values.tobytes()]
    if packed:
        parts = [zlib.compress(part) for part in parts]
    bits = [8 * values.dtype.itemsize] * len(bands)
    start = 8 + sum(map(len, parts))
    places = [8 + sum(map(len, parts[:number])) for number in range(len(parts))]
    tags = {
        256: (3, [width]), 257: (3, [height]), 258: (3, bits), 259: (3, [8 if packed else 1]),
        262: (3, [photometric]), 273: (4, places), 277: (3, [len(bands)]), 278: (3, [height]),
        279: (4, [len(part) for part in parts]), 284: (3, [2 if planar else 1]),
    }  # fmt: skip
    if extra:
        tags[338] = (3, extra)
    directory, beyond = struct.pack(f"{order}H", len(tags)), b""
    end = start + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        data = struct.pack(f"{order}{len(numbers)}{FORMS[kind]}", *numbers)
        directory += struct.pack(f"{order}HHI", tag, kind, len(numbers))
        if len(data) <= 4:
            directory += data.ljust(4, b"\0")
        else:
            directory += struct.pack(f"{order}I", end + len(beyond))
            beyond += data
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    return head + b"".join(parts) + directory + bytes(4) + beyond
