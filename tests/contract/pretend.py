"""A device that is none: its tensors are computed on the CPU, but mixing them with the CPU's is an error, as on a GPU.

It stands in for a GPU where there is none: it finds tensors that were left on the CPU, and counts how often the program
has to wait for the device. Once installed it stays, so use it in a process of its own.
"""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "pretend"
WAITS: Counter[str] = Counter()  # what the program waited for

# Nobody but the device knows how large the result is, or what it is.
SIZE_UNKNOWN = {"nonzero", "masked_select", "_unique2", "unique_dim", "bincount", "repeat_interleave", "equal"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}  # by tensors of the CPU, too


class Pretended(Tensor):
    """A tensor of the device; `inner` is where its numbers are."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor, requires_grad: bool = False) -> "Pretended":
        layout = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        device = torch.device(NAME, 0)
        made = Tensor._make_wrapper_subclass(cls, inner.size(), device=device, requires_grad=requires_grad, **layout)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.tolist:
            WAITS["tolist"] += 1
            return args[0].inner.tolist()
        if func is Tensor.new_tensor:
            return torch.tensor(args[1], **{"dtype": args[0].dtype, **(kwargs or {})}).to(args[0].device)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs or {})

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.inner.__reduce_ex__(protocol)  # what is read back is on the CPU, as `map_location` would have it


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Any operation, on the CPU, with results on the device where its tensors are, or where it says."""
    name = func._schema.name.removeprefix("aten::")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = any(isinstance(tensor, Pretended) for tensor in tensors)
    wanted = kwargs.get("device")
    if name == "copy_":
        count_copy(args[1], isinstance(args[0], Pretended))
        inner(args[0]).copy_(inner(args[1]))
        return args[0]
    if name == "_to_copy":
        to = there if wanted is None else on_device(wanted)
        count_copy(args[0], to)
        copied = func(inner(args[0]), **{key: value for key, value in kwargs.items() if key != "device"})
        return Pretended(copied) if to else copied
    count_waits(name, args)
    if there:
        refuse_strangers(name, args[:1] + args[2:] if name in INDEXING else tensors)
    here = kwargs if wanted is None else {**kwargs, "device": "cpu"}
    result = func(*tree_map(inner, args), **tree_map(inner, here))
    if not (there or on_device(wanted)):
        return result
    result = tree_map(lambda leaf: Pretended(leaf) if type(leaf) is Tensor else leaf, result)
    return return_and_correct_aliasing(func, args, kwargs, result) if there else result


def inner(x: Any) -> Any:
    return x.inner if isinstance(x, Pretended) else x


def on_device(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def count_copy(source: Tensor, to_device: bool) -> None:
    if isinstance(source, Pretended) != to_device:
        WAITS["copy to the device" if to_device else "copy to the CPU"] += 1


def count_waits(name: str, args: Any) -> None:
    if name == "_local_scalar_dense":
        WAITS["item"] += 1
    elif name in SIZE_UNKNOWN:
        WAITS[name] += 1
    elif name in INDEXING:
        for index in args[1]:
            if isinstance(index, Pretended) and index.dtype == torch.bool:
                WAITS["mask as index"] += 1
            elif isinstance(index, Tensor) and not isinstance(index, Pretended):
                WAITS["copy to the device"] += 1


def refuse_strangers(name: str, args: Any) -> None:
    """Raise RuntimeError where a tensor is on the CPU, unless it is a single number."""
    for x in args:
        if isinstance(x, Tensor) and not isinstance(x, Pretended) and x.dim():
            raise RuntimeError(f"{name}: a tensor {tuple(x.shape)} is on the CPU, others are on the device")


class Numbers(TorchFunctionMode):
    """`torch.tensor` makes its tensor on the CPU and then copies it, as it does for a GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and on_device(kwargs.get("device")):
            return func(*args, **{**kwargs, "device": "cpu"}).to(kwargs["device"])
        return func(*args, **kwargs)


class Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def install() -> object:
    """Make the device known to torch; keep what is returned, and use it inside `Numbers()`."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda op, *args, **kwargs: compute(op, args, kwargs), "PrivateUse1")
    return library
