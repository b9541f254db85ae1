#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the program swap on a library in each way that a library can be chosen without compiling anything.

    swap.py NAME LIBRARY SWAP SWAP_LINKED

SWAP opens the library by its path, and by NAME, the SONAME that SWAP_LINKED is linked to. For the name, LD_LIBRARY_PATH
leads to a folder where LIBRARY has it. Each prints the same lines.
"""
import os
import subprocess
import sys
import tempfile


def run(how, command, folder=None):
    environment = dict(os.environ)
    environment.pop("LD_LIBRARY_PATH", None)
    if folder:
        environment["LD_LIBRARY_PATH"] = folder
    print(f"-- {how}", flush=True)
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    print(output.stdout, end="", flush=True)
    if output.returncode != 0:
        sys.exit(f"{how}: exit code {output.returncode}")
    return output.stdout


def main():
    name = sys.argv[1]
    library, swap, swap_linked = map(os.path.abspath, sys.argv[2:])
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(library, os.path.join(folder, name))
        # Which file the linker takes is told by itself, so that the build's own library is not tested three times.
        trace = subprocess.run([swap_linked], env=dict(os.environ, LD_LIBRARY_PATH=folder, LD_TRACE_LOADED_OBJECTS="1"),
                               stdout=subprocess.PIPE, text=True, check=True).stdout
        if f"{name} => {folder}/" not in trace:
            sys.exit(f"LD_LIBRARY_PATH does not choose the library:\n{trace}")
        outputs = {run("dlopen by path", [swap, library]), run("dlopen by name, LD_LIBRARY_PATH", [swap], folder),
                   run("linked, LD_LIBRARY_PATH", [swap_linked], folder)}
    if len(outputs) != 1:
        sys.exit("the outputs differ")


if __name__ == "__main__":
    main()
