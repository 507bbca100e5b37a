"""A page that classifies images: `make serve`, or `python -m tools.serve`.

Shows for each image the classes, where the network looks and the nearest training images, and
on a second tab the model card and the figures of the run. It also answers programs:

    curl --form file=@cat.jpg http://127.0.0.1:8000/predict

Listens on this machine only, unless --host says otherwise. Ctrl-C ends it.
"""

import argparse
import functools
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np

from thaw.project import params
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.sources.settings import Data
from tools.revisions import dvc_lock
from tools.serving import neighbours
from tools.serving.listening import LOOPBACK, check_installed, listen, port, serve
from tools.serving.predictor import Predictor, load_predictor
from tools.serving.responses import Responder


def positive(text: str) -> float:
    if not 0 < float(text) < float("inf"):
        raise ValueError
    return float(text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", default="fine_tuned", help="head, fine_tuned, a path or an experiment"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen; 0.0.0.0 is everywhere"
    )
    parser.add_argument("--port", type=port, default=8000, help="0 takes any that is free")
    parser.add_argument(
        "--max-megabytes", type=positive, default=20.0, help="the largest file that is taken"
    )
    return parser.parse_args()


def gradcam_overlay(predictor: Predictor) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return what lays the Grad-CAM heatmap of a class over pixels uint8 (1, size, size, 3).

    Raises UserError when this network has no Keras model here, or one without feature maps.
    """
    model, size = predictor.network(), predictor.loader.size
    from thaw.evaluation import gradcam

    def overlay(pixels: np.ndarray, chosen: int) -> np.ndarray:
        heat = gradcam.heatmaps(model, pixels.astype("float32"), np.array([chosen]))
        return gradcam.overlay(pixels, heat)

    try:
        overlay(np.zeros((1, size, size, 3), "uint8"), 0)
    except ValueError as error:
        raise UserError(str(error)) from None
    return overlay


def of_this_run(model: str) -> bool:
    return model in ("fine_tuned", "head")


def load(options: argparse.Namespace) -> tuple[Responder, list[str]]:
    """Load all that the page can show; return it, and what is missing, in a sentence each."""
    import thaw.models.tf_setup  # noqa: F401  here, as --help and a taken port need not wait for it

    data = params.load(Data, "data")
    predictor, missing = load_predictor(options.model), []
    overlay = nearest = None
    try:
        overlay = gradcam_overlay(predictor)
    except UserError as error:
        missing.append(f"Where the network looks is not shown: {error}.")
    if of_this_run(options.model):
        try:
            nearest = functools.partial(neighbours.nearest, neighbours.load())
        except UserError as error:
            missing.append(f"The nearest training images are not shown: {error}.")
    else:
        missing.append(
            f"{options.model} is not of the run in this folder, whose training images, model "
            "card and figures are not shown."
        )
    largest = int(options.max_megabytes * 1e6)
    return Responder(predictor, data, largest, overlay, nearest), missing


def main() -> None:
    options = arguments()
    check_installed("serve", ["fastapi", "uvicorn"])
    from tools.serving import app

    listening = listen(options.host, options.port)
    print("loading the classifier ...", flush=True)
    local = options.host in LOOPBACK
    with dvc_lock.of_one_run() if of_this_run(options.model) else nullcontext():
        responder, missing = load(options)
        application = app.build(
            responder, missing, LOOPBACK if local else ["*"], with_run=of_this_run(options.model)
        )
    for sentence in missing:
        print(sentence)
    if not local:
        print("whoever reaches this machine can use the page")
    serve(application, options.host, listening)


if __name__ == "__main__":
    run(main)
