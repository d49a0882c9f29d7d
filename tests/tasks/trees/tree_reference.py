"""Trees read by hand: from their brackets, and from the places of their parents."""

from __future__ import annotations

from collections.abc import Callable

from seqbench.tasks.batch import Batch


def from_brackets(tokens: list[str]) -> tuple:
    """Return `(token, child, …)` of a sequence such as `[ MAX 2 [ MIN 7 4 ] 0 ]`."""
    stack: list[list] = [[]]
    for token in tokens:
        if token == "[":
            stack.append([])
        elif token == "]":
            inner = stack.pop()
            assert inner and len(inner) > 1, "brackets without a child"
            stack[-1].append((inner[0][0], *inner[1:]))
        else:
            stack[-1].append((token,))
    assert len(stack) == 1 and len(stack[0]) == 1, "not one tree"
    return stack[0][0]


def from_parents(tokens: list[str], parents: list[int]) -> tuple:
    """Return the same from the place of each token's parent."""
    children: dict[int, list[int]] = {}
    for place, parent in enumerate(parents):
        if parent != -2:
            children.setdefault(parent, []).append(place)
    (root,) = children[-1]

    def tree(place: int) -> tuple:
        return (tokens[place], *(tree(child) for child in children.get(place, [])))

    return tree(root)


def rows_of(batch: Batch, vocabulary: dict[str, int]) -> list[tuple[tuple, tuple, int]]:
    """Return each row's tree, read in both ways, and its target; all else must be padding."""
    token_of = {number: token for token, number in vocabulary.items()}
    rows = []
    for tokens, parents, length, target in zip(
        *(part.tolist() for part in (batch.inputs, batch.extras["parents"], batch.lengths, batch.targets)),
        strict=True,
    ):
        assert set(tokens[length:]) <= {0} and set(parents[length:]) <= {-2}
        words = [token_of[token] for token in tokens[:length]]
        marks = [word in ("[", "]") for word in words]
        assert marks == [parent == -2 for parent in parents[:length]] and "_" not in words
        rows.append((from_brackets(words), from_parents(words, parents[:length]), target))
    return rows


def depth_of(tree: tuple) -> int:
    return max((1 + depth_of(child) for child in tree[1:]), default=0)


def tokens_of(tree: tuple) -> int:
    return 1 + 2 * (len(tree) > 1) + sum(map(tokens_of, tree[1:]))


def evaluate_text(text: str, value: Callable[[tuple], str]) -> str:
    """Replace a pair of brackets that holds leaves alone by its value, until one token is left."""
    tokens = text.split()
    while "[" in tokens:
        end = tokens.index("]")
        start = max(i for i in range(end) if tokens[i] == "[")
        name, *leaves = tokens[start + 1 : end]
        tokens[start : end + 1] = [value((name, *((leaf,) for leaf in leaves)))]
    (token,) = tokens
    return token
