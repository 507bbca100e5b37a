"""Features by a plain script: `python -m benchmarks.openvino_script FOLDER MODEL.xml OUT.npy`.

What one writes who has OpenVINO's form of a network: two threads decode batches with Pillow ahead,
and the compiled network runs each. It imports nothing of thaw.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino
from PIL import Image

BATCH, THREADS = 32, 2


def decode(paths: list[Path], size: int) -> np.ndarray:
    pixels = []
    for path in paths:
        with Image.open(path) as image:
            resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            pixels.append(np.asarray(resized, "float32"))
    return np.stack(pixels)


def main() -> None:
    folder, file, out = map(Path, sys.argv[1:])
    exactly = {"INFERENCE_PRECISION_HINT": "f32"}
    network = openvino.compile_model(str(file), "CPU", exactly)
    size = network.inputs[0].partial_shape[1].get_length()
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    with ThreadPoolExecutor(THREADS) as pool:
        decoded = pool.map(lambda batch: decode(batch, size), batches)
        found = [network(pixels)["avg"] for pixels in decoded]
    np.save(out, np.concatenate(found))


if __name__ == "__main__":
    main()
