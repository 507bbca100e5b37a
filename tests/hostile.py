"""A folder of images as they come: odd ones that are fine, invalid ones, and files that are none.

Each case is a path, what to write there, and what must become of it:
Used(colour) with the RGB colour of its upper left corner, Invalid(reason), or SKIPPED.
"""

import io
import itertools
import os
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

RED, GREEN, BLUE, WHITE = (200, 30, 40), (30, 180, 60), (40, 60, 200), (255, 255, 255)
SKIPPED = "skipped"


class Used(NamedTuple):
    colour: tuple[int, int, int]


class Invalid(NamedTuple):
    reason: str  # a regular expression


numbers = itertools.count()


def image(left=RED, right=BLUE, mode: str = "RGB") -> Image.Image:
    """Two colours side by side, 48 x 32, with a little noise in the lower half, each time other."""
    pixels = np.empty((32, 48, 3), "uint8")
    pixels[:, :24], pixels[:, 24:] = left, right
    noise = np.random.default_rng(next(numbers)).integers(0, 30, (16, 48, 3))
    pixels[16:] = (pixels[16:] + noise).clip(0, 255)
    return Image.fromarray(pixels).convert(mode)


def coded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def moving(kind: str, **options) -> bytes:
    frames = [image(colour) for colour in (RED, GREEN, BLUE)]
    return coded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def transparent(mode: str) -> Image.Image:
    """Its left half is red and clear, its right half solid."""
    drawn = image().convert("RGBA")
    drawn.putalpha(Image.fromarray(np.repeat([[0] * 24 + [255] * 24], 32, 0).astype("uint8")))
    return drawn.convert(mode)


def palette_with_transparency() -> bytes:
    image = Image.new("P", (48, 32), 1)
    image.putpalette([0, 0, 0, *RED, *BLUE])
    image.paste(2, (24, 0, 48, 32))
    return coded(image, "PNG", transparency=1)


