"""The store's keys have all that decides its values."""

import ast
import functools
import os
import shutil
import sys
from importlib import metadata

import pytest

from tests.imports import ROOT, imported
from thaw.features import inference, store
from thaw.project import software

# What computes the values, with all that it imports.
COMPUTE = (
    "features/extract.py", "training/augmentation.py", "training/frozen_activations.py",
)  # fmt: skip
DECIDES_NOTHING = {
    "project": "params and files; what they hold is in the keys by value or by digest",
    "training/processor_form.py": "of the layers that train, which come after what is stored",
    "training/settings.py": "what is checked; its values are in the keys",
}
COMPUTES_NOTHING = {
    "h5py": "reads weights as they are",
    "nvidia-ml-py": "the memory of a GPU; what it decides is in the keys",
    "pandas": "tables",
    "platformdirs": "the place of the cache",
    "pydantic": "checks params",
    "ray": "brings images to hosts and features back",
    "ruamel.yaml": "reads params",
    "tqdm": "progress bars",
}


@functools.cache
def reached() -> dict[str, ast.Module]:
    """Return the library's modules that compute what is stored, by their places in thaw/."""
    files = {file for place in COMPUTE for file in imported(software.LIBRARY / place)}
    return {
        file.relative_to(software.LIBRARY).as_posix(): ast.parse(file.read_text(encoding="utf-8"))
        for file in files
    }


def test_each_module_is_in_the_keys_or_decides_no_value():
    places = {*store.CODE, *DECIDES_NOTHING}
    known = [{name, name.split("/")[0]} & places for name in reached()]
    assert [name for name, place in zip(reached(), known) if not place] == []
    assert set().union(*known) == places


def test_each_package_is_in_the_keys_or_computes_nothing():
    names = set()
    for node in (node for tree in reached().values() for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    packages = metadata.packages_distributions()
    found = {packages[each][0] for each in names - sys.stdlib_module_names - {"thaw"}}
    assert found == {*software.PACKAGES, *COMPUTES_NOTHING}


@pytest.mark.parametrize("place", store.CODE)
def test_other_code_has_other_keys(tmp_path, monkeypatch, place):
    before = store.keys({}, ["x"])
    shutil.copytree(ROOT / "thaw", tmp_path / "thaw")
    monkeypatch.setattr(software, "LIBRARY", tmp_path / "thaw")
    assert store.keys({}, ["x"])[0] == before[0]
    changed = tmp_path / "thaw" / place
    changed = changed if changed.is_file() else max(changed.glob("*.py"))
    changed.write_text(f"{changed.read_text(encoding='utf-8')}\n", encoding="utf-8")
    assert store.keys({}, ["x"])[0] != before[0]


def test_other_decoders_have_other_keys(monkeypatch):
    before = store.keys({}, ["x"])
    monkeypatch.setattr(store.pillow, "version", lambda name: "3.0.1")
    assert store.keys({}, ["x"])[0] != before[0]


def test_a_processor_for_which_numpy_names_none_is_no_error(monkeypatch):
    monkeypatch.setattr(software.np, "show_config", lambda mode: {"SIMD Extensions": {}})
    assert software.instructions()[-1] == os.environ.get("ONEDNN_MAX_CPU_ISA", "")


def test_instructions_are_named_that_numpy_does_not_know(tmp_path, monkeypatch):
    def named(text: str) -> list[str]:
        (tmp_path / "cpuinfo").write_text(text)
        software.flags.cache_clear()
        return software.flags()

    monkeypatch.setattr(software, "CPUS", tmp_path / "cpuinfo")
    x86 = "model name\t: A\nflags\t\t: fpu sse2 avx2 {}fma rdseed\n\nflags\t\t: other\n"
    assert named(x86.format("")) == ["avx2", "fma", "sse2"]
    before = store.keys({}, ["x"])
    assert named(x86.format("amx_bf16 avx512_bf16 ")) == [
        "amx_bf16", "avx2", "avx512_bf16", "fma", "sse2"
    ]  # fmt: skip
    assert store.keys({}, ["x"])[0] != before[0]
    assert named("processor\t: 0\nFeatures\t: fp asimd crc32 i8mm bf16\n") == [
        "asimd", "bf16", "i8mm"
    ]  # fmt: skip
    (tmp_path / "cpuinfo").unlink()
    software.flags.cache_clear()
    assert software.flags() == []
    software.flags.cache_clear()


def test_what_tensorflow_computes_on_is_named(monkeypatch):
    import thaw.models.tf_setup  # noqa: F401  first, before Keras

    # isort: split
    import tensorflow as tf

    assert inference.tensorflow_device() == "CPU, oneDNN 1"
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    details = {"device_name": "H100"}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: details)
    assert inference.tensorflow_device() == "H100"
