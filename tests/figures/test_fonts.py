import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager, rcParams

from thaw.figures import fonts


def make_font(path, name: str, letters: str) -> str:
    """Write a font whose letters are all the same triangle; return its path."""
    glyphs = [".notdef", *(f"uni{ord(letter):04X}" for letter in letters)]
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((500, 700), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    font = FontBuilder(1000)
    font.setupGlyphOrder(glyphs)
    font.setupCharacterMap({ord(letter): f"uni{ord(letter):04X}" for letter in letters})
    font.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": name, "styleName": "Regular"})
    font.setupOS2(usWeightClass=400)
    font.setupPost()
    font.save(path)
    return str(path)


@pytest.fixture
def has(tmp_path, monkeypatch):
    """Return a function that gives this machine fonts, NAME=LETTERS, besides matplotlib's own."""
    own = [font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(fonts, "_found", {})
    monkeypatch.setattr(fonts, "PACKAGES", {})
    monkeypatch.setitem(rcParams, "font.family", [fonts.FIRST])
    fonts._fonts.cache_clear()

    def install(**letters: str) -> None:
        for name, some in letters.items():
            path = make_font(tmp_path / f"{name}.ttf", name, some)
            font_manager.fontManager.addfont(path)

    yield install
    fonts._fonts.cache_clear()
    font_manager.fontManager._findfont_cached.cache_clear()


def test_what_matplotlib_s_font_has_needs_no_other(has):
    has(Other="a猫")
    assert fonts.lacking("cat кот γάτα قطة ñ ✓\u200d\ufe0f\n") == set()
    assert rcParams["font.family"] == [fonts.FIRST]


def test_the_font_that_has_most_of_the_letters_is_taken(has):
    has(Japanese="猫犬", Chinese="猫犬们狗", Thai="แม")
    assert fonts.lacking("们猫犬狗 แม cat") == set()
    assert rcParams["font.family"] == [fonts.FIRST, "Chinese", "Thai"]
    assert fonts.lacking("犬鳥") == {"鳥"}
    assert rcParams["font.family"] == [fonts.FIRST, "Chinese", "Thai"]


def test_letters_that_no_font_has_are_named_each_time(has):
    has(Thai="แ")
    assert fonts.lacking("แมว cat") == {"ม", "ว"}
    assert fonts.lacking("มา") == {"ม", "า"}
    assert fonts.lacking("\udc80\x07") == {"\udc80", "\x07"}


def test_fonts_of_boxes_and_damaged_files_are_none(has, tmp_path):
    has(LastResort="猫", Gone="猫")
    (tmp_path / "Gone.ttf").write_bytes(b"no font")
    assert fonts.lacking("猫") == {"猫"}


def test_the_font_of_a_package_comes_first(has, tmp_path, monkeypatch):
    has(Aaa="猫")
    folder = tmp_path / "kittens-1.0.dist-info"
    folder.mkdir()
    make_font(tmp_path / "Kitten-Regular.ttf", "Kitten", "猫")
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: kittens\nVersion: 1.0\n")
    (folder / "RECORD").write_text("Kitten-Regular.ttf,,\nREADME,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(fonts, "PACKAGES", {"kittens": "*.ttf", "not-installed": "*.ttf"})
    assert fonts.lacking("猫") == set()
    assert rcParams["font.family"] == [fonts.FIRST, "Kitten"]
