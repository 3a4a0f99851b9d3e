#!/usr/bin/env python3
"""Makes .venv from the committed pins, with a uv of its own in .uv; `make` runs it, with any Python from 3.6 on."""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from typing import List, Optional, Tuple

ROOT = os.path.dirname(os.path.abspath(__file__))
UV_FOLDER = os.path.join(ROOT, ".uv")
UV_PINS = os.path.join(ROOT, "requirements-uv.txt")
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
PINS = os.path.join(ROOT, "requirements.txt")
STAMP = os.path.join(VENV, "nearside-stamp")
TARGET = "3.13"
OLDEST_UV = (0, 5)
# The pip of Python 3.6 predates the wheels that uv comes in; this one knows them and still runs there.
PIP_FOR_36 = "pip==21.3.1 --hash=sha256:deaf32dcd9ab821e359cd8330786bcd077604b5c5730c0b096eda46f95c24a2d\n"
# A Python built without these is found on some machines, and fails only later and less clearly.
PROBE = "import ctypes, sqlite3, ssl, sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"


def say(line: str) -> None:
    """Tells what is being done, on stderr."""
    sys.stderr.write("bootstrap: " + line + "\n")
    sys.stderr.flush()


def output(command: List[str]) -> str:
    """What the command prints, or '' when it cannot run or fails."""
    try:
        answer = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def succeeds(command: List[str]) -> bool:
    """Whether the command ends well; what it says is shown only when it does not."""
    try:
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    except OSError as error:
        say(str(error))
        return False
    if answer.returncode:
        say("`%s` failed:" % " ".join(command))
        sys.stderr.write(answer.stdout)
    return answer.returncode == 0


def is_target(python: str) -> bool:
    """Whether this is the wanted Python and runs: pyenv's shim of a version not enabled is there but does not run."""
    return output([python, "-c", PROBE]) == "cpython " + TARGET


def installed_target() -> Optional[str]:
    """The first installed Python of the wanted version: from PATH, else from pyenv's versions folder, else None."""
    name = "python" + TARGET
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    found = [os.path.join(folder, file) for file in (name, "python3", "python") for folder in folders]
    for root in (os.environ.get("PYENV_ROOT", ""), os.path.expanduser("~/.pyenv")):
        found += sorted(glob.glob(os.path.join(root, "versions", TARGET + ".*", "bin", name)), reverse=True)
    for python in [sys.executable] + found:
        ours = os.path.abspath(python).startswith((VENV + os.sep, UV_FOLDER + os.sep))
        if not ours and os.access(python, os.X_OK) and is_target(python):
            return python
    return None


def uv_version(uv: str) -> Tuple[int, ...]:
    """(0, 13, 8) for `uv 0.13.8 (…)`, () when it does not run."""
    words = output([uv, "--version"]).split()
    return tuple(int(part) for part in words[1].split(".") if part.isdigit()) if len(words) > 1 else ()


def pinned_uv_version() -> Tuple[int, ...]:
    """(0, 13, 8) for the line `uv==0.13.8` of the pins."""
    with open(UV_PINS) as pins:
        line = next(line for line in pins if line.startswith("uv=="))
    return tuple(int(part) for part in line.split()[0][len("uv==") :].split("."))


def install_uv(host: str) -> Optional[str]:
    """The path of the pinned uv, installed by this Python's pip, its hash checked; None when that cannot be done."""
    shutil.rmtree(UV_FOLDER, ignore_errors=True)
    # Python 3.6's and 3.7's pip would refuse uv's metadata; its program needs no Python at all.
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    install += ["--only-binary", ":all:", "--ignore-requires-python"]
    uv = os.path.join(UV_FOLDER, "bin", "uv")
    if output([host, "-c", "import ensurepip, venv; print('there')"]) and succeeds([host, "-m", "venv", UV_FOLDER]):
        python = os.path.join(UV_FOLDER, "bin", "python")
        if sys.version_info < (3, 7) and host == sys.executable:
            newer_pip = os.path.join(UV_FOLDER, "pip.txt")
            with open(newer_pip, "w") as pins:
                pins.write(PIP_FOR_36)
            if not succeeds([python] + install + ["-r", newer_pip]):
                return None
        if succeeds([python] + install + ["-r", UV_PINS]):
            return uv
        return None
    shutil.rmtree(UV_FOLDER, ignore_errors=True)
    say("no venv with this Python (%s); trying its pip" % host)
    return uv if succeeds([host] + install + ["--target", UV_FOLDER, "-r", UV_PINS]) else None


def find_uv(target: Optional[str]) -> str:
    """The path of a uv: the one in .uv, one installed there now, or one on PATH; without any the program ends."""
    ours, pinned = os.path.join(UV_FOLDER, "bin", "uv"), pinned_uv_version()
    if uv_version(ours) == pinned:
        return ours
    say("installing uv %d.%d.%d into .uv" % pinned)
    for host in [target, sys.executable] if target and target != sys.executable else [sys.executable]:
        uv = install_uv(host)
        if uv:
            return uv
    uv = shutil.which("uv")
    if uv and uv_version(uv) >= OLDEST_UV:
        say("taking the uv on PATH: " + uv)
        return uv
    sys.exit(
        "bootstrap: uv could not be installed. It takes the venv module or pip of %s, and a package index in reach.\n"
        "Debian, Ubuntu: apt-get install python3-venv. Fedora: dnf install python3-pip. Or have uv %d.%d or newer on\n"
        "PATH. Then run the same command again." % ((sys.executable,) + OLDEST_UV)
    )


def make_venv(uv: str, target: Optional[str]) -> None:
    """Makes .venv where it is missing, half made or of another Python."""
    if os.path.exists(os.path.join(VENV, "pyvenv.cfg")) and is_target(VENV_PYTHON):
        return
    say("making .venv with " + (target or "a Python %s that uv fetches" % TARGET))
    shutil.rmtree(VENV, ignore_errors=True)
    python = ["--python", target] if target else ["--python", TARGET, "--managed-python"]
    if not succeeds([uv, "venv", "--quiet", "--no-project"] + python + [VENV]):
        sys.exit(
            "bootstrap: no Python {0}: none on PATH or in pyenv's versions folder, and uv could fetch none.\n"
            "Install it (`apt-get install python{0}`, `brew install python@{0}` or `pyenv install {0}`), then run the\n"
            "same command again.".format(TARGET)
        )


def wanted_stamp() -> str:
    """What .venv is made from, as one hash."""
    digest = hashlib.sha256()
    for path in (PINS, UV_PINS, os.path.abspath(__file__)):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def main() -> None:
    """Does what is still to be done; nothing, quickly, when the stamp says that all is done."""
    stamp = wanted_stamp()
    if os.path.exists(STAMP) and os.path.exists(VENV_PYTHON):
        with open(STAMP) as file:
            if file.read() == stamp:
                return
    target = installed_target()
    uv = find_uv(target)
    make_venv(uv, target)
    say("installing what requirements.txt pins")
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", VENV, PINS]
    if not succeeds(sync):
        sys.exit("bootstrap: .venv is not complete; run the same command again to go on where it stopped.")
    with open(STAMP, "w") as file:
        file.write(stamp)
    say(".venv is ready")


if __name__ == "__main__":
    main()
