"""Encoders of a user's own as files, ONNX or programs of torch.export. Must not know: data sets, labels, files of ours.

An encoder is the body of a `Classifier`, which normalizes the pixels.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mixnn.errors import InputError, short_of_memory
from mixnn.models.classifier import Classifier

IMAGENET = ("0.485,0.456,0.406", "0.229,0.224,0.225")  # mean and deviation of pixels in 0–1 that most were trained with
SIZE = 224  # pixels, of an encoder that takes any and where nobody says
FLOATS = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}
APART = 0.02  # of the largest feature: as much as rounding to 16 bits makes, and less than a neighbor in a batch does
Shape = Sequence[int | None]  # of inputs; None where any number goes


def load_encoder(
    path: str, device: torch.device, *, size: int | None = None, mean: str | None = None, std: str | None = None
) -> Classifier:
    """A network whose features are the output of the encoder, (B, 3, S, S) -> float32 (B, D); its head is not of use.

    Of several outputs the first of shape (B, D) or (B, D, 1, 1) is taken, or else the first of tokens (B, T, D), whose
    mean over the T tokens is the feature.

    Args:
        path: an .onnx file, or a .pt2 file, which may run code of whoever made it.
        size: pixels that it is given where it takes any; 224 where not said.
        mean, std: of pixels in 0–1, three numbers with commas between or one: (pixel - mean) / std is what it is
            given. ImageNet's where not said.

    Raises:
        InputError: it cannot be read, takes something else than RGB images, gives something else than features, or the
            features of an image depend on the images beside it.

    Example:
        >>> encoder = load_encoder("encoder.onnx", torch.device("cpu"))  # doctest: +SKIP
        >>> encoder.features_and_logits(images)[0]  # doctest: +SKIP
    """
    kinds = {".onnx": OnnxEncoder, ".pt2": ExportedEncoder}
    kind = kinds.get(Path(path).suffix.lower())
    if kind is None:
        raise InputError(f"--encoder {path} ends neither with .onnx nor with .pt2: export the network as one of these")
    if not Path(path).is_file():
        raise InputError(f"--encoder {path} is no file: give the one that you exported")
    statistics = [
        three_numbers(text or usual, option)
        for text, usual, option in zip((mean, std), IMAGENET, ("--pixel-mean", "--pixel-std"), strict=True)
    ]
    body = kind(path, device)
    body.size = body.size or size or SIZE
    with torch.inference_mode():
        width = checked_width(body, device)
    return Classifier(body, width, 1, *statistics).to(device)


def three_numbers(text: str, option: str) -> Tensor:
    """`0.5` or `0.485,0.456,0.406` as (3,).

    Raises:
        InputError: they are no numbers, or a deviation is not above 0.
    """
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(map(isfinite, numbers)):
        raise InputError(f"{option} is {text!r}: give one number or three, such as 0.485,0.456,0.406")
    if option == "--pixel-std" and min(numbers) <= 0:
        raise InputError(f"{option} is {text!r}: pixels are divided by it, so give numbers above 0")
    return torch.tensor(numbers).expand(3)


class Encoder(nn.Module, ABC):
    """A file as a network: normalized images (B, 3, S, S) -> (B, D).

    Attributes:
        size: S; None where the file takes any.
        batch: B that the file takes; None for any.
        dtype: of its input.
        checksum: SHA-256 of the file.
        output: what the features are, in words; known after the first batch.
        on_cpu: whether it is run there, wherever the images are.
    """

    size: int | None
    batch: int | None
    output = ""
    on_cpu = False

    def __init__(self, path: str, shape: Shape, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.path, self.checksum = path, file_checksum(Path(path))
        shown = f"({', '.join('any' if n is None else str(n) for n in shape)})"
        if len(shape) != 4 or shape[1] not in (3, None):
            fix = "it has to take float images (N, 3, H, W), RGB with channels first: export it so"
            raise InputError(f"--encoder {path} takes inputs of shape {shown}: {fix}")
        if shape[2] != shape[3]:
            raise InputError(f"--encoder {path} takes inputs of shape {shown}: images are squares, export it for these")
        if dtype is None:
            raise InputError(f"--encoder {path} takes no floating-point numbers: export it with float32 inputs")
        self.batch, self.size, self.dtype = shape[0], shape[2], dtype

    @abstractmethod
    def outputs(self, x: Tensor) -> dict[str, Any]:
        """What the file gives for images (B, 3, S, S) of its dtype, by name."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype).contiguous()
        if self.batch is None:
            return self.features(x)
        pieces = []
        for piece in x.split(self.batch):  # the last is filled up with copies of its last image
            full = torch.cat([piece, piece[-1:].expand(self.batch - len(piece), -1, -1, -1)])
            pieces.append(self.features(full)[: len(piece)])
        return torch.cat(pieces)

    def features(self, x: Tensor) -> Tensor:
        found = {name: value for name, value in self.outputs(x).items() if isinstance(value, Tensor)}
        shapes = {name: tuple(value.shape) for name, value in found.items() if value.is_floating_point()}
        flat = [name for name, shape in shapes.items() if len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1))]
        tokens = [name for name, shape in shapes.items() if len(shape) == 3]
        name = next(iter(flat + tokens), None)
        if name is None or shapes[name][0] != len(x):
            given = ", ".join(f"{key} {tuple(value.shape)}" for key, value in found.items()) or "nothing"
            raise InputError(
                f"--encoder {self.path} gives {given} for {len(x)} images: it has to give features (N, D), "
                "(N, D, 1, 1) or tokens (N, T, D); export it without its last layers, or with a pooling at its end"
            )
        z = found[name].mean(1, dtype=torch.float32) if shapes[name][1:-1] and not flat else found[name].flatten(1)
        self.output = f"{name} ({'mean of tokens' if not flat else 'as given'})"
        return z.float()


