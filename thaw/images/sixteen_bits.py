"""Images of 16 bits a value: which these are, how many bits their values fill, and how they get 8.

Cameras, microscopes and satellites give 10, 12 or 14 bits, and most files do not say so.
"""

import sys

import numpy as np
from PIL import Image

FITS = (8, 10, 12, 14)  # bits that are common; what fits none has 16
PHOTOMETRIC, BITS = 262, 258  # TIFF tags
WHITE_IS_ZERO = 0  # of PHOTOMETRIC
INVERTED = "inverted"  # in an image's info: 0 is white, which Pillow 13.0.0 overlooks in 16 bits
PACKED = "packed"  # in an image's info: how its file holds values of more than 8 bits
FILE = "file"  # in the info of such an image: its bytes, of which colours are read twice
KNOWN = {"I;12": 12, "scaled": 16}  # of these the file says the range; Pillow scales PGM by it
GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
NATIVE = "L" if sys.byteorder == "little" else "B"
OTHER_BYTE = {"L": "B", "B": "L"}


def note(image: Image.Image) -> None:
    """Note in the info of a newly opened image how its values are packed, if in over 8 bits."""
    packed = PACKINGS[image.format](image) if image.tile and image.format in PACKINGS else ""
    if packed in KNOWN or (";16" in packed and packed[-1] != "S" and image.mode != "CMYK"):
        image.info |= {PACKED: packed, FILE: image.fp}
        if image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO:
            image.info[INVERTED] = True


def _raw_mode(image: Image.Image) -> str:
    args = image.tile[0].args
    return args if isinstance(args, str) else args[0]


def _of_tiff(image: Image.Image) -> str:
    packed = _raw_mode(image)
    if len(packed) == 1 and 16 in image.tag_v2.get(BITS, ()):
        # one band after another; Pillow 13.0.0 reads each as if it had 8 bits
        ending = ";16L" if image.tag_v2.prefix == b"II" else ";16B"
        image.tile = [
            each._replace(args=(each.args[0] + ending, *each.args[1:])) for each in image.tile
        ]
        return packed + ending
    return packed


def _of_ppm(image: Image.Image) -> str:
    kind, _, _, args = image.tile[0]
    if image.mode == "I":
        return "I;16B" if "I;16B" in args or 65535 in args else "scaled"
    if kind == "ppm" and 65535 in args:  # which would scale it, and drop the lower byte
        image.tile = [image.tile[0]._replace(codec_name="raw", args="RGB;16B")]
        return "RGB;16B"
    return ""


PACKINGS = {
    "PNG": _raw_mode,
    "TIFF": _of_tiff,
    "PPM": _of_ppm,
    "JPEG2000": lambda image: image.mode,  # I;16, also for fewer bits
}


def largest(image: Image.Image) -> int | None:
    """Return the largest value of a loaded image of 16 bits a value; None for all other.

    None also where the file says how many bits its values fill. Of colours it is their largest
    upper byte, filled up.
    """
    packed = image.info.get(PACKED)
    if packed is None or packed in KNOWN:
        return None
    if image.mode in GREY:
        return int(np.asarray(image).max())
    bands = image.split()[:3]  # without transparency
    return max(band.getextrema()[1] for band in bands) << 8 | 255


def fitting(largest: int) -> int:
    """Return the bits that values up to `largest` fill: 8, 10, 12, 14 or 16."""
    return next((bits for bits in FITS if largest < 1 << bits), 16)


def to_eight(image: Image.Image, bits: int | None) -> Image.Image:
    """Scale the values of a loaded image of 16 bits so that 2 ** `bits` - 1 becomes 255.

    Larger ones become 255, too. None for `bits`: as many as this image fills. An image of 8 bits a
    value is returned as it is. A grey one with a transparent value gets a band for it.
    """
    packed = image.info.get(PACKED)
    if packed is None and not image.mode.startswith("I;16"):
        return image
    bits = KNOWN.get(packed) or bits or fitting(largest(image) or 65535)
    scaled = np.minimum(np.arange(1 << 16) * 255 // ((1 << bits) - 1), 255).astype("uint8")
    if image.mode in GREY:
        return _grey(image, 255 - scaled if INVERTED in image.info else scaled)
    return image if bits == 16 else _colours(image, packed, scaled)


def _grey(image: Image.Image, scaled: np.ndarray) -> Image.Image:
    values = np.asarray(image)
    grey = Image.fromarray(scaled[values])
    grey.info = dict(image.info)  # as its EXIF data are there
    if (clear := grey.info.pop("transparency", None)) is not None:
        grey.putalpha(Image.fromarray((values != clear).view("uint8") * 255))
    return grey


def _colours(image: Image.Image, packed: str, scaled: np.ndarray) -> Image.Image:
    """Scale colours by both of their bytes. Pillow decodes the upper one, and so we do it twice."""
    with Image.open(image.info[FILE], formats=[image.format]) as again:
        note(again)
        again.tile = [each._replace(args=_lower(each.args)) for each in again.tile]
        again.load()
        lower = np.asarray(again)
    if packed.startswith("LA"):  # read as upper and lower byte of each, L first
        lower = lower[..., [1, 1, 1]]
    both = np.array(image)
    both[..., :3] = scaled[both[..., :3].astype("uint16") << 8 | lower[..., :3]]
    done = image.copy()  # with its metadata
    done.info.pop("transparency", None)  # which is a value of 16 bits
    done.paste(Image.fromarray(both))
    return done


def _lower(args: str | tuple) -> str | tuple:
    """Return a decoder's arguments so that it takes the lower byte of each value."""
    if not isinstance(args, str):
        return _lower(args[0]), *args[1:]
    if args.startswith("LA"):
        return "RGBA"
    form, order = args[:-1], args[-1]
    return form + OTHER_BYTE[NATIVE if order == "N" else order]
