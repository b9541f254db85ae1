#!/usr/bin/env python3
"""The traces of the examples, checked strictly: they are JSON, and every event is as the header says.

    tests/traces.py PROGRAM [ARGUMENT...]   runs an example with ZYNTAX_TRACE, and checks its trace
    tests/traces.py --killed ECHO_SERVER    kills the echo server while it works, and checks its trace
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PHASES = {'M': {'name', 'args'}, 'X': {'dur', 'cat', 'name', 'args'}, 'i': {'s', 'cat', 'name', 'args'},
          's': {'cat', 'name', 'id'}, 'f': {'cat', 'name', 'id', 'bp'}, 'b': {'cat', 'name', 'id'},
          'e': {'cat', 'name', 'id'}, 'C': {'name', 'args'}}
HEX = re.compile(r'0x[1-9a-f][0-9a-f]*|0x0')


def to_ns(micros):
    """Takes a number's text: exactly three decimals."""
    if not re.fullmatch(r'(0|[1-9]\d*)\.\d{3}', micros):
        raise AssertionError(f'{micros} is not in microseconds with three decimals')
    return int(micros.replace('.', ''))


def parse(text):
    """The events of a trace that has its end. A number with decimals stays the text that it was."""
    def fail(word):
        raise AssertionError(f'{word} is no JSON')

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs), f'a name comes twice in {pairs}'
        return dict(pairs)
    return json.loads(text, parse_float=str, parse_constant=fail, object_pairs_hook=unique)


def check_arrows(slices, arrows):
    """Each arrow that ends has begun once, at a slice, and not later."""
    begins = {}
    for event in arrows:
        if event['ph'] == 's':
            assert event['id'] not in begins, f'{event} begins twice'
            begins[event['id']] = event
    for event in arrows:
        where = (event['tid'], event['ts'])
        assert where in slices, f'{event} is at no slice'
        if event['ph'] == 'f':
            assert to_ns(begins[event['id']]['ts']) <= to_ns(event['ts']), f'{event} goes back in time'
            assert slices[where]['cat'] == 'poll', f'{event} ends at no poll'


def check(events):
    """Fails unless the events are those of a trace; returns the polls."""
    slices, arrows, polls, ends, last, named, counted = {}, [], [], {}, 0, set(), None
    for event in events:
        phase = event['ph']
        assert set(event) == {'ph', 'pid', 'tid', 'ts'} | PHASES[phase], f'members of {event}'
        assert event['pid'] == 1 and isinstance(event['tid'], int), event
        begin = to_ns(event['ts'])
        end = begin + to_ns(event['dur']) if phase == 'X' else begin
        if phase in 'Xi':
            assert end >= last, f'{event} ends before the one before it'
            last = end
        if phase == 'M' and event['name'] == 'thread_name':
            named.add(event['tid'])
        assert phase == 'M' or event['tid'] in named, f'the track of {event} has no name'
        if phase == 'X':
            assert begin >= ends.get(event['tid'], 0), f'{event} overlaps'
            ends[event['tid']] = end
            slices[event['tid'], event['ts']] = event
            if event['cat'] == 'poll':
                polls.append(event)
                assert HEX.fullmatch(event['args']['task']) and int(event['args']['task'], 16) > 2**32, event
                assert ('waits' in event['args']) != (event['args'].get('ended') is True), event
        if phase in 'sf':
            arrows.append(event)
        if phase in 'sfbe':
            assert HEX.fullmatch(event['id']), event
        if phase == 'C':
            assert counted is None or begin - counted >= 500_000, f'{event} comes too early'
            counted = begin
    check_arrows(slices, arrows)
    assert polls, 'no polls'
    return polls


def load_server(port, clients, rounds):
    """Echoes lines at a server, from as many threads; stops when the server does."""
    def talk():
        try:
            with socket.create_connection(('127.0.0.1', port)) as connection:
                for number in range(rounds):
                    line = b'line %d\n' % number
                    connection.sendall(line)
                    received = b''
                    while len(received) < len(line):
                        more = connection.recv(100)
                        if not more:
                            return
                        received += more
                    assert received == line
        except OSError:
            pass
    threads = [threading.Thread(target=talk) for _ in range(clients)]
    for thread in threads:
        thread.start()
    return threads


def serve(program, trace, clients, rounds, end_signal):
    """The trace of an echo server under load that ends with a signal: SIGINT after the load, SIGKILL during it."""
    server = subprocess.Popen([program, '0'], env={**os.environ, 'ZYNTAX_TRACE': str(trace)}, stdout=subprocess.PIPE,
                              text=True)
    port = int(re.search(r'port (\d+)', server.stdout.readline()).group(1))
    threads = load_server(port, clients, rounds)
    if end_signal == signal.SIGKILL:
        while trace.stat().st_size < 300_000:
            assert server.poll() is None
            time.sleep(0.01)
    else:
        for thread in threads:
            thread.join()
    server.send_signal(end_signal)
    server.communicate(timeout=60)
    for thread in threads:
        thread.join()
    return trace.read_text(encoding='utf-8')


def run_killed(program, folder):
    text = serve(program, folder / 'trace.json', 4, 1_000_000, signal.SIGKILL)
    assert not text.rstrip().endswith(']'), 'the trace has an end'
    return {'trace.json': text + ']'}


def run_whole(command, folder):
    env = {**os.environ, 'ZYNTAX_TRACE': str(folder / 'trace.json')}
    program, *arguments = command
    with tempfile.TemporaryDirectory() as work:  # another test may run the program, with the same files, at this time
        subprocess.run([Path(program).resolve(), *arguments], env=env, cwd=work, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, timeout=60, check=True)
    return {path.name: path.read_text(encoding='utf-8') for path in sorted(folder.iterdir())}


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1] == '--killed':
            traces = run_killed(sys.argv[2], Path(folder))
        else:
            traces = run_whole(sys.argv[1:], Path(folder))
    assert traces, 'no trace'
    for name, text in traces.items():
        assert text.startswith('[\n{') and all(line.startswith('{') for line in text[2:].splitlines()[:-1]), name
        events = parse(text)
        print(f'{name}: {len(events)} events, {len(check(events))} polls')
    return 0


if __name__ == '__main__':
    sys.exit(main())
