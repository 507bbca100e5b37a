import re

from thaw.models.registry import NETWORKS
from tools import backbones


def test_every_network_has_a_line(capsys):
    backbones.main()
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.split() == ["name", "size", "smallest", "pixels", "weights", "top-1"]
    assert [line.split()[0] for line in lines] == sorted(NETWORKS)
    vgg = next(line for line in lines if line.startswith("VGG16"))
    assert re.fullmatch(r"VGG16 +224 +32  BGR - mean +14,714,688 +71\.3%", vgg)
