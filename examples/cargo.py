#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the Cargo workspace beside it, in release and exactly as its lockfile says, then runs a command.

    cargo.py [COMMAND ARGUMENT...]

In the command, {target} stands for the folder of the built files; if it is `cargo`, that uses the same folder.
Everything is kept in build/cargo of the source tree, or in CARGO_TARGET_DIR, so that the crates are compiled once, and
not once for each build directory; Cargo lets one build at a time into it. Exit code 77, and a word why, where there is
no cargo, where it is too old for the crates, or where they cannot be fetched.
"""
import os
import shutil
import subprocess
import sys

EXAMPLES = os.path.dirname(os.path.abspath(__file__))
TOO_OLD = ["lock file version", "requires rustc"]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def cargo(target, *arguments):
    """Runs cargo with the lockfile as it is. Returns its output and whether it succeeded."""
    command = ["cargo", *arguments, "--locked", "--manifest-path", os.path.join(EXAMPLES, "Cargo.toml")]
    environment = dict(os.environ, CARGO_TARGET_DIR=target, CARGO_TERM_COLOR="never")
    result = subprocess.run(command, cwd=EXAMPLES, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, preexec_fn=lambda: os.nice(10))
    if result.returncode != 0:
        print(result.stdout)
        if any(words in result.stdout for words in TOO_OLD):
            skip("this cargo is too old")
    return result.stdout, result.returncode == 0


def main():
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(os.path.dirname(EXAMPLES), "build", "cargo")
    if not shutil.which("cargo"):
        skip("there is no cargo")
    said, fetched = cargo(target, "fetch")
    if not fetched:
        if "--locked" in said:  # Cargo.lock does not fit Cargo.toml
            sys.exit(1)
        skip("the crates cannot be fetched")
    if not cargo(target, "build", "--release", "--workspace", "--offline")[1]:
        sys.exit(1)
    command = [word.replace("{target}", os.path.join(target, "release")) for word in sys.argv[1:]]
    if command:
        sys.stdout.flush()
        os.environ["CARGO_TARGET_DIR"] = target
        os.execvp(command[0], command)


if __name__ == "__main__":
    main()
