"""The user's own functions, named on the command line: PACKAGE.MODULE:FUNCTION."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Callable

FORM = "PACKAGE.MODULE:FUNCTION"


def is_named(text: str) -> bool:
    """Whether an argument names a function rather than a path."""
    module, colon, function = text.rpartition(":")
    return bool(colon) and function.isidentifier() and all(part.isidentifier() for part in module.split("."))


def find_function(text: str, option: str) -> Callable[..., Any]:
    """The function (or other callable) of that name; modules of the current folder are found as well.

    Parameters
    ----------
    text : str
        PACKAGE.MODULE:FUNCTION.
    option : str
        The argument's name, for errors.

    Raises
    ------
    ValueError
        It has another form, or the module has no such function.
    ImportError
        The module is not there, or an import in it fails.
    """
    if not is_named(text):
        raise ValueError(f"{option} must be {FORM}, such as training.data:validation, got {text!r}")
    module_name, _, name = text.rpartition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise ImportError(
                f"{option} {text!r}: its module needs {error.name!r}, which is missing"
            ) from error
        raise ImportError(
            f"{option} {text!r}: there is no module {error.name!r} in the current folder or the installed "
            "packages; go to the folder that holds it, or install it"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        known = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise ValueError(
            f"{option} {text!r}: the module {module_name!r} has no function {name!r}; it has "
            f"{', '.join(known) or 'none'}"
        )
    return function
