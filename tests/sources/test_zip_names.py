import re
import zipfile

import pytest

from thaw.project.errors import UserError
from thaw.sources import zip_names


def member(name: bytes, flag: bool = False) -> zipfile.ZipInfo:
    """As zipfile reads it."""
    info = zipfile.ZipInfo()
    info.filename = name.decode("utf-8" if flag else "cp437")
    info.flag_bits = zip_names.UTF8_FLAG if flag else 0
    return info


def read(encoding: str, *names: str) -> zip_names.Names:
    return zip_names.read([member(f"{name}/1.jpg".encode(encoding)) for name in names], "a.zip")


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("gbk", ["猫", "狗", "羊", "兔子", "老虎"]),
        ("gbk", ["苹果", "香蕉", "西瓜", "草莓", "葡萄"]),
        ("gbk", ["良性", "恶性"]),
        ("gbk", ["训练集", "验证集", "测试集"]),
        ("big5", ["貓", "狗"]),
        ("big5", ["蘋果", "香蕉", "葡萄"]),
        ("cp932", ["猫", "犬"]),
        ("cp932", ["ねこ", "いぬ"]),
        ("cp932", ["ネコ", "イヌ"]),
        ("cp932", ["表示", "ソース", "りんご"]),  # with a backslash as their second byte
        ("cp949", ["고양이", "강아지", "토끼", "호랑이", "사자"]),
        ("utf-8", ["é", "è", "à la"]),
        ("utf-8", ["кошка", "собака"]),
        ("utf-8", ["猫", "고양이", "é"]),  # as macOS writes it, without the flag
        ("cp437", ["café", "château", "Äpfel", "Müller", "piñata"]),
        ("cp437", ["piñata"]),  # as Big5 pi兀ta
        ("cp437", ["Möwe", "schön"]),  # as Japanese M背e, sch馬
        ("cp437", ["Größe", "Süßwasser", "brûlée", "Noëël"]),
        ("cp850", ["año", "HÖHE"]),  # the same bytes as in cp437
        ("cp932", ["ネコcat", "イヌdog"]),
    ],
)
def test_names_are_as_they_were(encoding, names):
    got = read(encoding, *names)
    assert got.names == [f"{name}/1.jpg" for name in names]
    assert bool(got.note) == (encoding != "utf-8")  # a guess is said


def test_a_guess_is_said_with_examples():
    note = read("cp932", "いぬ", "ねこ").note
    assert note == "a.zip: names are read as Japanese (cp932): いぬ, ねこ"


@pytest.mark.parametrize(
    ("encoding", "names", "readings"),
    [
        (
            "gbk",
            ["猫", "狗"],
            "(they may be Chinese 狗, 猫 or Chinese (Big5) 僩, 癡 or Korean 뭍, 챔)",
        ),
        ("gbk", ["猫"], "(they may be Chinese 猫 or"),  # which is è in UTF-8
        ("gbk", ["猫咪", "狗狗"], "(they may be Chinese 狗狗, 猫咪"),
        ("cp949", ["고양이", "강아지"], "or Korean 강아지, 고양이)"),
        ("cp932", ["馬"], "(they may be Japanese 馬 or Western ön)"),
        ("cp1252", ["böse"], "it does not say in what; unpack it by"),  # as cp437 b÷se
        ("cp1252", ["árbol", "más"], "it does not say in what; unpack it by"),  # ßrbol, mßs
        ("cp1252", ["CORAÇÃO"], "it does not say in what; unpack it by"),  # Chinese CORA敲O
        ("cp850", ["são", "coração"], "it does not say in what; unpack it by"),  # Big5 s釅o
        ("cp866", ["ВЕК"], "it does not say in what; unpack it by"),  # as cp437 éàè
        ("cp1252", ["café", "thé"], "it does not say in what; unpack it by"),
        ("cp866", ["кошка", "собака"], "it does not say in what; unpack it by"),
        ("cp874", ["แมว", "หมา"], "it does not say in what; unpack it by"),
        ("cp737", ["γάτα", "σκύλος"], "it does not say in what; unpack it by"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_way_out(encoding, names, readings):
    with pytest.raises(UserError) as error:
        read(encoding, *names)
    said = str(error.value)
    assert said.startswith("a.zip: its names are not in UTF-8, and it does not say in what")
    assert readings in said
    known = {"Chinese": "gbk", "Japanese": "cp932"}
    first = known.get((re.findall(r"may be (\w+)", said) or [""])[0], "cp850")
    assert f"python -m zipfile --metadata-encoding {first} -e pets.zip images/pets" in said


def test_names_with_the_flag_or_of_plain_letters_are_left():
    members = [member("猫/1.jpg".encode(), flag=True), member(b"dog/1.jpg"), member(b"a\\b\\")]
    assert zip_names.read(members, "a.zip") == zip_names.Names(
        ["猫/1.jpg", "dog/1.jpg", "a\\b\\"], ""
    )


def test_an_unclear_file_name_is_no_class():
    members = [member("cat/猫 1.jpg".encode("gbk")), member(b"dog/2.jpg")]
    names, note = zip_names.read(members, "a.zip")
    assert [name.partition("/")[0] for name in names] == ["cat", "dog"]
    assert note.startswith("a.zip: file names in it are not in UTF-8 and may look odd")
