import hashlib

import numpy as np
import pytest

from tests import tiny
from tests.server import running
from thaw.models import backbones, pretrained
from thaw.models.settings import Backbone
from thaw.project.errors import UserError

tiny.register()


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A server with weights of the network, and those."""
    tiny.register()
    model = backbones.build(spec(None))
    path = tmp_path_factory.mktemp("weights") / "x.weights.h5"
    model.save_weights(path)
    with running() as server:
        for name in ("/x.weights.h5", "/", "/..%2F"):
            server.files[name] = path.read_bytes()
        yield server, model


def spec(weights) -> Backbone:
    return Backbone(name=tiny.NAME, weights=weights, image_size=32)


def test_weights_of_an_address_have_the_digest_that_params_say(there, tmp_path, capsys):
    server, model = there
    address = f"{server.url}/x.weights.h5"
    digest = hashlib.sha256(server.files["/x.weights.h5"]).hexdigest()
    loaded = pretrained.load(spec(address), tmp_path / "a")
    assert f"  weights: {{file: {address}, sha256: {digest}}}\n" in capsys.readouterr().out
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))
    pretrained.load(spec({"file": address, "sha256": digest}), tmp_path / "b")
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match=f"is {digest} and not 0.*, and backbone.weights in params"):
        pretrained.load(spec({"file": address, "sha256": "0" * 64}), tmp_path / "c")


def test_so_have_those_of_a_file(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"other")
    wanted = {"file": str(tmp_path / "x.h5"), "sha256": "0" * 64}
    with pytest.raises(
        UserError, match=r"\[backbone.weights\]: .*x.h5: its SHA-256 is .* other by"
    ):
        pretrained.load(spec(wanted), tmp_path)


@pytest.mark.parametrize("name", ["", "..%2F", ".."])
def test_no_address_writes_outside_its_folder(there, tmp_path, name):
    server, _ = there
    with pytest.raises(UserError):
        pretrained.load(spec(f"{server.url}/{name}"), tmp_path / "a/b")
    assert {path.name for path in tmp_path.rglob("*") if path.parent != tmp_path / "a/b"} <= {
        "a",
        "b",
    }


@pytest.mark.parametrize("wrong", [3, {"sha256": "0" * 64}, {"file": "x", "sha256": "abc"}])
def test_what_is_no_file_is_refused(wrong):
    with pytest.raises(ValueError, match="weights"):
        spec(wrong)
