"""A container image made of nothing but a server binary and the libraries it needs.

No registry is asked: the image is built ``FROM scratch`` with the recipe in
``fixtures/images/server.Dockerfile``, and tagged by its content, so that it is built once.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from slotproof.data import fixtures_dir
from slotproof.errors import EnvironmentProblem
from slotproof.fetch import cache

LABEL = "org.slotproof.image"
_LIBRARIES = "lib/slotproof"
_SERVER = "usr/bin/server"


def recipe() -> Path:
    """Return the path of the Dockerfile."""
    return fixtures_dir() / "images" / "server.Dockerfile"


def parse_ldd(text: str) -> tuple[Mapping[str, Path], Path | None]:
    """Return (library name to its file, the program loader) from the output of ldd.

    A statically linked program has neither. Raises ValueError naming a library that is not there.
    """
    libraries: dict[str, Path] = {}
    loader = None
    for line in text.splitlines():
        if missing := re.match(r"\s*(\S+) => not found", line):
            raise ValueError(f"the library {missing[1]} is not on this machine")
        if found := re.match(r"\s*(\S+) => (/\S+) \(", line):
            libraries[found[1]] = Path(found[2])
        elif alone := re.match(r"\s*(/\S+) \(", line):
            loader = Path(alone[1])
    return libraries, loader


def layout(binary: Path) -> Mapping[str, Path]:
    """Return path inside the image to file on this machine. Raises EnvironmentProblem."""
    tried = f"finding the shared libraries of {binary}"
    try:
        done = subprocess.run(
            ["ldd", str(binary)], capture_output=True, text=True, timeout=30, check=False
        )
        libraries, loader = parse_ldd(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(
            tried, str(error), "use the embedded servers (--backend embedded)"
        ) from error
    files = {_SERVER: binary}
    files.update({f"{_LIBRARIES}/{name}": path for name, path in libraries.items()})
    if loader:
        files[str(loader).lstrip("/")] = loader
    return files


def tag_of(name: str, files: Mapping[str, Path]) -> str:
    """Return ``slotproof/NAME:DIGEST``; the digest covers paths, contents and the recipe."""
    digest = hashlib.sha256(recipe().read_bytes())
    for target, source in sorted(files.items()):
        digest.update(f"{target} {cache.sha256_of(source)}\n".encode())
    return f"slotproof/{name}:{digest.hexdigest()[:16]}"


def build(name: str, binary: Path) -> str:
    """Return the tag of the image for ``binary``, building it where the engine has it not yet.

    Needs testcontainers and an engine. Raises EnvironmentProblem.
    """
    from docker.errors import DockerException, ImageNotFound
    from testcontainers.core.image import DockerImage

    files = layout(binary)
    tag = tag_of(name, files)
    with cache.locked(f"image-{tag.replace('/', '-').replace(':', '-')}"), cache.staging() as stage:
        shutil.copyfile(recipe(), stage / "Dockerfile")
        for target, source in files.items():
            path = stage / "root" / target
            cache.ensure_dir(path.parent)
            shutil.copyfile(source, path)
            path.chmod(0o755)
        image = DockerImage(
            stage, tag=tag, clean_up=False, labels={LABEL: name}, rm=True, network_mode="none"
        )
        client = image.get_docker_client().client
        try:
            client.images.get(tag)
        except ImageNotFound:
            try:
                image.build()
            except DockerException as error:
                raise EnvironmentProblem(
                    f"building the image {tag}", str(error), "see the engine's log"
                ) from error
        finally:
            client.close()
    return tag
