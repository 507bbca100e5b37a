"""Fonts for letters that matplotlib's own font lacks: of packages, and of this machine."""

from fnmatch import fnmatch
from functools import cache
from importlib import metadata

from matplotlib import font_manager, rcParams
from matplotlib.font_manager import FontEntry
from matplotlib.ft2font import FaceFlags, FT2Font

FIRST = "DejaVu Sans"  # Latin, Greek, Cyrillic, Hebrew, Arabic and more; matplotlib brings it
PACKAGES = {  # those of requirements-fonts.txt, and which file of each
    "mplfonts": "NotoSansCJKsc-Regular.otf",  # Chinese, Japanese and Korean
    "fontpkg-noto-sans-thai": "*.ttf",
    "fontpkg-noto-sans-devanagari": "*.ttf",  # Hindi, Marathi, Nepali
}
BOXES = ("LastResort", "Fallback", "NotDef", "Blank")  # in names of fonts that draw boxes
LATER = ("Serif", "Mono", "Song", "Ming")  # in names of those that are hard to read when small
UNSEEN = "\u200c\u200d\ufe0e\ufe0f"  # they join letters or tell them how to look

rcParams["font.family"] = [FIRST]  # matplotlib takes each letter from the first that has it
_found: dict[str, bool] = {}  # of each letter that was asked for, whether a font in use has it


def lacking(text: str) -> set[str]:
    """Return the letters of a text that no font has. Those that one has are drawn from now on.

    Ask for all that is to be drawn at once, so that one font is taken for what belongs together.
    """
    asked = {letter for letter in text if not (letter.isspace() or letter in UNSEEN)}
    new = asked - _found.keys()
    _found.update(dict.fromkeys(new, False))
    while new:
        font, letters = _best(new)
        if not letters:
            break
        _found.update(dict.fromkeys(letters, True))
        new -= letters
        if font.name not in rcParams["font.family"]:
            rcParams["font.family"] = [*rcParams["font.family"], font.name]
    return {letter for letter in asked if not _found[letter]}


def _best(letters: set[str]) -> tuple[FontEntry, set[str]]:
    """Return the font that has the most of the letters, and those: FIRST where it has any."""
    first, *others = _fonts()
    found = _letters(first, letters)
    if found:
        return first, found
    return max(((font, _letters(font, letters)) for font in others), key=lambda pair: len(pair[1]))


@cache
def _fonts() -> list[FontEntry]:
    """Return a font of each name: FIRST, those of PACKAGES, and the others, easy ones first."""
    of_packages = {_added(path) for path in _files_of_packages()}
    order = sorted(
        font_manager.fontManager.ttflist,
        key=lambda font: (
            font.name != FIRST,
            font.name not in of_packages,
            any(word in font.name for word in LATER),
            font.style != "normal",
            abs(_weight(font) - 400),
            font.name,
        ),
    )
    by_name = {font.name: font for font in reversed(order)}
    return [font for font in reversed(by_name.values()) if _useful(font.name)]


def _weight(font: FontEntry) -> int:
    return font.weight if isinstance(font.weight, int) else font_manager.weight_dict[font.weight]


def _useful(name: str) -> bool:
    return not any(word in name.replace(" ", "") for word in BOXES)


def _files_of_packages() -> list[str]:
    """Return the font files of those PACKAGES that are installed."""
    found = []
    for package, pattern in PACKAGES.items():
        try:
            files = metadata.files(package) or []
        except metadata.PackageNotFoundError:
            continue
        found += [str(file.locate()) for file in files if fnmatch(file.name, pattern)]
    return found


def _added(path: str) -> str:
    """Make a font file known to matplotlib; return its name."""
    font_manager.fontManager.addfont(path)
    return font_manager.fontManager.ttflist[-1].name


def _letters(font: FontEntry, letters: set[str]) -> set[str]:
    """Return those of the letters that a font has, as outlines of one colour."""
    try:
        opened = FT2Font(font.fname, face_index=font.index)
    except (OSError, RuntimeError):  # gone since matplotlib listed it, or damaged
        return set()
    flags = opened.face_flags
    if FaceFlags.SCALABLE not in flags or FaceFlags.COLOR in flags:
        return set()
    return {letter for letter in letters if opened.get_char_index(ord(letter))}