def turned() -> bytes:
    """Stored lying: its left half, red, comes to the top when it is turned upright."""
    drawn = image().transpose(Image.Transpose.ROTATE_90)
    exif = drawn.getexif()
    exif[0x0112] = 6
    return coded(drawn, "JPEG", exif=exif, quality=95)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png(side: int = 20_000) -> bytes:
    """48 kB of 400 megapixels, one bit each."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side // 8 + 1)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def wrong_checksum() -> bytes:
    data = bytearray(coded(image(), "PNG"))
    data[data.index(b"IEND") - 5] ^= 1  # the last byte of the checksum of IDAT
    return bytes(data)


def text_bomb() -> bytes:
    """A PNG whose comment unpacks to 200 MB."""
    comment = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    data = coded(image(), "PNG")
    return data[:33] + chunk(b"zTXt", comment) + data[33:]


def huge_header(kind: str, place: int, form: str) -> bytes:
    """A small image whose header claims 60,000 x 60,000 pixels."""
    data = bytearray(coded(image(), kind))
    struct.pack_into(form, data, place, 60_000, 60_000)
    return bytes(data)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def pixels16(value: int) -> bytes:
    return coded(Image.fromarray(np.full((32, 48), value, "uint16")), "PNG")


ACCEPTED = {
    "cat/plain.jpg": (coded(image(), "JPEG", quality=95), Used(RED)),
    "cat/progressive.jpeg": (coded(image(), "JPEG", quality=95, progressive=True), Used(RED)),
    "cat/cmyk.jpg": (
        coded(Image.new("CMYK", (48, 32), (0, 255, 255, 0)), "JPEG"),
        Used((255, 0, 0)),
    ),
    "cat/grey.jpg": (coded(Image.new("L", (48, 32), 77), "JPEG"), Used((77, 77, 77))),
    "cat/16 bit.png": (pixels16(257 * 90), Used((90, 90, 90))),
    "cat/palette.png": (coded(image(mode="P"), "PNG"), Used((204, 51, 51))),
    "cat/palette-clear.png": (palette_with_transparency(), Used(WHITE)),
    "cat/alpha.png": (coded(transparent("RGBA"), "PNG"), Used(WHITE)),
    "cat/grey-alpha.png": (coded(transparent("LA"), "PNG"), Used(WHITE)),
    "cat/1 bit.png": (coded(Image.new("1", (48, 32), 1), "PNG"), Used(WHITE)),
    "cat/plain.webp": (coded(image(), "WEBP", lossless=True), Used(RED)),
    "cat/alpha.webp": (coded(transparent("RGBA"), "WEBP", lossless=True), Used(WHITE)),
    "cat/plain.bmp": (coded(image(), "BMP"), Used(RED)),
    "cat/plain.gif": (coded(image(GREEN), "GIF"), Used(GREEN)),
    "cat/moving.gif": (moving("GIF"), Used(RED)),
    "cat/moving.png": (moving("PNG"), Used(RED)),
    "cat/turned.jpg": (turned(), Used(RED)),
    "cat/png-named.jpg": (coded(image(GREEN), "PNG"), Used(GREEN)),
    "dog/plain.tif": (coded(image(), "TIFF"), Used(RED)),
    "dog/pages.tif": (moving("TIFF"), Used(RED)),
    "dog/plain.avif": (coded(image(), "AVIF", quality=100), Used(RED)),
    "dog/plain.jp2": (coded(image(), "JPEG2000"), Used(RED)),
    "dog/plain.ppm": (coded(image(GREEN, RED), "PPM"), Used(GREEN)),
    "dog/no ending": (coded(image(BLUE), "PNG"), Used(BLUE)),
    "dog/ two  spaces .png": (coded(image(BLUE, GREEN), "PNG"), Used(BLUE)),
    "dog/käse 猫 🐈.png": (coded(image(BLUE, RED), "PNG"), Used(BLUE)),
    "dog/new\nline.png": (coded(image(GREEN, BLUE), "PNG"), Used(GREEN)),
    'dog/comma, "quote".png': (coded(image(GREEN, GREEN), "PNG"), Used(GREEN)),
    "dog/deep/er/below.png": (coded(image(BLUE, BLUE), "PNG"), Used(BLUE)),
    "dog/lab.tif": (
        coded(Image.new("LAB", (48, 32), (128, 128, 128)), "TIFF"),
        Used((119, 119, 119)),
    ),
    "dog/link.ppm": (link("plain.ppm"), Used(GREEN)),
}
DAMAGED = {
    "cat/cut.jpg": (cut(coded(image(), "JPEG")), Invalid("(?i)^damaged: .*truncated")),
    "cat/cut.png": (cut(coded(image(), "PNG")), Invalid("^damaged: ")),
    "cat/no-end.png": (coded(image(), "PNG")[:-12], Invalid("^damaged: truncated PNG")),
    "cat/cut.gif": (cut(coded(image(), "GIF")), Invalid("^damaged: .*truncated")),
    "cat/cut.webp": (cut(coded(image(), "WEBP")), Invalid("^damaged: ")),
    "cat/cut.bmp": (cut(coded(image(), "BMP")), Invalid("^damaged: .*truncated")),
    "cat/cut.tif": (cut(coded(image(), "TIFF")), Invalid("^damaged: .*truncated|^no known")),
    "cat/checksum.png": (wrong_checksum(), Invalid("^damaged: .*checksum")),
    "cat/empty.jpg": (b"", Invalid("^empty file$")),
    "cat/page.jpg": (b"\n<!DOCTYPE html><html>404</html>", Invalid("^an HTML page, not an image")),
    "cat/drawing.png": (b"<svg xmlns='x'></svg>", Invalid("^SVG or another XML file")),
    "cat/phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), Invalid("^HEIC, which")),
    "cat/text.png": (b"see attachment", Invalid("^no known image format$")),
    "cat/noise.jpg": (bytes(range(256)) * 9, Invalid("^no known image format$")),
    "cat/paper.pdf": (b"%PDF-1.7\n1 0 obj", Invalid("^PDF, not an image; save its pages as PNG$")),
    "cat/print.eps": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        Invalid("^no known image format$"),
    ),
    "cat/packed.jpg": (b"PK\x03\x04" + bytes(60), Invalid("^a zip archive .* unpack it$")),
    "cat/header-only.jpg": (coded(image(), "JPEG")[:200], Invalid("^damaged: |^no known")),
    "cat/sound.webp": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), Invalid("^no known image format$")),
}
HOSTILE = {
    "dog/moving.webp": (moving("WEBP"), Invalid("^a moving WEBP; save the frame that is meant$")),
    "dog/moving.avif": (moving("AVIF"), Invalid("^a moving AVIF")),
    "dog/huge.png": (
        huge_png(),
        Invalid("^20000 x 20000 pixels are more than data.max_megapixels"),
    ),
    "dog/claims.bmp": (huge_header("BMP", 18, "<ii"), Invalid("^60000 x 60000 pixels are more")),
    "dog/claims.gif": (huge_header("GIF", 6, "<HH"), Invalid("^60000 x 60000 pixels are more")),
    "dog/text-bomb.png": (text_bomb(), Invalid("^damaged: ")),
    "dog/tiny.png": (
        coded(Image.new("RGB", (40, 3)), "PNG"),
        Invalid("^40 x 3 pixels: a side is under"),
    ),
    "dog/float.pfm": (b"Pf\n48 32\n-1.0\n" + bytes(48 * 32 * 4), Invalid("^values of mode F have")),
    "dog/float.tif": (
        coded(Image.new("F", (48, 32), 0.5), "TIFF"),
        Invalid("^values of mode F have"),
    ),
    "dog/32 bit.tif": (
        coded(Image.new("I", (48, 32), 5), "TIFF"),
        Invalid("^values of mode I have"),
    ),
    "dog/dangling.png": (link("nowhere.png"), Invalid("^a link that leads nowhere$")),
    "dog/loop.png": (link("loop.png"), Invalid("^a link that leads nowhere$")),
    "dog/escaping.png": (link("../../outside.png"), Used(RED)),
    "dog/folder.png": (link("."), Invalid("^a link to a folder")),
    "dog/pipe.png": (os.mkfifo, Invalid("^a device, pipe or socket")),
}
NONE = {
    "cat/.DS_Store": (b"\0\0\0\1Bud1", SKIPPED),
    "cat/Thumbs.db": (b"\xd0\xcf\x11\xe0", SKIPPED),
    "cat/desktop.ini": (b"[ViewState]", SKIPPED),
    "cat/._plain.jpg": (b"\0\5\x16\7", SKIPPED),
    "cat/.hidden/x.png": (coded(image(), "PNG"), SKIPPED),
    "__MACOSX/cat/x.png": (coded(image(), "PNG"), SKIPPED),
    "README.txt": (b"about", SKIPPED),
}
CASES = {**ACCEPTED, **DAMAGED, **HOSTILE, **NONE}


# members that no archive may have, by kind, and what is said of them
MEMBERS = {
    "absolute.zip": ("/etc/x.png", "member '/etc/x.png' would leave the folder"),
    "upwards.zip": ("cat/../../x.png", r"member 'cat/../../x.png' would leave the folder"),
    "backslash.zip": ("..\\x.png", "would leave the folder"),
    "drive.zip": ("C:x.png", "would leave the folder"),
    "twice.zip": ("cat/plain.jpg", "'cat/plain.jpg' is there twice"),
    "link.zip": (0o120777, "member 'cat/hostile' is a link"),
    "absolute.tar": ("/etc/x.png", "member '/etc/x.png' would leave the folder"),
    "upwards.tar": ("../x.png", "member '../x.png' would leave the folder"),
    "twice.tar": ("cat/plain.jpg", "'cat/plain.jpg' is there twice"),
    "escaping-link.tar": (
        (tarfile.SYMTYPE, "../../x"),
        "member 'cat/hostile' is a device or links",
    ),
    "absolute-link.tar": ((tarfile.SYMTYPE, "/etc/x"), "is a device or links to what is not in"),
    "hard-link.tar": ((tarfile.LNKTYPE, "/etc/x"), "is a device or links to what is not in"),
    "device.tar": ((tarfile.CHRTYPE, ""), "member 'cat/hostile' is a device or links"),
    "pipe.tar": ((tarfile.FIFOTYPE, ""), "member 'cat/hostile' is a device or links"),
}


def pack(path: Path, member: str | int | tuple | None = None) -> None:
    """Write all CASES that are files into an archive, zip or tar.gz, with a hostile `member`."""
    files = {name: content for name, (content, _) in CASES.items() if isinstance(content, bytes)}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
            if member:
                hostile = zipfile.ZipInfo(member if isinstance(member, str) else "cat/hostile")
                hostile.external_attr = member << 16 if isinstance(member, int) else 0
                with warnings.catch_warnings(action="ignore"):
                    archive.writestr(hostile, b"../../x")
        return
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if member:
            hostile = tarfile.TarInfo(member if isinstance(member, str) else "cat/hostile")
            if isinstance(member, tuple):
                hostile.type, hostile.linkname = member
            archive.addfile(hostile, io.BytesIO())


def write(root: Path) -> None:
    """Write all CASES below `root`, and `outside.png` beside it."""
    for name, (content, _) in CASES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
    image().save(root.parent / "outside.png")
