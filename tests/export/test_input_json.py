from tests.conftest import decoding
from thaw.export import input_json

DECODING = decoding(background=[255, 0, 7])


def test_how_images_are_fitted_is_told():
    for fit, words in (("pad", "in the middle of a square of b"), ("crop", "the largest square")):
        pixels = input_json.contract(4, DECODING.model_copy(update={"fit": fit}))["pixels"]
        assert pixels["fit"] == fit
        assert words in pixels["resize"]


def test_files_of_16_bits_are_told_of_where_there_are_any():
    assert "sixteen_bits" not in input_json.contract(4, DECODING)["pixels"]
    deep = DECODING.model_copy(update={"bits": 12})
    assert input_json.contract(4, deep)["pixels"]["sixteen_bits"] == {
        "fill": 12,
        "to_8_bits": "value * 255 // 4095, at most 255",
    }
