"""The names in a zip archive that does not say how its letters are coded.

Without a flag for UTF-8 they are in whatever the writer's system used. That is told by which
reading gives common letters only, in words as they are written; where several do, or none, nothing
is guessed.
"""

import re
import zipfile
from typing import NamedTuple

from thaw.project.errors import UserError

UTF8_FLAG = 1 << 11
ENOUGH = 0.9  # share of letters that must be common in a reading
HALF = 0.5  # share from which on a reading is shown, where no other is possible
TOO_MUCH = 0.75  # share from which on another reading is possible, too
# letters from which on Korean is told from Chinese, whose common ones hold all of Korean's
MANY = 8
ASIAN = {"gbk": "Chinese", "big5": "Chinese (Big5)", "cp932": "Japanese", "cp949": "Korean"}
READINGS = {**ASIAN, "cp437": "Western"}
USUAL = ("cp850", "cp1252")  # what names may be in that no measure here tells
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
    if encoding == "utf-8":  # what they are meant to be
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
    shares = {each: _common(parts, each) for each in ASIAN if _decodes(parts, each)}
    meant = [each for each in shares if not _within_words(parts, each)]
    possible = [each for each in meant if shares[each] >= TOO_MUCH]
    if utf8 and not possible:
        return "utf-8"
    if all(map(_is_western, parts)):
        possible.append("cp437")
        shares["cp437"] = 1.0
    letters = len(set(b"".join(sorted(parts)).decode("cp949", "replace")) - _ascii())
    if set(possible) == {"gbk", "cp949"} and shares["cp949"] == 1 and letters >= MANY:
        possible = ["cp949"]
    if len(possible) == 1 and not utf8 and shares[possible[0]] >= ENOUGH:
        return possible[0]
    possible = possible or [each for each in meant if shares[each] >= HALF]
    readings = [f"{READINGS[each]} {_shown(parts, each)}" for each in possible]
    may_be = f" (they may be {' or '.join(readings)})" if readings else ""
    first, *others = [*possible, *(each for each in (*USUAL, *ASIAN) if each not in possible)]
    raise UserError(
        f"{archive}: its names are not in UTF-8, and it does not say in what{may_be}",
        hint=f"unpack it by `python -m zipfile --metadata-encoding {first} -e pets.zip images/pets`"
        f", or with {', '.join(others)} or what else its writer used, and name that folder in "
        "data.source; or pack it again with names in UTF-8",
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


def _within_words(parts: set[bytes], encoding: str) -> bool:
    """Tell whether letters of a reading stand one by one in words of plain ones, as by chance."""
    for text in (part.decode(encoding) for part in parts):
        for run in re.finditer(r"[^\x00-\x7f]+", text):
            beside = text[max(run.start() - 1, 0) : run.start()] + text[run.end() : run.end() + 1]
            if len(run[0]) > 1 or not re.search("[A-Za-z]", beside):
                return False
    return True


def _is_western(part: bytes) -> bool:
    """Tell whether accented letters stand in words of as many plain ones, in words' usual case."""
    text = part.decode("cp437")
    if not all("\u00c0" <= letter <= "\u00ff" and letter.isalpha()
               for letter in text if not letter.isascii()):  # fmt: skip
        return False
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    return all(
        (word.isupper() or word[1:].islower())
        and sum(not letter.isascii() for letter in word) <= len(word) / 2
        and not re.search("(?<![AEIOUYaeiouy\u00e4\u00f6\u00fc])\u00df", word)  # or it is another's
        for word in words
    )


def _shown(parts: set[bytes], encoding: str) -> str:
    names = sorted(part.decode(encoding) for part in parts)
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
