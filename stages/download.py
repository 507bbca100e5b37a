"""Bring the pictures into the project and check that every one of them decodes.

Reads  data.source: the built-in digits, a folder, an archive or a URL
Writes data/raw/             the pictures, in the folders they came in
       data/manifest.csv     path, label, given_split, sha256, format, mode, width, height
       data/quarantine.csv   path, label, reason: the files that are no readable pictures
"""

from stages.lib import audit, files, params, paths, sources
from stages.lib.errors import UserError, run
from stages.lib.runtime import Runtime


def main() -> None:
    settings, runtime = params.load(sources.Data, "data"), params.load(Runtime, "runtime")
    with files.replacing(paths.RAW) as folder:
        sources.fetch(settings.source, folder)
        found = audit.find(folder)
        manifest, quarantine = audit.check(found, folder, runtime.threads)
        if len(quarantine) and settings.on_bad == "fail":
            path, _, reason = quarantine.iloc[0]
            raise UserError(
                f"{len(quarantine)} of {len(found)} pictures are unreadable, the first is {path} "
                f"({reason}); mend them, or set data.on_bad to quarantine in params.yaml"
            )
        lost = sorted({each.label for each in found} - set(manifest["label"]))
        if lost:
            raise UserError(
                f"class {lost[0]!r} has no readable picture left; mend its pictures or remove it"
            )
        others = audit.left_out(folder, found)
    files.write_csv(paths.MANIFEST, manifest)
    files.write_csv(paths.QUARANTINE, quarantine)
    print(f"{len(found)} pictures found = {len(manifest)} used + {len(quarantine)} quarantined")
    if others:
        print(f"{others} other files left out: hidden, or not in a class folder")


if __name__ == "__main__":
    run(main)
