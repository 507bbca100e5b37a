"""The names in a zip archive that does not say how its letters are coded.

Without a flag for UTF-8 they are in whatever the writer's system used. That is told by which
reading gives common letters only; where several do, or none, nothing is guessed.
"""

import re
import zipfile
from typing import NamedTuple

from thaw.project.errors import UserError

UTF8_FLAG = 1 << 11
ENOUGH = 0.9  # share of letters that must be common in a reading
TOO_MUCH = 0.75  # share from which on another reading is possible, too
MANY = (
    8  # letters from which on Korean is told from Chinese, whose common ones hold all of Korean's
)
READINGS = {"gbk": "Chinese", "big5": "Chinese (Big5)", "cp932": "Japanese", "cp949": "Korean"}
SHOWN = 3  # names in a message


class Names(NamedTuple):
    """The names of all members, in order, and what was guessed ("" for nothing)."""

    names: list[str]
    note: str


def read(members: list[zipfile.ZipInfo], archive: str) -> Names:
    """Return the members' names. Raises UserError when it is not clear how they are coded."""
    raw = [_raw(member) for member in members]
    unclear = {part for each in raw if each for part in each.split(b"/") if not part.isascii()}
    if not unclear:
        return Names([member.filename for member in members], "")
    try:
        encoding = _encoding(unclear, archive)
    except UserError:
        if not all(
            b"\\" not in each and each.rpartition(b"/")[0].isascii() for each in raw if each
        ):
            raise
        note = f"{archive}: file names in it are not in UTF-8 and may look odd; folders' names are"
        return Names([member.filename for member in members], note)
    names = [
        member.filename if each is None else each.decode(encoding)
        for member, each in zip(members, raw)
    ]
    if encoding in ("utf-8", "cp437"):  # what they are meant to be
        return Names(names, "")
    read_so = _shown(unclear, encoding)
    return Names(
        names, f"{archive}: names are read as {READINGS[encoding]} ({encoding}): {read_so}"
    )


def _raw(member: zipfile.ZipInfo) -> bytes | None:
    """Return a name as it is in the archive; None where that says how it is coded."""
    if member.flag_bits & UTF8_FLAG:
        return None
    try:
        return member.filename.encode("cp437")
    except UnicodeEncodeError:  # a field of its own holds the name in Unicode
        return None


def _encoding(parts: set[bytes], archive: str) -> str:
    utf8 = _decodes(parts, "utf-8")  # as macOS writes it
    if utf8 and not _by_chance(parts):
        return "utf-8"
    shares = {each: _common(parts, each) for each in READINGS if _decodes(parts, each)}
    possible = [each for each, share in shares.items() if share >= TOO_MUCH]
    if utf8 and not possible:
        return "utf-8"
    if _is_western(parts) and not possible:
        return "cp437"
    letters = len(set(b"".join(sorted(parts)).decode("cp949", "replace")) - _ascii())
    if set(possible) == {"gbk", "cp949"} and shares["cp949"] == 1 and letters >= MANY:
        possible = ["cp949"]
    if len(possible) == 1 and not utf8 and shares[possible[0]] >= ENOUGH:
        return possible[0]
    readings = [f"{READINGS[each]} {_shown(parts, each)}" for each in possible]
    may_be = f" (they may be {' or '.join(readings)})" if readings else ""
    raise UserError(
        f"{archive}: its names are not in UTF-8, and it does not say in what{may_be}",
        hint="unpack it by `python -m zipfile --metadata-encoding gbk -e pets.zip images/pets`, "
        "with big5, cp932, cp949 or another encoding for gbk, and name that folder in data.source; "
        "or pack it again with names in UTF-8",
    )


def _ascii() -> set[str]:
    return {chr(number) for number in range(128)} | {"\ufffd"}


def _decodes(parts: set[bytes], encoding: str) -> bool:
    try:
        return bool([part.decode(encoding) for part in parts])
    except UnicodeDecodeError:
        return False


def _by_chance(parts: set[bytes]) -> bool:
    """Tell whether names may be in UTF-8 by chance: of one or two accented letters, alone."""
    texts = [part.decode("utf-8") for part in parts]
    letters = {letter for text in texts for letter in text if not letter.isascii()}
    words = any(re.search(r"[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]", text) for text in texts)
    return not words and len(letters) <= 2 and max(letters) < "\u0800"


def _common(parts: set[bytes], encoding: str) -> float:
    """Return the share of common letters among those of a reading that are not ASCII, 0 to 1."""
    letters = {letter for part in parts for letter in part.decode(encoding) if not letter.isascii()}
    return sum(map(COMMON[encoding], letters)) / len(letters)


def _gbk(letter: str) -> bool:
    code = letter.encode("gbk")
    return len(code) == 2 and 0xB0 <= code[0] <= 0xD7 and code[1] >= 0xA1


def _big5(letter: str) -> bool:
    code = letter.encode("big5")
    return len(code) == 2 and 0xA4 <= code[0] <= 0xC6


def _cp932(letter: str) -> bool:
    code = letter.encode("cp932")
    return "\u3041" <= letter <= "\u30fc" or (
        len(code) == 2 and 0x889F <= int(code.hex(), 16) <= 0x9872
    )


def _cp949(letter: str) -> bool:
    code = letter.encode("cp949")
    return 0xB0 <= code[0] <= 0xC8 and code[1] >= 0xA1


COMMON = {"gbk": _gbk, "big5": _big5, "cp932": _cp932, "cp949": _cp949}


def _is_western(parts: set[bytes]) -> bool:
    """Tell whether single accented letters stand in words of plain ones."""
    for part in parts:
        text = part.decode("cp437")
        foreign = [letter for letter in text if not letter.isascii()]
        plain = [letter for letter in text if letter.isascii() and letter.isalpha()]
        if not all("\u00c0" <= letter <= "\u00ff" for letter in foreign):
            return False
        if len(foreign) > len(plain) / 2 or re.search(r"[^\x00-\x7f]{2}", text):
            return False
    return True


def _shown(parts: set[bytes], encoding: str) -> str:
    names = sorted(part.decode(encoding) for part in parts)
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
