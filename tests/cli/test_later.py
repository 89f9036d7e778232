"""numpy in a process of the command line: imported by its first use, and the same as ever then."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATER = "from mctc.cli.later import numpy_later\nnumpy_later()\nimport sys\nimport numpy as np\n"


def _says(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("", "False"),
        ("import numpy", "False"),
        ("np.zeros(3)", "True"),
        ("from numpy import zeros", "True"),
        ("import numpy.linalg; numpy.linalg.norm([3, 4])", "True"),
        ("from numpy.typing import NDArray", "True"),
    ],
)
def test_numpy_runs_when_something_of_it_is_used(use: str, said: str) -> None:
    assert _says(f"{LATER}{use}\nprint('numpy._core' in sys.modules)") == said


def test_numpy_is_a_module_like_others_once_it_runs() -> None:
    told = "print(np.arange(3).sum(), type(np).__name__, np.float16(1.5).dtype, sys.modules['numpy'] is np)"
    assert _says(LATER + told) == "3 module float16 True"


def test_threads_that_use_it_at_once_wait_for_all_of_it() -> None:
    program = f"""{LATER}
from threading import Thread
found = []
use = lambda: found.append(int(np.lib.stride_tricks.as_strided(np.ones(4)).sum()))
threads = [Thread(target=use) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(found)
"""
    assert _says(program) == str([4] * 8)


def test_what_was_imported_before_stays() -> None:
    assert _says("import numpy as np\nfrom mctc.cli.later import numpy_later\nnumpy_later()\nimport sys\n"
                 "print(sys.modules['numpy'] is np, type(np).__name__)") == "True module"  # fmt: skip


def test_a_check_of_a_spec_without_arrays_has_no_numpy() -> None:
    program = (
        "import sys\nsys.argv = ['mctc', 'check', 'mct_small.mct']\n"
        "import os, mctc.spec\nos.chdir(os.path.dirname(mctc.spec.__file__))\n"
        "from mctc.cli.main import main\ntry:\n    main()\nexcept SystemExit as done:\n    print(done.code)\n"
        "print('numpy._core' in sys.modules, [name for name in sys.modules if name.startswith('mctc.passes.lower')])"
    )
    assert _says(program).splitlines()[1:] == ["0", "False []"]
