"""Lambda functions in this process: a handler is imported fresh, in its own environment, and called with a context."""

import builtins
import contextlib
import importlib.util
import itertools
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from local.template import Function

type Handler = Callable[[Any, "Context"], Any]

_log = logging.getLogger(__name__)
_serial = itertools.count(1)
# os.environ and sys.path belong to the process: one import at a time may borrow them.
_borrowing = threading.Lock()


class FunctionFailed(Exception):
    """A function could not be imported; the message says which and why."""


class TimedOut(Exception):
    """A handler took longer than it may."""


@dataclass(frozen=True, slots=True)
class Context:
    """What Lambda tells a handler beside the event:
    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    function_name: str
    memory_limit_in_mb: str
    deadline: float
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_version: str = "$LATEST"
    log_stream_name: str = "local"
    client_context: None = None
    identity: None = None

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:eu-west-2:123456789012:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class LoadedFunction:
    """A function whose module has been imported. Raises FunctionFailed."""

    def __init__(self, function: Function, overrides: Mapping[str, str]) -> None:
        self.function = function
        self._handler = _import_handler(function, {**function.environment, **overrides})

    def invoke(self, event: object, limit_seconds: float) -> Any:
        """What the handler returns. Raises TimedOut after `limit_seconds`, and whatever the handler raises.

        The thread of a handler that timed out goes on until it is done: Python cannot end it.
        """
        outcome: list[Any] = []
        failure: list[BaseException] = []
        context = Context(self.function.name, str(self.function.memory_mb), time.monotonic() + limit_seconds)

        def run() -> None:
            try:
                outcome.append(self._handler(event, context))
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                failure.append(error)

        thread = threading.Thread(target=run, name=f"invoke {self.function.name}", daemon=True)
        thread.start()
        thread.join(limit_seconds)
        if failure:
            raise failure[0]
        if not outcome:
            raise TimedOut(f"{self.function.name} timed out after {limit_seconds:g} seconds")
        return outcome[0]


@contextlib.contextmanager
def with_environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """os.environ with these variables set (None: without it), and put back as it was afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    _set_environment(variables)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _import_handler(function: Function, variables: Mapping[str, str]) -> Handler:
    module_name, _, attribute = function.handler.rpartition(".")
    path = (function.code / module_name.replace(".", "/")).with_suffix(".py")
    with _borrowing, with_environment(variables), _own_folder(function.code):
        try:
            module = _OwnModules(function).load(path)
        except Exception as error:
            raise FunctionFailed(f"{function.name} ({path}) cannot be imported: {error!r}") from error
    handler: Handler = getattr(module, attribute)
    return handler


class _OwnModules:
    """The modules beside a handler, which import each other by plain name, some of them only when they are called: then
    their folder is no longer on the path, and another function may have modules of the same names."""

    def __init__(self, function: Function) -> None:
        self._folder = function.code
        self._prefix = f"local_{function.name}_{next(_serial)}"
        self._loaded: dict[Path, ModuleType] = {}
        self._loading = threading.RLock()
        self._builtins = {**vars(builtins), "__import__": self._import}

    def load(self, path: Path) -> ModuleType:
        """The module at the path, executed once."""
        with self._loading:
            if path not in self._loaded:
                name = f"{self._prefix}_{path.stem}"
                spec = importlib.util.spec_from_file_location(name, path)
                if spec is None or spec.loader is None:
                    raise ImportError(f"no module at {path}")
                module = importlib.util.module_from_spec(spec)
                vars(module)["__builtins__"] = self._builtins
                self._loaded[path] = sys.modules[name] = module
                try:
                    spec.loader.exec_module(module)
                except BaseException:
                    del self._loaded[path]
                    raise
                finally:
                    del sys.modules[name]
            return self._loaded[path]

    def _import(
        self,
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        path = self._folder / f"{name}.py"
        if level == 0 and "." not in name and path.is_file():
            return self.load(path)
        return builtins.__import__(name, globals_, locals_, fromlist or (), level)


@contextlib.contextmanager
def _own_folder(code: Path) -> Iterator[None]:
    """Lambda unpacks each function into a folder of its own: what one imports from there, another must not see."""
    folder = str(code.resolve())
    sys.path.insert(0, folder)
    before = set(sys.modules)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(folder + os.sep):
                del sys.modules[name]
