import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.imports import ROOT
from thaw.models import hdf5_file
from thaw.project.errors import UserError

SECRET = b"AWS_SECRET_KEY=" + b"x" * 1000
SHAPE = (4, 7)


def external_link(file, secret):
    file["dense/kernel"] = h5py.ExternalLink("secret.h5", "/kernel")


def soft_link(file, secret):
    file["dense/kernel"] = h5py.SoftLink("/elsewhere")


def external_storage(file, secret):
    file.create_dataset("dense/kernel", SHAPE, "f4", external=[(str(secret), 0, 112)])


def virtual(file, secret):
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(secret.with_name("secret.h5"), "kernel", SHAPE)
    file.create_virtual_dataset("dense/kernel", layout)


def packed(file, secret):
    zeros = np.zeros((1 << 14, 1 << 10), "f4")
    file.create_dataset("dense/kernel", data=zeros, compression="gzip")


def declared_only(file, secret):
    file.create_dataset("dense/kernel", (1 << 15, 1 << 15), "f4")


HOSTILE = {
    external_link: "kernel is a link, which may lead out of the file",
    soft_link: "kernel is a link, which may lead out of the file",
    external_storage: "the values of kernel lie in other files",
    virtual: "the values of kernel lie in other files",
    packed: "the values of kernel are packed; save them without compression",
    declared_only: "kernel declares 4294967296 bytes, which the file has not",
}


@pytest.fixture(params=HOSTILE, ids=lambda make: make.__name__)
def hostile(request, tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = np.ones(SHAPE, "f4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"kernel"]
        request.param(file, tmp_path / "secret")
    return tmp_path / "x.h5", HOSTILE[request.param]


def test_what_leads_out_of_a_file_or_is_not_in_it_is_refused(hostile):
    path, message = hostile
    with pytest.raises(ValueError, match=f"^{message}$"), hdf5_file.opened(path):
        pass


def test_nothing_of_it_becomes_a_weight(hostile):
    import keras

    from thaw.models import weights

    path, message = hostile
    model = keras.Sequential([keras.Input(SHAPE[:1]), keras.layers.Dense(SHAPE[1], use_bias=False)])
    before = model.get_weights()
    for load in (weights.load_pretrained, weights.load):
        with pytest.raises(UserError, match=message):
            load(model, path)
    assert np.array_equal(model.get_weights(), before)


def test_refusing_takes_no_memory(hostile):
    """Within 64 MB beyond the libraries, of files that declare up to 4 GB."""
    code = (
        "import resource, sys; from pathlib import Path; from thaw.models import hdf5_file\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)\n"
        "try:\n    with hdf5_file.opened(Path(sys.argv[1])): pass\n"
        "except ValueError as error: print(error)\n"
    )
    path, message = hostile
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == f"{message}\n", done.stderr


def test_groups_that_hold_one_another_end(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/b/values"] = np.arange(3)
        file["a/b/a"] = file["a"]
        file["a/b/root"] = file["/"]
    with hdf5_file.opened(tmp_path / "x.h5") as file:
        assert file["a/b/a/b/values"][()].tolist() == [0, 1, 2]


def test_endless_objects_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_file, "MOST", 5)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for number in range(6):
            file.create_group(str(number))
    with (
        pytest.raises(ValueError, match="more than 5 objects"),
        hdf5_file.opened(tmp_path / "x.h5"),
    ):
        pass
