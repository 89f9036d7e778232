"""What of a file runs at every training step, and what a condition leaves to now and then."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import field

from mctc.records import dataclass

LIGHTNING, BRAIN, TRAINER, OPTIMIZER = "LightningModule", "Brain", "Trainer", "Optimizer"
HOOKS = {  # methods that a library calls at every step, by the last name of the base class that says so
    LIGHTNING: ("training_step",),
    BRAIN: ("fit_batch", "compute_forward", "compute_objectives", "on_fit_batch_start", "on_fit_batch_end"),
    TRAINER: ("training_step", "compute_loss"),
    OPTIMIZER: ("step",),
}
GIVEN = ("batch", "inputs", "predictions")  # what the library hands to a hook lies on the device
SETTINGS = {"args", "cfg", "conf", "config", "hparams", "opt", "opts", "params"}  # what holds options: plain numbers
OPTIONS = ("use_", "with_", "enable_", "apply_", "has_")
COUNTING = ("step", "epoch", "batch", "iter", "idx", "count")  # what changes as training goes on
RARELY = ("eval", "valid", "test", "log", "interval", "every", "freq", "verbose", "debug", "print", "period", "rank")
RARELY_WORDS = (*RARELY, "main_process", "master", "plot", "profil", "checkpoint", "warm", "decode", "infer")


@dataclass(frozen=True)
class TrainingStep:
    """Why a function runs at every training step.

    origin: the loop or the hook, as 'train.py:41'. places: for a parameter, True where callers surely hand it a tensor
    of the device, False where none does; a parameter that is missing is open.
    """

    origin: str
    places: Mapping[str, bool] = field(default_factory=dict)


def trains(test: ast.AST) -> bool | None:
    """Whether a condition that holds says that the model is trained (True) or not (False); None for any other."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = trains(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        equal = isinstance(test.ops[0], (ast.Eq, ast.Is))
        if not equal and not isinstance(test.ops[0], (ast.NotEq, ast.IsNot)):
            return None
        said = _mode(test.comparators[0])
        return said if said is None or equal else not said
    if isinstance(test, ast.Call):
        return True if _last_name(test.func) == "is_grad_enabled" else None
    return True if _last_name(test).lower() in ("training", "is_training", "is_train", "train_mode") else None


def _mode(node: ast.AST) -> bool | None:
    text = node.value if isinstance(node, ast.Constant) else _last_name(node)
    if not isinstance(text, str):
        return None
    lowered = text.lower()
    if lowered in ("train", "training"):
        return True
    return False if lowered in ("valid", "validation", "val", "test", "eval", "evaluation", "dev") else None


def _last_name(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def is_option(test: ast.AST) -> bool:
    """Whether a condition is one of the settings, the same for the whole of training: `self.use_ctc`, `args.clip > 0`,
    `decoder is not None`."""
    if now_and_then(test):
        return False
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return is_option(test.operand)
    if isinstance(test, ast.BoolOp):
        return all(is_option(part) for part in test.values)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.comparators[0], ast.Constant):
        if isinstance(test.comparators[0].value, str):  # `backend == "naive"`
            return isinstance(test.ops[0], (ast.Eq, ast.NotEq))
        owner = getattr(test.left, "value", None)
        if any(word in _last_name(test.left).lower() for word in COUNTING):
            return False
        if isinstance(test.ops[0], (ast.Is, ast.IsNot)) and test.comparators[0].value is None:
            return True
        named = _last_name(owner) if isinstance(owner, (ast.Name, ast.Attribute)) else ""
        return named in SETTINGS
    return isinstance(test, (ast.Name, ast.Attribute)) and _last_name(test).startswith(OPTIONS)


def now_and_then(test: ast.AST) -> bool:
    """Whether a condition is one of an interval, of logging or of evaluation: what it leads to is not every step."""
    for node in ast.walk(test):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            return True
        name = _last_name(node).lower()
        if any(word in name for word in RARELY_WORDS):
            return True
    return False
