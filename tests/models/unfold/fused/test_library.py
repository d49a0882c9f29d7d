"""Compiled kernels: what is compiled, kept, loaded, and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seqbench.models import unfold
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.lstm import LSTM
from seqbench.models.unfold import check_engine, chosen_engine
from seqbench.models.unfold.fused import library as module

SOURCE = '#include "kernel.h"\nint answer(void) {{ return {}; }}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clear()
    module.compiler.cache_clear()
    yield tmp_path / "seqbench" / "kernels"
    clear()
    monkeypatch.undo()
    module.compiler.cache_clear()


def clear() -> None:
    """Forget what is loaded, and that something could not be compiled."""
    module.library.cache_clear()
    module._obstacle.cache_clear()


def answer(number: int) -> int:
    clear()
    return module.library(SOURCE.format(number), "float").answer()


def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by each source that is compiled."""
    found: list[str] = []
    plain = module._compile
    monkeypatch.setattr(
        module, "_compile", lambda source, *rest: (found.append(source), plain(source, *rest))
    )
    return found


def test_a_kernel_is_compiled_once_and_then_loaded(folder, monkeypatch) -> None:
    done = compiles(monkeypatch)
    assert [answer(1), answer(1), answer(2), answer(1)] == [1, 1, 2, 1]
    assert done == [module.PRODUCTS.read_text(), SOURCE.format(1), SOURCE.format(2)]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.suffix for file in folder.iterdir()} == {".so", ".sha256"}


@pytest.mark.usefixtures("folder")
def test_a_kernel_that_alone_cannot_be_compiled_is_said(monkeypatch, tmp_path, capsys) -> None:
    fails = tmp_path / "fails"
    fails.write_text('#!/bin/sh\ngrep -qs "int backward" -- "$@" && exit 1\nexec gcc "$@"\n')
    fails.chmod(0o700)
    monkeypatch.setenv("CC", f"env MINE=1 {fails}")  # of several words
    module.compiler.cache_clear()
    cell = LSTM(3, 4)
    assert chosen_engine(cell) == "native" and chosen_engine(cell) == "native"
    said = capsys.readouterr().err
    because = f"because env MINE=1 {fails} fails: no message"
    assert said == f"seqbench: LSTM is not compiled, and trains slower, {because}.\n"
    with pytest.raises(ValueError, match="engine=fused: LSTM has no such engine"):
        check_engine(cell, "fused")


