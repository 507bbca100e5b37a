import shutil
import sys

import pytest

from tests.conftest import set_params
from tests.imports import ROOT
from thaw.project.errors import UserError
from tools import params


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)


def test_the_projects_own_params_fit(capsys):
    params.main()
    assert "keys fit" in capsys.readouterr().out


def test_a_folder_that_was_not_cloned_is_told_what_it_lacks(tmp_path, monkeypatch):
    (tmp_path / ".git").rename(tmp_path / "git")
    with pytest.raises(UserError, match="no Git repository, which DVC needs; `git init` makes it"):
        params.main()
    (tmp_path / ".git").write_text("gitdir: elsewhere", encoding="utf-8")  # a worktree
    (tmp_path / "thaw").mkdir()
    shutil.copy("params.yaml", "thaw")
    monkeypatch.chdir("thaw")
    params.main()


@pytest.mark.parametrize("section", params.SCHEMAS)
def test_a_wrong_key_of_any_section_is_named(tmp_path, section):
    set_params(tmp_path / "params.yaml", {section: {"no_such_key": 1}})
    with pytest.raises(UserError, match=rf"params.yaml \[{section}\.no_such_key\]: unknown key"):
        params.main()


def test_a_network_without_a_class_token_is_named(tmp_path):
    set_params(tmp_path / "params.yaml", {"head": {"pooling": "cls"}})
    with pytest.raises(UserError, match=r"\[head.pooling\]: EfficientNetLite0 has no class token"):
        params.main()
    preset = {"name": "hub:dinov2_small", "image_size": 224}
    set_params(tmp_path / "params.yaml", {"backbone": preset})
    params.main()


def test_flatten_without_maps_is_named(tmp_path):
    set_params(tmp_path / "params.yaml", {"head": {"pooling": "flatten"}})
    with pytest.raises(
        UserError, match=r"\[head.pooling\]: 'flatten' needs .* extract.feature_maps"
    ):
        params.main()
    set_params(tmp_path / "params.yaml", {"extract": {"feature_maps": True}})
    params.main()


def test_a_format_whose_package_is_missing_is_named(tmp_path, monkeypatch):
    set_params(tmp_path / "params.yaml", {"export": {"formats": ["litert"]}})
    params.main()
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(UserError, match=r"\[export.formats\]: litert needs .* ai-edge-litert"):
        params.main()


def test_an_unknown_section_is_named(tmp_path):
    with open(tmp_path / "params.yaml", "a") as file:
        file.write("\nfinetune:\n  epochs: 3\n")
    with pytest.raises(UserError, match=r"\[finetune\]: unknown section; known are data, images"):
        params.main()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("data", "on_invalid", "skip"),
        ("data", "sha256", "abc"),
        ("data", "max_invalid", 1.5),
        ("data", "min_side", 0),
        ("data", "max_megapixels", 0),
        ("data", "archive", {"max_ratio": 10.0}),
        ("images", "apply_exif_orientation", "yes"),
        ("images", "background", [0, 0]),
        ("images", "background", [0, 0, 256]),
        ("split", "test", 0.7),
        ("split", "near_duplicates", 41),
        ("split", "on_leak", "ignore"),
        ("split", "seed", 1.5),
        ("backbone", "name", "MobileNetV9"),
        ("backbone", "image_size", 16),
        ("extract", "feature_maps", "yes"),
        ("head", "hidden", [0]),
        ("head", "dropout", 1.0),
        ("train_head", "learning_rate", 0),
        ("train_head", "batch_size", 1),
        ("augmentation", "flip", "sideways"),
        ("augmentation", "rotation", 0.6),
        ("augmentation", "fill_mode", "white"),
        ("loss", "label_smoothing", 1.0),
        ("loss", "class_weights", "even"),
        ("head", "regularization", {"kernel_l1": 0.0}),
        ("train_head", "optimizer", "lion"),
        ("train_head", "warmup", -1),
        ("fine_tune", "unfreeze", 0),
        ("evaluate", "confidence", 95),
        ("export", "min_accuracy", 95),
        ("export", "formats", ["coreml"]),
        ("export", "formats", ["onnx", "onnx"]),
        ("export", "tolerance", 0),
        ("export", "int8_tolerance", 101),
        ("runtime", "workers", -1),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path, section, key, value):
    set_params(tmp_path / "params.yaml", {section: {key: value}})
    with pytest.raises(UserError, match=rf"\[{section}\.{key}"):
        params.main()