class OnnxEncoder(Encoder):
    """An .onnx file, by onnxruntime."""

    def __init__(self, path: str, device: torch.device) -> None:
        try:
            runtime = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise InputError(f"--encoder {path} needs onnxruntime ({error}): pip install 'mixnn[onnx]'") from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 4  # errors are raised, too
        wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        providers = [name for name in [*wanted, "CPUExecutionProvider"] if name in runtime.get_available_providers()]
        try:
            self.session = runtime.InferenceSession(path, options, providers=providers)
        except Exception as error:  # of the library's own, without a common class
            raise InputError(f"--encoder {path} {unreadable_words(path, error)}") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(f"{value.name} {value.shape}" for value in inputs)
            raise InputError(
                f"--encoder {path} takes {len(inputs)} inputs, {names}: export its part for images, with one input"
            )
        shape = [n if isinstance(n, int) else None for n in inputs[0].shape]
        super().__init__(path, shape, FLOATS.get(inputs[0].type))
        self.input, self.on_cpu = inputs[0].name, providers == ["CPUExecutionProvider"]

    def outputs(self, x: Tensor) -> dict[str, Any]:
        names = [value.name for value in self.session.get_outputs()]
        values = self.session.run(names, {self.input: x.cpu().numpy()})
        return {name: torch.from_numpy(value).to(x.device) for name, value in zip(names, values, strict=True)}


class ExportedEncoder(Encoder):
    """A .pt2 file of `torch.export.save`."""

    def __init__(self, path: str, device: torch.device) -> None:
        try:
            with quiet("torch.export"):  # which tells of a file that it cannot read by itself as well
                program = torch.export.load(path)
            names = set(program.graph_signature.user_inputs)
            inputs = [node.meta["val"] for node in program.graph.find_nodes(op="placeholder") if node.name in names]
            passes = importlib.import_module("torch.export.passes")
            module = passes.move_to_device_pass(program, str(device)).module()
        except Exception as error:  # of a file that is none, anything
            raise InputError(f"--encoder {path} {unreadable_words(path, error)}") from error
        if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
            raise InputError(f"--encoder {path} takes {len(inputs)} inputs: export its part for images, with one input")
        shape = [n if isinstance(n, int) else None for n in inputs[0].shape]
        super().__init__(path, shape, inputs[0].dtype if inputs[0].is_floating_point() else None)
        self.program = module

    def outputs(self, x: Tensor) -> dict[str, Any]:
        given = self.program(x)
        values = given.items() if isinstance(given, dict) else enumerate(given if isinstance(given, tuple) else [given])
        return {f"output {name}" if isinstance(name, int) else name: value for name, value in values}


def checked_width(body: Encoder, device: torch.device) -> int:
    """D, of an encoder that runs and whose features of an image do not depend on the images beside it.

    Raises:
        InputError: it does not.
    """
    size = body.size or SIZE
    random = torch.Generator().manual_seed(0)
    image, loud = torch.randn(2, 3, size, size, generator=random).to(device)
    try:
        quiet, beside = (body(torch.stack([image, other]))[0] for other in (torch.zeros_like(image), 4 * loud))
    except InputError:
        raise
    except Exception as error:  # of either library
        if short_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        fix = "correct --data.image-size, or export it for one" if size else "export it anew"
        raise InputError(f"--encoder {body.path} does not take 2 images of {size} px ({reason}): {fix}") from error
    if not torch.isfinite(quiet).all():
        raise InputError(f"--encoder {body.path} gives NaN or infinity: export it in float32")
    if (quiet - beside).abs().max() > APART * quiet.abs().max().clamp_min(1e-6):
        raise InputError(
            f"--encoder {body.path}: the features of an image change with the images beside it: export it in eval "
            "mode, and without dynamic quantization"
        )
    return len(quiet)


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Without the lines of a logger."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def unreadable_words(path: str, error: Exception) -> str:
    """Why a file cannot be read, and what to do: most often the weights that lie beside it are missing."""
    reason = " ".join(str(error).split()) or type(error).__name__
    beside = Path(f"{path}.data")
    if path.lower().endswith(".onnx") and beside.name in reason and not beside.exists():
        return f"has its weights in {beside}, which is missing: copy both files, and keep their names"
    return f"cannot be read ({reason[:300]}): export it anew"


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, and of the weights of an .onnx file that lie beside it."""
    digest = hashlib.sha256()
    for part in (path, Path(f"{path}.data")):
        if part.is_file():
            with open(part, "rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
    return digest.hexdigest()
