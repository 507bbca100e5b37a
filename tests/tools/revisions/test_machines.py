from tools.revisions import machines

ONE = {
    "instructions": ["AVX2", "FMA3", ""],
    "threads": 2,
    "versions": {"keras": "3.15.1", "numpy": "2.4.1"},
}


def test_equal_and_unknown_machines_do_not_differ():
    assert machines.difference(ONE, ONE) == ""
    assert machines.difference(None, ONE) == machines.difference(ONE, None) == ""


def test_devices_differ_where_both_are_known():
    card, processor = ONE | {"device": "A card"}, ONE | {"device": "CPU, oneDNN 1"}
    assert machines.difference(processor, card) == "device CPU, oneDNN 1 to A card"
    assert machines.difference(ONE, card) == ""
    assert machines.difference(card, ONE | {"device": None}) == ""


def test_all_that_differs_is_named():
    other = {
        "instructions": ["AVX2", "AVX512F", "AVX2"],
        "threads": 16,
        "devices": 4,
        "versions": {"keras": "3.15.1", "numpy": "2.4.2", "openvino": "2026.4"},
    }
    assert machines.difference(ONE, other) == (
        "instructions without FMA3, with AVX512F; threads 2 to 16; devices 1 to 4; numpy 2.4.1 to "
        "2.4.2; openvino none to 2026.4"
    )
