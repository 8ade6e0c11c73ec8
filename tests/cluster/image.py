"""Build the image without Docker: ``python -m tests.cluster.image OUT.tar NAME:TAG [--debug] [--label NAME=VALUE]``.

Three layers: Debian's Python, what the lock names, our own distributions. Each is kept in a cache under the digest of
all that it is made of, so that a changed module makes only the last one anew, and another label none.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tests.cluster import debian, environment, recipe
from tests.cluster.lock import ROOT, subset
from tests.cluster.oci import Config, Layer, full_name, pack_layer, write_archive

CACHE: Final = Path.home() / ".cache" / "naisho" / "image"
#: The modules whose text decides what is in a layer.
_STEPS: Final = ("bytecode", "debian", "environment", "image", "oci", "recipe")
#: Layers of one name that the cache keeps: those of a few branches.
_KEPT: Final = 6
_MEGABYTE: Final = 1_000_000


class Image(NamedTuple):
    """An image in an archive."""

    archive: Path
    #: With its registry, as pods name it.
    reference: str
    #: Of the manifest, with its ``sha256:``.
    digest: str
    layers: tuple[Layer, ...]


def build(
    out: Path,
    reference: str,
    *,
    labels: Mapping[str, str] | None = None,
    debug: bool = False,
    tree: Path = ROOT,
    cache: Path = CACHE,
) -> Image:
    """Build the image from a checkout as it is.

    Args:
        out: the archive to write.
        reference: its name and tag, such as ``naisho:dev``.
        labels: instead of the recipe's own, or beside them. Another label gives another image of the same layers.
        debug: with a shell.
        tree: the checkout, this one if nothing else is said.
        cache: where packages and layers are kept.

    Raises:
        RuntimeError: this machine cannot build it; the text says what is missing.
        subprocess.CalledProcessError: a step failed and has said why on standard error.
        ValueError: the reference has no tag.
    """
    if sys.version_info[:2] != (3, 11):
        raise RuntimeError(f"the image's Python is 3.11, and its packages are chosen by this one: {sys.version}")
    full_name(reference)  # a name that is refused after the work would be late
    layers = (_base(cache, debug=debug), dependencies_layer(cache, tree), _code(cache, tree))
    config = Config(
        environment=recipe.ENVIRONMENT,
        user=f"{recipe.USER}:{recipe.USER}",
        working_directory=recipe.WORKING_DIRECTORY,
        command=recipe.COMMAND,
        labels={**recipe.labels(tree), **(labels or {})},
    )
    digest = write_archive(out, reference, config, layers)
    return Image(out, full_name(reference), digest, layers)


def _base(cache: Path, *, debug: bool) -> Layer:
    packages = debian.candidates((*recipe.DEBIAN_ALL, *(recipe.DEBIAN_DEBUG if debug else ())))

    def fill(root: Path, work: Path) -> None:
        del work
        debian.lay_out(debian.fetch(packages, cache / "debs"), root)

    return _layer(cache, "base", repr(packages), fill)


def dependencies_layer(cache: Path, tree: Path) -> Layer:
    """Return the layer with what the lock names, made anew or from the cache.

    Raises:
        subprocess.CalledProcessError: pip could not install; it has said why on standard error.
    """
    entries = subset("run", tree)

    def fill(root: Path, work: Path) -> None:
        environment.install_locked(entries, root, work)

    return _layer(cache, "dependencies", "".join(entry.text for entry in entries), fill)


def _code(cache: Path, tree: Path) -> Layer:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"  # what is digested is what is built, whatever happens to the tree meanwhile
        environment.copy_sources(tree, copy)

        def fill(root: Path, work: Path) -> None:
            environment.install_wheels(environment.build_wheels(work, copy), root)

        made_of = {
            path.relative_to(copy).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(copy.rglob("*"))
            if path.is_file()
        }
        return _layer(cache, "code", repr(made_of), fill)


def _layer(cache: Path, name: str, made_of: str, fill: Callable[[Path, Path], None]) -> Layer:
    """Return a layer from the cache, or have it filled and keep it.

    Args:
        cache: where layers are kept.
        name: what to call it; part of its key.
        made_of: says all that goes into it, but for the recipe and this Python, which are added here.
        fill: is given two empty folders: what will be ``/``, and one for what is only needed meanwhile.
    """
    steps = [(Path(__file__).parent / f"{step}.py").read_text(encoding="utf-8") for step in _STEPS]
    told = [name, made_of, sys.version, *steps]
    key = f"{name}-{hashlib.sha256(repr(told).encode()).hexdigest()[:32]}"
    folder = cache / "layers"
    folder.mkdir(parents=True, exist_ok=True)
    kept, blob = folder / f"{key}.json", folder / f"{key}.tar.gz"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=folder) as made:
            root, work = Path(made) / "root", Path(made) / "work"
            root.mkdir()
            work.mkdir()
            fill(root, work)
            layer = pack_layer(root, Path(made) / "blob")
            told_of = {"digest": layer.digest, "diff_id": layer.diff_id, "size": layer.size}
            (Path(made) / "kept").write_text(json.dumps(told_of), encoding="utf-8")
            layer.blob.replace(blob)
            (Path(made) / "kept").replace(kept)  # the last: what it tells of is there
    kept.touch()
    _forget(folder, name)
    found = json.loads(kept.read_text(encoding="utf-8"))
    return Layer(blob, found["digest"], found["diff_id"], found["size"])


def _forget(folder: Path, name: str) -> None:
    """Remove the layers of one name that were not used for longest."""
    last = sorted(folder.glob(f"{name}-*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for kept in last[_KEPT:]:
        kept.unlink(missing_ok=True)
        kept.with_suffix(".tar.gz").unlink(missing_ok=True)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"not NAME=VALUE: {text!r}")
    return ("org.opencontainers.image.version" if name == "version" else name), value


def main() -> None:
    """Build, and say what was built."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster.image", description="Build the image without Docker."
    )
    parser.add_argument("out", type=Path, help="the archive to write")
    parser.add_argument("reference", help="name and tag, such as naisho:dev")
    parser.add_argument("--debug", action="store_true", help="with a shell (busybox)")
    parser.add_argument("--label", action="append", default=[], type=_label, help="version=..., or any NAME=VALUE")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout than this one")
    given = parser.parse_args()
    began = time.perf_counter()
    try:
        image = build(given.out, given.reference, labels=dict(given.label), debug=given.debug, tree=given.tree)
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
    sizes = ", ".join(f"{layer.size / _MEGABYTE:.0f}" for layer in image.layers)
    total = sum(layer.size for layer in image.layers) / _MEGABYTE
    sys.stdout.write(
        f"{image.reference} {image.digest}\n"
        f"{image.archive}: {image.archive.stat().st_size / _MEGABYTE:.0f} MB, "
        f"{total:.0f} MB unpacked (layers {sizes}), in {time.perf_counter() - began:.1f} s\n"
    )


if __name__ == "__main__":
    main()
