"""The methods by name. Adding one is a file beside this, a line here and a card in docs/methods."""

from __future__ import annotations

from mixnn.errors import InputError
from mixnn.methods.base import Method
from mixnn.methods.ce import CrossEntropy
from mixnn.methods.colearning import CoLearning
from mixnn.methods.coteaching import CoTeaching
from mixnn.methods.dividemix import DivideMix
from mixnn.methods.elr import ELR
from mixnn.methods.fine import FINE
from mixnn.methods.gce import GCE
from mixnn.methods.mixnn import MixNN
from mixnn.methods.mixup import Mixup
from mixnn.methods.posterior import Posterior
from mixnn.methods.sce import SCE
from mixnn.methods.selc import SELC
from mixnn.methods.ssr import SSR
from mixnn.utils.registry import look_up

METHODS: dict[str, type[Method]] = {
    "posterior": Posterior,
    "mixnn": MixNN,
    "ce": CrossEntropy,
    "mixup": Mixup,
    "gce": GCE,
    "sce": SCE,
    "coteaching": CoTeaching,
    "elr": ELR,
    "selc": SELC,
    "fine": FINE,
    "dividemix": DivideMix,
    "colearning": CoLearning,
    "ssr": SSR,
}


def method_class(name: str) -> type[Method]:
    """The class of a method, by its name here or as `package.module:Class`.

    Raises:
        InputError: no such method.
    """
    found = look_up(name, METHODS, "method", "Class")
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise InputError(f"method {name!r} is not a subclass of mixnn.Method")
    return found
