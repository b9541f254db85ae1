"""Starts the programs of the benchmark and exchanges lines with them. peers/README.md describes the protocol."""
import json
import math
import os
import select
import signal
import subprocess
import tempfile
import time


class Failure(Exception):
    """A program failed. The text is for the user of the benchmark."""


class Talk:
    """A process on one CPU. Its standard input and output carry lines."""

    def __init__(self, command, cpu=None):
        self.errors = tempfile.TemporaryFile()
        self.rest = b""
        pin = None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.errors, preexec_fn=pin)
        except OSError as error:
            raise Failure(f"cannot be started: {error.strerror}") from error

    def say(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended; hear() reports how

    def hear(self, seconds):
        """The next line of the process."""
        until = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failure(f"prints nothing for {seconds:.0f} s")
            read = os.read(self.process.stdout.fileno(), 65536)
            if not read:
                raise Failure(self.how_it_ended())
            self.rest += read
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode(errors="replace").strip()

    def how_it_ended(self):
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            return "closes its standard output"
        how = f"is ended by {signal.Signals(-code).name}" if code < 0 else f"ends with exit code {code}"
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"{how}: {said[-1]}" if said else how

    def end(self):
        """Closes standard input; kills a program that does not end by itself."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def read_result(line, numbers):
    """The members of a line of JSON. The members in `numbers` must be finite and positive."""
    try:
        result = json.loads(line)
    except ValueError:
        result = None
    if not isinstance(result, dict):
        raise Failure(f"prints {line[:60]!r}, which is no result")
    if "error" in result:
        raise Failure(f"reports: {result['error']}")
    for name in numbers:
        value = result.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
            raise Failure(f"prints {line[:60]!r}, in which {name} is no positive number")
    return result


class Program:
    """The workloads of a library. Each CPU has a process, which starts at the first run and again after a failure."""

    def __init__(self, name, command, side="", server=None):
        self.name = name
        self.command = command
        self.side = side        # of a program with two sides; stands before the name in a line
        self.server = server    # the command of its servers, or None
        self.talks = {}         # {CPU: process}; the key None is a process that is not pinned
        self.version = ""
        self.workloads = {}     # {name: description}

    def ask(self, command, option):
        try:
            return subprocess.run([*command, option], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=20, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError) as error:
            raise Failure(f"left out, as {option} fails: {error}") from error

    def look(self):
        """Asks the program for its workloads and its version."""
        for line in self.ask(self.command, "--list").splitlines():
            name, _, what = line.strip().partition(" ")
            self.workloads[name] = what.strip()
        self.version = self.ask(self.command, "--version")

    def run(self, workload, ops, cpu, seconds):
        """One run; returns the members of the answer. A failure ends the process."""
        try:
            if cpu not in self.talks:
                self.talks[cpu] = Talk([*self.command, "--serve"], cpu)
            self.talks[cpu].say(f"{self.side} {workload} {ops}".strip())
            return read_result(self.talks[cpu].hear(seconds), ["value"])
        except Failure:
            if cpu in self.talks:
                self.talks[cpu].process.kill()
                self.talks.pop(cpu).end()
            raise

    def end(self):
        while self.talks:
            self.talks.popitem()[1].end()


class Served:
    """A server under load. The server's process has one CPU and the client's process another."""

    def __init__(self, server, load, setting, cpus, wrapper=()):
        self.client = None
        self.server = Talk([*wrapper, *server, setting.protocol], cpus[0])
        try:
            word, _, port = self.server.hear(10).partition(" ")
            if word != "PORT":
                raise Failure("prints no PORT")
            numbers = [port, str(setting.connections), str(setting.pipeline)]
            self.client = Talk([*load, setting.protocol, *numbers], cpus[1])
            # While a listener's queue is full, a connection waits for seconds.
            if self.client.hear(30 + setting.connections / 50) != "READY":
                raise Failure("its client is not ready")
        except Failure:
            self.end()
            raise

    def cpu_ns(self):
        folder = f"/proc/{self.server.process.pid}/task"
        try:
            total = 0
            for task in os.listdir(folder):
                with open(f"{folder}/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
            return total
        except OSError as error:
            raise Failure(self.server.how_it_ended()) from error

    def measure(self, seconds):
        """Generates load for this time; returns the server's CPU time and requests, and the client's latencies."""
        before = self.cpu_ns()
        self.client.say(f"{seconds}")
        result = read_result(self.client.hear(seconds * 10 + 20), ["requests", "seconds", "p50", "p99", "p999"])
        result["cpu_ns"] = self.cpu_ns() - before
        return result

    def end(self):
        for talk in (self.client, self.server):
            if talk is not None:
                talk.end()


def count_calls(server, load, setting, cpus, seconds):
    """(requests, system calls) of a server under strace. There is no load if `seconds` is 0."""
    with tempfile.NamedTemporaryFile(mode="r") as file:
        served = Served(server, load, setting, cpus, ["strace", "-c", "-f", "-o", file.name])
        try:
            requests = 0
            if seconds:
                served.client.say(f"{seconds}")
                requests = read_result(served.client.hear(seconds * 10 + 20), ["requests"])["requests"]
        finally:
            served.end()
        totals = [line.split() for line in file if line.split()[-1:] == ["total"]]
    if not totals:
        raise Failure("strace counts nothing")
    return requests, int(totals[-1][3])


def calls_per_request(server, load, setting, cpus, seconds):
    """System calls per request. The calls for connecting and closing are counted in a separate run and subtracted."""
    _, fixed = count_calls(server, load, setting, cpus, 0)
    requests, calls = count_calls(server, load, setting, cpus, seconds)
    return max(calls - fixed, 0) / requests
