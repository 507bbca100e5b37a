"""The names that people give to splits: training_set, seg_train, Test Images, dev, holdout, val."""

import re

WORDS = {
    "train": r"train(ing)?|trn|train(ing)?val(id(ation)?)?",
    "validation": r"val(id(ation|ate)?)?|dev(el(opment)?)?",
    "test": r"test(ing)?|tst|eval(uation)?|holdout|heldout",
}
# what is written on to a word: trainset, testdata, valimages
ENDINGS = r"(set|sets|data|dataset|split|images?|imgs?|pics?|pictures?|photos?|dir|folder)?"
PATTERNS = {split: re.compile(f"({words}){ENDINGS}") for split, words in WORDS.items()}


def split_of(name: str) -> str:
    """Return "train", "validation" or "test" for a name with a word for it, else "".

    Letters of both cases, digits and signs part words: `TrainImages`, `train_images` and
    `train2017` are one. Train and validation in one name make train, any other two make none.
    """
    text = re.sub(r"(?i)(hold|held)[ _-]?out", "holdout", name)
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)]
    found = {split for word in words for split, words in PATTERNS.items() if words.fullmatch(word)}
    if found == {"train", "validation"}:
        return "train"
    return found.pop() if len(found) == 1 else ""
