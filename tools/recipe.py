"""Put a published recipe into params.yaml: `python -m tools.recipe NAME`, or `--show` it only.

A recipe is a part of params.yaml in recipes/NAME.yaml; its keys replace those of the same name, and
all other keys and all comments stay. Without NAME the recipes are listed.
"""

import argparse
import io
from difflib import get_close_matches
from pathlib import Path

from ruamel.yaml import YAML

from thaw.project import files, params, paths, stage_run
from thaw.project.cli import run
from thaw.project.errors import UserError

RECIPES = Path(__file__).parents[1] / "recipes"


def apply(text: str, recipe: dict) -> str:
    """Return the text of a params.yaml with the recipe's keys in it and all comments kept.

    Raises UserError for a section or key that params.yaml does not have.
    """
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 100
    yaml.representer.add_representer(type(None), _null)
    values = yaml.load(text)
    for section, keys in recipe.items():
        for key, value in keys.items():
            if key not in values.get(section, {}):
                raise UserError("unknown key", f"{section}.{key}", "fix the recipe")
            values[section][key] = value
    written = io.StringIO()
    yaml.dump(values, written)
    return written.getvalue()


def change(recipe: dict) -> None:
    """Change params.yaml by a recipe; raises what `apply` raises."""
    changed = apply(paths.PARAMS.read_text(encoding="utf-8"), recipe)
    with files.replacing(paths.PARAMS) as partial:
        partial.write_text(changed, encoding="utf-8")


def _null(representer, _: None):
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def load(name: str) -> dict:
    """Return a recipe. Raises UserError that lists the recipes when there is none of that name."""
    file = RECIPES / f"{name}.yaml"
    if not file.is_file():
        known = sorted(path.stem for path in RECIPES.glob("*.yaml"))
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UserError(f"no recipe {name!r}; {hint}")
    return params.read(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?")
    parser.add_argument("--show", action="store_true", help="print the recipe, change nothing")
    options = parser.parse_args()
    if options.name is None:
        for file in sorted(RECIPES.glob("*.yaml")):
            first = file.read_text(encoding="utf-8").splitlines()[0]
            print(f"{file.stem:<22}  {first.removeprefix('# ')}")
        return
    recipe = load(options.name)
    if options.show:
        print((RECIPES / f"{options.name}.yaml").read_text(encoding="utf-8"), end="")
        return
    with stage_run.alone():
        change(recipe)
    print(f"{paths.PARAMS} follows {options.name}; `git diff {paths.PARAMS}` shows what changed")


if __name__ == "__main__":
    run(main)