def test_a_compiler_that_is_named_is_the_one_that_is_used(folder, monkeypatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O1")
    module.compiler.cache_clear()
    with pytest.raises(module.NoCompilerError, match=r"^CC=no-such-compiler -O1 is no compiler$"):
        answer(1)


def test_a_folder_in_which_others_may_write_is_not_used(folder) -> None:
    answer(1)
    folder.parent.chmod(0o770)  # they could put another folder in its place
    with pytest.raises(
        module.NoCompilerError, match="or the folder above belongs to another user, or others"
    ):
        answer(1)


def test_a_umask_that_lets_a_group_write_costs_no_kernel(folder, monkeypatch) -> None:
    done, before = compiles(monkeypatch), os.umask(0o002)
    try:
        assert [answer(1), answer(1)] == [1, 1] and len(done) == 2
    finally:
        os.umask(before)


def test_what_another_could_have_put_there_is_not_loaded(folder, monkeypatch) -> None:
    answer(1)
    mine = {file: file.read_bytes() for file in folder.glob("*.so")}
    done = compiles(monkeypatch)
    for file in mine:  # other contents, whatever the name
        file.unlink()  # (the one that is loaded stays what it is)
        file.write_bytes(b"not what was compiled")
    assert answer(1) == 1 and len(done) == 2
    for file in mine:
        file.chmod(0o722)  # others may write
    assert answer(1) == 1 and len(done) == 4
    for file in mine:
        file.with_suffix(".sha256").unlink()
    assert answer(1) == 1 and len(done) == 6
    for file in mine:
        file.unlink()
        file.symlink_to("/etc/hostname")
    assert answer(1) == 1 and len(done) == 8
    assert answer(1) == 1 and len(done) == 8


def test_a_folder_that_others_may_write_in_is_not_used(folder) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(module.CompileError, match="others may write in it"):
        answer(1)
    assert not any(folder.iterdir())
    with pytest.raises(ValueError, match=r"engine=fused: LSTM has no such engine .*others may write in it"):
        check_engine(LSTM(2, 3), "fused")


def test_a_file_in_the_folder_s_place(folder) -> None:
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("")
    with pytest.raises(module.CompileError, match=r"cannot be made: (File exists|Not a directory)"):
        answer(1)


def test_without_a_compiler_the_next_engine_is_chosen(folder, monkeypatch) -> None:
    monkeypatch.setattr(module, "compiler", lambda: None)
    x = torch.randn(2, 3, 2)
    for cell, engine in ((LSTM(2, 3), "native"), (LeakyRNN(2, 3), "loop")):
        assert chosen_engine(cell) == engine
        assert torch.equal(unfold(cell, x)[0], unfold(cell, x, engine=engine)[0])
    with pytest.raises(ValueError, match=r"LeakyRNN has no such engine \(there is no C compiler\)"):
        check_engine(LeakyRNN(2, 3), "fused")


def test_a_compiler_that_fails_says_why(folder, monkeypatch, tmp_path) -> None:
    with pytest.raises(module.CompileError, match="fails: unknown type name"):
        module.library("no C", "float")
    assert [file.suffix for file in folder.iterdir()].count(".so") == 1, "that of the products alone"
    fake = tmp_path / "cc"
    fake.write_text("#!/bin/sh\necho fake 1\n[ $1 = --version ] || { echo 'it is tired' >&2; exit 3; }\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    module.compiler.cache_clear()
    clear()
    with pytest.raises(module.CompileError, match="fails: it is tired"):
        answer(1)


@pytest.mark.slow
def test_processes_that_compile_at_the_same_time_do_not_disturb_each_other(folder) -> None:
    code = "import torch; from seqbench.models import unfold; from seqbench.models.cells.gru import GRU\n"
    code += (
        "torch.manual_seed(0); print(unfold(GRU(2, 9), torch.ones(3, 4, 2), engine='fused')[0].sum().item())"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({run.communicate(timeout=120)[0] for run in runs}) == 1
    assert all(run.returncode == 0 for run in runs)


def test_functions_are_as_exact_as_torch() -> None:
    """Within two units in the last place, and NaN and infinity as they are."""
    import ctypes

    names = ("tanh", "sigmoid", "exp", "softplus")
    text = '#include "kernel.h"\n' + "".join(
        f"void all_{n}(const real *x, real *y, long n)\n"
        f"{{ for (long i = 0; i < n; i++) y[i] = {n}_of(x[i]); }}\n"
        for n in names
    )
    sizes = torch.cat(
        [torch.linspace(-4, 4, 4001), torch.logspace(-30, 2, 4000), -torch.logspace(-30, 2, 4000)]
    )
    sizes = torch.cat(
        [sizes, torch.tensor([0.0, float("inf"), -float("inf"), float("nan"), 88.8, -87.4, -103.0])]
    )
    for dtype, name in ((torch.float32, "float"), (torch.float64, "double")):
        made = module.library(text, name)
        x = sizes.to(dtype)
        for function in names:
            y = torch.empty_like(x)
            arguments = ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_long(len(x))
            getattr(made, f"all_{function}")(*arguments)
            exact = getattr(torch.nn.functional if function == "softplus" else torch, function)(x.double())
            torch.testing.assert_close(
                y,
                exact.to(dtype),
                rtol=3 * torch.finfo(dtype).eps,
                atol=2 * torch.finfo(dtype).tiny,
                equal_nan=True,
            )
