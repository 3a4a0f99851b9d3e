"""The gateway in a process of its own, beside a world that runs elsewhere: it can be killed and started again."""

import logging
import os
import signal
import sys
import time

from local import ROOT, CommandFailed
from local.function_url import FunctionUrl
from local.functions import FunctionFailed
from local.intrinsics import TemplateError
from local.server import PortInUse, Server
from local.template import Function, declared_parameters, read_template

_TEMPLATE = ROOT / "template.yaml"
_LOOK_SECONDS = 0.1


def gateway_function(region: str) -> Function | None:
    """The function of the template that has a URL, or None. Raises TemplateError, OSError."""
    parameters = declared_parameters(_TEMPLATE, {"Backends": "here"})
    functions = read_template(_TEMPLATE, parameters, region).functions.values()
    return next((function for function in functions if function.url), None)


def run(port: int, host: str, *, limited: bool) -> None:
    """Serve the gateway with the variables of this process, as `python -m local env` prints them, until Ctrl-C or
    SIGTERM. Raises CommandFailed when it cannot be started."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        function = gateway_function(os.environ.get("AWS_REGION", ""))
        if function is None:
            raise CommandFailed(f"{_TEMPLATE} has no function with a URL")
        app = FunctionUrl(function, dict(os.environ), limited=limited)
        server = Server("gateway", app, host, port)
    except (PortInUse, TemplateError, FunctionFailed, OSError) as error:
        raise CommandFailed(str(error)) from error
    stops: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda which, _: stops.append(which))
    sys.stdout.write(f"gateway {server.url}\n")
    sys.stdout.flush()
    while not stops:
        time.sleep(_LOOK_SECONDS)
    server.close()
