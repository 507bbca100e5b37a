"""The names that people give to splits: training_set, seg_train, Test Images, holdout, 验证集."""

import re
import unicodedata

WORDS = {
    "train": r"train(ings?)?|trn|train(ing)?val(id(ation)?)?|entra[iî]nement|apprentissage"
    r"|entrenamiento|treino|treinamento|addestramento|обучение|обучающая|训练|訓練|学習|학습|훈련",
    "validation": r"val(id(ation|ate)?)?|dev(el(opment)?)?|validierungs?|validaci[oó]n"
    r"|valida[cç][aã]o|validazione|валидация|验证|驗證|検証|검증",
    "test": r"tests?|testing|tst|eval(uation)?|holdout|heldout|pruebas?|testes?|prova|тест|тестовая"
    r"|测试|測試|テスト|評価|시험|테스트|평가",
}
# what is written on to a word: trainset, testdata, valimages, Testdaten, 训练集
ENDINGS = (
    r"(sets?|data|dataset|split|images?|imgs?|pics?|pictures?|photos?|dir|folder|daten(satz)?|bilder"
    r"|集|数据集?|資料集?|用?(データ|画像)?(セット)?|용?(데이터)?(셋|세트)?)?"
)
PATTERNS = {split: re.compile(f"({words}){ENDINGS}") for split, words in WORDS.items()}


def split_of(name: str) -> str:
    """Return "train", "validation" or "test" for a name with a word for it, else "".

    Letters of both cases, digits and signs part words: `TrainImages`, `train_images` and
    `train2017` are one. Train and validation in one name make train, any other two make none.
    """
    text = re.sub(r"(?i)(hold|held)[ _-]?out", "holdout", unicodedata.normalize("NFC", name))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", text)]
    found = {split for word in words for split, words in PATTERNS.items() if words.fullmatch(word)}
    if found == {"train", "validation"}:
        return "train"
    return found.pop() if len(found) == 1 else ""
