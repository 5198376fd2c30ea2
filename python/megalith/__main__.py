"""``python -m megalith script.py args…`` runs a MegEngine script on Megalith; ``mgl`` is the native command."""

import os
import runpy
import shutil
import sys

_USAGE = """usage: python -m megalith script.py [args…]      run a script written for MegEngine
       python -m megalith -m module [args…]    run a module so
       python -m megalith -c code [args…]      run code so
The command line tools are in `mgl`."""


def mgl():
    """Runs the native ``mgl`` with this process' arguments; it takes the place of this process."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "mgl.exe" if os.name == "nt" else "mgl")
    program = here if os.path.isfile(here) else _on_path()
    if program is None:
        print("mgl: the native command is not in this installation, nor on PATH", file=sys.stderr)
        return 127
    if os.name == "nt":
        import subprocess

        return subprocess.call([program, *sys.argv[1:]])
    os.execv(program, [program, *sys.argv[1:]])


def _on_path():
    """A native ``mgl``, and not the script of this package that calls this function."""
    me = os.path.realpath(sys.argv[0])
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which("mgl", path=folder) if folder else None
        if found is None or os.path.realpath(found) == me:
            continue
        with open(found, "rb") as f:
            if f.read(2) != b"#!":
                return found
    return None


def main(arguments=None):
    """Runs a script, module or code with ``import megengine`` giving Megalith."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if arguments[0] in ("-m", "-c") and len(arguments) < 2:
        print(_USAGE, file=sys.stderr)
        return 2
    from megalith import compat

    compat.install()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path[0:1] = [os.getcwd()]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        sys.path[0:1] = [""]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        if not os.path.exists(arguments[0]):
            print(f"python -m megalith: there is no file {arguments[0]}", file=sys.stderr)
            return 2
        sys.argv = arguments
        sys.path[0:1] = [os.path.dirname(os.path.abspath(arguments[0]))]
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
