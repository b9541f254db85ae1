#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a trace of zyntax_runtime_trace into a page: one HTML file that needs no network.

    tools/trace_view.py TRACE [PAGE]    writes PAGE, by default TRACE with .html behind it

The page shows the tracks with their slices, arrows and waits. The wheel zooms, dragging moves, the pointer shows the
name and the duration of a slice, and two lists have the longest polls and the longest waits. The trace may
still be growing, or its process may have died: an array without an end, and even a line without an end, are accepted.
"""
import html
import json
import pathlib
import sys
from decimal import Decimal

KERNEL, CALLS, POOL, THREADS = 1, 2, 3, 4  # tracks of the loop; the others are tasks
LISTED = 25
TEMPLATE = pathlib.Path(__file__).with_name('trace_view.html')


def read_events(text):
    """The events of a trace, whole or cut off anywhere."""
    for end in ('', ']'):
        try:
            events = json.loads(text + end, parse_float=Decimal)
            return events['traceEvents'] if isinstance(events, dict) else events
        except json.JSONDecodeError:
            pass
    whole = text[:text.rfind('\n')].rstrip().rstrip(',')
    return json.loads(whole + ('' if whole.endswith(']') else ']'), parse_float=Decimal)


def to_ns(micros):
    return int(Decimal(micros) * 1000)


class Model:
    """The contents of the page. Times are nanoseconds after the first event."""

    def __init__(self, events):
        self.strings, self.numbers = [], {}
        self.tracks = {}     # key: [name, slices]
        self.names = {}      # of tracks: tid: names in their order
        self.arrows = []     # [from track, from time, to track, to time]
        self.counters = {}   # name: [[time, value]]
        self.marks = []      # [track, time, name]
        self.waits = []      # [track, begin, duration, kind]
        timed = [event for event in events if event['ph'] != 'M']
        self.origin = min((to_ns(event['ts']) for event in timed), default=0)
        self.end = max((self.time(event) + to_ns(event.get('dur', 0)) for event in timed), default=0)
        self.read_names(events)
        self.read(timed)
        self.read_jobs(timed)

    def time(self, event):
        return to_ns(event['ts']) - self.origin

    def string(self, text):
        """The number of a text: each is in the page once."""
        if text not in self.numbers:
            self.numbers[text] = len(self.strings)
            self.strings.append(text)
        return self.numbers[text]

    def slices(self, key):
        return self.tracks.setdefault(key, [])

    def read_names(self, events):
        for event in events:
            if event['ph'] == 'M' and event['name'] == 'thread_name':
                names = self.names.setdefault(event['tid'], [])
                if event['args']['name'] not in names:
                    names.append(event['args']['name'])
                if event['tid'] <= THREADS:
                    self.slices((event['tid'], 0))

    def read(self, events):
        begins, ended = {}, {}  # arrows by number; the last poll of a task: its end and its wait
        for event in events:
            key, begin = (event.get('tid', 0), 0), self.time(event)
            if event['ph'] == 'X':
                duration = to_ns(event['dur'])
                self.add_slice(key, event, begin, duration)
                if event.get('cat') == 'poll':
                    self.add_wait(key, event['args'], begin, ended)
                    ended[event['args']['task']] = begin + duration, event['args'].get('waits')
            elif event['ph'] == 's':
                begins[event['id']] = key, begin
            elif event['ph'] == 'f' and event['id'] in begins:
                self.arrows.append((*begins[event['id']], key, begin))
            elif event['ph'] == 'i':
                self.slices(key)
                self.marks.append((key, begin, event['name']))
            elif event['ph'] == 'C':
                for name, value in event['args'].items():
                    self.counters.setdefault(name, []).append([begin, value])

    def add_slice(self, key, event, begin, duration):
        arguments = ', '.join(f'{name}: {value}' for name, value in event.get('args', {}).items())
        numbers = map(self.string, (event['name'], event.get('cat', ''), arguments))
        self.slices(key).append([begin, duration, *numbers])

    def add_wait(self, key, arguments, begin, ended):
        if arguments['task'] in ended:
            last, kind = ended[arguments['task']]
            self.waits.append((key, last, begin - last, kind or ''))

    def read_jobs(self, events):
        """Jobs overlap: they are drawn in as many rows as run at once."""
        open_jobs, jobs = {}, []
        for event in events:
            if event['ph'] == 'b':
                open_jobs[event['id']] = event
            elif event['ph'] == 'e' and event['id'] in open_jobs:
                jobs.append((open_jobs.pop(event['id']), self.time(event)))
        jobs += [(event, self.end) for event in open_jobs.values()]
        free = []  # the end of each row
        for event, end in sorted(jobs, key=lambda job: self.time(job[0])):
            begin = self.time(event)
            row = next((row for row, until in enumerate(free) if until <= begin), len(free))
            free[row:row + 1] = [end]
            self.add_slice((event['tid'], row), event, begin, end - begin)

    def label(self, key):
        names = self.names.get(key[0], [str(key[0])])
        label = names[-1] if len(names) == 1 else f'{names[-1]} and {len(names) - 1} before'
        return f'{label} ({key[1] + 1})' if key[1] else label

    def page_data(self):
        keys = sorted(self.tracks)
        number = {key: i for i, key in enumerate(keys)}
        for slices in self.tracks.values():
            slices.sort(key=lambda slice: slice[0])
        waits = [[number[key], begin, duration, self.string(kind)] for key, begin, duration, kind in self.waits]
        return {
            'end': max(self.end, 1),
            'tracks': [{'name': self.label(key), 'slices': self.tracks[key]} for key in keys],
            'arrows': [[number[a], at, number[b], to] for a, at, b, to in self.arrows if a in number and b in number],
            'marks': [[number[key], at, self.string(name)] for key, at, name in self.marks],
            'waits': sorted(waits, key=lambda wait: wait[1]),
            'counters': self.counters,
            'strings': self.strings,
            'listed': LISTED,
        }


def page_of(text, title):
    data = json.dumps(Model(read_events(text)).page_data(), separators=(',', ':'))
    page = TEMPLATE.read_text(encoding='utf-8')
    return page.replace('@TITLE@', html.escape(title)).replace('@DATA@', data.replace('</', '<\\/'))


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith('-'):
        print(__doc__)
        return 2
    trace = pathlib.Path(sys.argv[1])
    page = pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else f'{trace}.html')
    text = trace.read_text(encoding='utf-8', errors='replace')
    page.write_text(page_of(text, trace.name), encoding='utf-8')
    print(page)
    return 0


if __name__ == '__main__':
    sys.exit(main())
