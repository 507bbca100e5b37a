import pandas as pd
import pytest

from tests.conftest import decoding
from thaw.data import value_range

AUTO = decoding()
TWELVE = AUTO.model_copy(update={"bits": 12})
EIGHT_BITS = pd.DataFrame({"mode": ["RGB", "L", "P"]})
GREY = pd.DataFrame({"mode": ["I", "L"]})


def rows(*largest) -> pd.DataFrame:
    """As the manifest has them in memory; as text they are as on the disk."""
    return pd.DataFrame({"mode": "I;16", "largest": largest})


@pytest.mark.parametrize(
    ("decoding", "manifest", "bits"),
    [
        (AUTO, rows(900, "", 4000, 90), 12),
        (AUTO, rows("900", "", "4000"), 12),
        (AUTO, rows(900, 4000, 65535), 16),
        (AUTO, rows(0), 8),
        (TWELVE, rows(900, 65535), 12),
        (AUTO, EIGHT_BITS, "auto"),
        (TWELVE, EIGHT_BITS, "auto"),
        (TWELVE, rows("", ""), 16),  # of which each says its range
        (AUTO, GREY, 16),
    ],
)
def test_one_number_for_all_files_of_16_bits(decoding, manifest, bits):
    settled = value_range.of_set(decoding, manifest)
    assert settled == AUTO.model_copy(update={"bits": bits})
    assert value_range.of_set(settled, manifest).bits == bits


def test_who_has_other_bits_than_the_set():
    manifest = rows(900, "", 4000, 90, 4095)
    settled = value_range.of_set(AUTO, manifest)
    assert value_range.decoded_otherwise(manifest, AUTO, settled).tolist() == [0, 3]
    assert value_range.decoded_otherwise(manifest, TWELVE, TWELVE).tolist() == []
    assert value_range.decoded_otherwise(EIGHT_BITS, AUTO, AUTO).tolist() == []


def test_what_is_said():
    said = "3 images have 16 bits a value, with values up to {}; these are taken as of {} bits"
    assert value_range.summary(EIGHT_BITS, AUTO) == ""
    assert value_range.summary(rows(900, "", 4000, 3000), AUTO) == (
        f"{said.format(4000, 12)} (images.bits: auto)"
    )
    assert value_range.summary(rows(900, 60000, 5000), TWELVE) == (
        f"{said.format(60000, 12)} (images.bits: 12); 2 have larger values, which become white"
    )
    assert value_range.summary(rows(900, 1030, 65535), AUTO) == (
        f"{said.format(65535, 16)} (images.bits: auto); 2 fill 12 bits only and become dark: "
        "images.bits: 12 makes them brighter and larger values white"
    )
