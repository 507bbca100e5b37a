import pytest

from thaw.labels.split_words import split_of


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (
            "train training Training_Set seg_train Train_Images cars_train train7 trainset",
            "train",
        ),
        ("TRAIN trainval train-val my.train.data TrainImages", "train"),
        ("val valid validation Validation_Set valset dev devset seg_dev val2014", "validation"),
        ("test testing cars_test seg_test TestImages holdout hold_out held-out evaluation", "test"),
        ("Trainingsdaten entraînement treino обучение 训练集 訓練用 학습", "train"),
        ("Validierung validación validação валидация 验证集 驗證集 検証用 검증", "validation"),
        ("Testdaten prueba teste тест 测试集 測試集 テスト 시험", "test"),
        ("cat trains contest latest validity invalid developer attest pred test_train all", ""),
    ],
)
def test_a_split_is_known_by_a_word_in_its_name(names, split):
    assert {name: split_of(name) for name in names.split()} == dict.fromkeys(names.split(), split)


def test_words_apart():
    assert split_of("Test Images") == "test"
    assert split_of("hold out") == "test"
