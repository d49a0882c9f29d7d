"""What code of a user's asks torch to do: its operations, and the graph of its gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches the operations of torch in a `with` block.

    Attributes:
        without_gradients: whether gradients were off where an operand has one.
        draws: whether random numbers were drawn from torch's generator.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.without_gradients = False
        self.draws = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # its import takes a second, and nothing compiles this

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        operands = tree_leaves((args, kwargs))
        has_one = any(isinstance(part, Tensor) and part.requires_grad for part in operands)
        self.without_gradients |= has_one and not torch.is_grad_enabled()
        self.draws |= torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def graph_nodes(values: Any) -> Iterator[Any]:
    """Yield each node of the graph of gradients of tensors in a pytree, once."""
    ahead = [part.grad_fn for part in tree_leaves(values) if part.grad_fn is not None]
    seen = set(ahead)
    while ahead:
        node = ahead.pop()
        yield node
        new = {its for its, _ in node.next_functions if its is not None} - seen
        seen |= new
        ahead += new
