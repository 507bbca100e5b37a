import inspect
import json
import zipfile

import keras
import numpy as np
import pytest
from keras import initializers, layers, ops

from thaw.export import keras_file
from thaw.export.formats import EXPORT_FORMATS


def of(module) -> list[type]:
    return [each for each in vars(module).values() if inspect.isclass(each)]


CLASSES = [*of(layers), *of(initializers)]


def network(**batch_normalization) -> keras.Model:
    keras.utils.set_random_seed(3)
    pixels = keras.Input((7, 7, 3), name="pixels")
    x = layers.Conv2D(5, 3)(ops.flip(layers.Rescaling(0.01)(pixels), axis=-1))
    x = layers.BatchNormalization(name="norm", **batch_normalization)(x)
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pixels, layers.Softmax()(x))


def written(model: keras.Model, folder):
    file = folder / "model.keras"
    EXPORT_FORMATS["keras"].write(model, file, lambda: None)
    return file


def test_what_is_left_out_is_at_its_default():
    """Of every class of Keras that has such an argument."""
    found = set()
    for each in CLASSES:
        for name, argument in inspect.signature(each.__init__).parameters.items():
            if name in keras_file.ADDED:
                assert argument.default == keras_file.ADDED[name], (each, name)
                found.add(name)
    assert found == set(keras_file.ADDED)


def test_a_keras_that_does_not_know_these_arguments_loads_the_file(tmp_path, monkeypatch):
    """A stand-in for Keras 3.4: the classes of the installed one, refusing what it refuses."""
    model = network()
    file, whole = written(model, tmp_path), tmp_path / "whole.keras"
    model.save(whole)

    def refusing(unknown: set[str], known):
        def earlier(config: dict):
            assert not unknown & set(config)
            return known(config)

        return earlier

    flip = next(each for each in model.operations if type(each).__name__ == "Flip")
    for each in (layers.BatchNormalization, layers.Dense, initializers.GlorotUniform):
        monkeypatch.setattr(each, "from_config", refusing(set(keras_file.ADDED), each.from_config))
    monkeypatch.setattr(type(flip), "from_config", refusing({"name"}, type(flip).from_config))
    with pytest.raises(AssertionError):
        keras.saving.load_model(whole)
    loaded = keras.saving.load_model(file)
    pixels = np.random.default_rng(0).uniform(0, 255, (5, 7, 7, 3)).astype("float32")
    assert np.array_equal(loaded.predict_on_batch(pixels), model.predict_on_batch(pixels))


def test_what_is_not_at_its_default_stays(tmp_path):
    loaded = keras.saving.load_model(written(network(renorm=True), tmp_path))
    assert loaded.get_layer("norm").renorm is True
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        text = json.dumps(json.loads(archive.read("config.json")))
        assert archive.testzip() is None
    assert '"renorm": true' in text
    assert "renorm_momentum" not in text
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]


def test_what_is_needed_is_keras_alone_where_no_layer_is_of_others():
    assert keras_file.needs(network()) == f"keras >= {keras_file.OLDEST}"
