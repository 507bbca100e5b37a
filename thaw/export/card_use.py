"""How the classifier is used, in the model card: Python for each format, from a file to a name."""

from thaw.export.formats import EXPORT_FORMATS

PREPARE = """\
import json
import numpy as np
from PIL import Image, ImageOps

{opened}
ground = Image.new("RGBA", image.size, {background})
image = Image.alpha_composite(ground, image).convert("RGB")
square = {squared}
pixels = np.asarray(square, "float32")[None]  # float32 (1, {size}, {size}, 3), RGB 0..255
"""
SQUARED = {
    "stretch": "image.resize(({size}, {size}), Image.Resampling.BILINEAR)",
    "pad": "ImageOps.pad(image, ({size}, {size}), Image.Resampling.BILINEAR, {background})",
    "crop": "ImageOps.fit(image, ({size}, {size}), Image.Resampling.BILINEAR)",
}
OPENED = """\
image = {opened}.convert("RGBA")"""
OF_SIXTEEN_BITS = """\
image = {opened}
if image.mode.startswith("I"):  # grey of 16 bits, of which the values fill {fill}
    values = np.asarray(image).astype(int) * 255 // {largest}
    image = Image.fromarray(np.minimum(values, 255).astype("uint8"))
image = image.convert("RGBA")"""
NAMED = """\
labels = json.load(open("labels.json", encoding="utf-8"))
print(labels[probabilities[0].argmax()], probabilities[0].max())
"""


def written(contract: dict, names: list[str]) -> str:
    """Return the section. contract: as `input_json.contract` gives it; names: of the formats."""
    pixels = contract["pixels"]
    opened = 'Image.open("cat.jpg")'
    if pixels["apply_exif_orientation"]:
        opened = f"ImageOps.exif_transpose({opened})"
    lines = OPENED.format(opened=opened)
    if deep := pixels.get("sixteen_bits"):
        largest = 2 ** deep["fill"] - 1
        lines = OF_SIXTEEN_BITS.format(opened=opened, fill=deep["fill"], largest=largest)
    size, background = pixels["shape"][1], (*pixels["background"],)
    squared = SQUARED[pixels["fit"]].format(size=size, background=background)
    prepare = PREPARE.format(opened=lines, background=background, size=size, squared=squared)
    parts = [
        "Every format takes `pixels`, float32 (n, height, width, 3), RGB from 0 to 255, for any n, "
        "and scales them itself. It returns float32 (n, classes); each row adds up to 1. First "
        "load an image:",
        _code(prepare),
    ]
    usages = {name: EXPORT_FORMATS[name].usage for name in names}
    if "known" in contract:
        usages["keras"] = usages["keras"].replace("(pixels)", '(pixels)["probabilities"]')
        second = "Its second output, but in 8 bits, is `known`, float32 (n,)."
        parts[0] = parts[0].replace("First ", f"{second} First ")
    for name, usage in usages.items():
        parts += [f"{name}:", _code(usage)]
    return "\n\n".join([*parts, "Then print the name:", _code(NAMED)])


def _code(text: str) -> str:
    return f"```python\n{text}```"
