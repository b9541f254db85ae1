#!/usr/bin/env python3
"""The page that tools/trace_view.py makes, as a headless Chromium draws it. Exit 77 (skipped) without one.

    tests/trace_view.py ECHO_SERVER   traces the echo server under load; also with cut-off traces and 100,000 events
"""
import html
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import traces

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ['chromium', 'chromium-browser', 'google-chrome']

# The actions of a user, and the text that the page shows then.
HANDS = """
<pre id="answers"></pre>
<script>
const answers = [];
const ask = () => { draw(); answers.push(JSON.parse(document.getElementById('report').textContent)); };
const send = (type, x, y, more) => canvas.dispatchEvent(new (type === 'wheel' ? WheelEvent : MouseEvent)(type,
  {clientX: x + canvas.getBoundingClientRect().left, clientY: y + canvas.getBoundingClientRect().top, bubbles: true,
   cancelable: true, ...more}));
ask();
const [track, begin, length] = polls.slice().sort((a, b) => b[2] - a[2])[0];
const middle = () => x(begin + length / 2);
for (let i = 0; i < 12; i++) send('wheel', middle(), y(track) + ROW / 2, {deltaY: -300});
ask();
send('mousemove', middle(), y(track) + ROW / 2);
ask();
send('mousedown', 600, 100);
send('mousemove', 700, 100);
send('mouseup', 700, 100);
ask();
send('dblclick', 600, 100);
ask();
document.querySelector('#waits tr').click();
ask();
const texts = id => [...document.querySelectorAll(`#${id} tr`)].map(row => row.cells[0].textContent);
answers.push({polls: texts('polls'), waits: texts('waits')});
document.getElementById('answers').textContent = JSON.stringify(answers);
</script>
"""


def find_browser():
    return next((path for path in map(shutil.which, BROWSERS) if path), None)


def make_page(text, folder):
    trace, page = folder / 'trace.json', folder / 'page.html'
    trace.write_text(text, encoding='utf-8')
    subprocess.run([sys.executable, str(ROOT / 'tools/trace_view.py'), str(trace), str(page)], check=True,
                   stdout=subprocess.DEVNULL)
    return page


def ask_browser(browser, page, folder):
    """The page's answers to a user's actions."""
    text = page.read_text(encoding='utf-8')
    assert not re.search(r'(?:src|href)\s*=|https?:|@import|fetch\(', text), 'the page needs a network'
    page.write_text(text.replace('</html>', HANDS + '</html>'), encoding='utf-8')
    command = [browser, '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-extensions',
               '--disable-dev-shm-usage', f'--user-data-dir={folder / "profile"}', '--window-size=1300,900',
               '--dump-dom', page.as_uri()]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240, text=True)
    found = re.search(r'<pre id="answers">(.*?)</pre>', run.stdout, re.DOTALL)
    assert found and found.group(1), f'the page failed: {run.stderr[-2000:]}'
    return json.loads(html.unescape(found.group(1)))


def check_page(text, browser, folder):
    """The page has what the trace has; zoom, drag and pointer work."""
    events = traces.parse(text)
    polls = traces.check(events)
    answers = ask_browser(browser, make_page(text, folder), folder)
    whole, zoomed, pointed, moved, whole_again, jumped, lists = answers
    tids = {event['tid'] for event in events if event['ph'] != 'M'} | {1, 2, 3, 4}
    arrows = [event for event in events if event['ph'] == 'f']
    slices = [event for event in events if event['ph'] == 'X']
    marks = [event for event in events if event['ph'] == 'i']
    tasks = {poll['args']['task'] for poll in polls}
    expected = {'tracks': len(tids), 'polls': len(polls), 'arrows': len(arrows), 'marks': len(marks),
                'waits': len(polls) - len(tasks)}
    assert {name: whole[name] for name in expected} == expected, (whole, expected)
    visible = min(len(tids), whole['drawn']['tracks'])
    assert visible == len(tids) or visible > 20, whole['drawn']
    if visible == len(tids):
        for name, count in (('slices', len(slices)), ('marks', len(marks)), ('waits', expected['waits'])):
            assert whole['drawn'][name] == count, (name, count, whole['drawn'])
        names = {event['args']['name'] for event in events if event['ph'] == 'M' and event['tid'] > 4}
        drawn = ' '.join(whole['drawn']['names'])
        assert all(event in drawn for event in ('kernel', 'posted calls', 'pool', 'other threads')), drawn
        assert sum(name in drawn for name in names) == len(tids) - 4, (names, drawn)
    check_hands(polls, whole, pointed, zoomed, moved, whole_again, jumped)
    check_lists(polls, lists)
    return whole


def check_hands(polls, whole, pointed, zoomed, moved, whole_again, jumped):
    most = max(traces.to_ns(poll['dur']) for poll in polls)
    longest = [poll['name'] for poll in polls if traces.to_ns(poll['dur']) == most]
    name, _, length = pointed['tip'].split('\n')[0].partition(': ')
    assert name in longest and abs(in_ns(length) - most) <= most / 100 + 1, (pointed['tip'], longest[:3])
    size = [answer['drawn']['to'] - answer['drawn']['from'] for answer in (whole, zoomed, moved)]
    assert size[1] < size[0] / 50 and abs(size[2] - size[1]) <= size[1] / 1000, size
    assert 0 < zoomed['drawn']['slices'] <= whole['drawn']['slices']
    assert moved['drawn']['from'] < zoomed['drawn']['from']
    assert whole_again['drawn'] == whole['drawn']
    assert jumped['drawn']['from'] != whole['drawn']['from']


def in_ns(text):
    number, unit = text.split()
    return float(number) * {'ns': 1, 'µs': 1e3, 'ms': 1e6, 's': 1e9}[unit]


def check_lists(polls, lists):
    longest = sorted((traces.to_ns(poll['dur']) for poll in polls), reverse=True)[:25]
    assert len(lists['polls']) == len(longest)
    for shown, duration in zip(lists['polls'], longest):
        assert abs(in_ns(shown) - duration) <= duration / 100 + 1, (shown, duration)
    waits = [in_ns(shown) for shown in lists['waits']]
    assert waits and all(a >= b * 0.99 for a, b in zip(waits, waits[1:])), waits


def of_many_events(count):
    """A trace of that many events, made up: 200 tasks that are polled in turn."""
    lines = [f'{{"ph":"M","pid":1,"tid":{tid},"ts":0.000,"name":"thread_name","args":{{"name":"{name}"}}}}'
             for tid, name in enumerate(['kernel', 'posted calls', 'pool', 'other threads'], 1)]
    lines += [f'{{"ph":"M","pid":1,"tid":{tid},"ts":0.000,"name":"thread_name","args":{{"name":"task {tid}"}}}}'
              for tid in range(257, 457)]
    for number in range(count - len(lines)):
        tid = 257 + number % 200
        lines.append(f'{{"ph":"X","pid":1,"tid":{tid},"ts":{number}.000,"cat":"poll","dur":0.{number % 899 + 100},'
                     f'"name":"task {tid}","args":{{"task":"0x{(1 << 32) + tid:x}","polls":{number // 200 + 1},'
                     f'"waits":"readable"}}}}')
    return '[\n' + ',\n'.join(lines) + '\n]\n'


def check_cut_off(text, folder):
    """A trace may end anywhere after its first event."""
    sys.path.insert(0, str(ROOT / 'tools'))
    sys.dont_write_bytecode = True
    from trace_view import page_of, read_events
    count, first = len(traces.parse(text)), text.index('\n', 2)
    for end in [first + 1, *range(first + 2, first + 700, 7), len(text) // 2, len(text) - 2]:
        events = read_events(text[:end])
        assert 0 < len(events) <= count, end
        page_of(text[:end], '<cut & off>')
    hostile = '[\n{"ph":"X","pid":1,"tid":300,"ts":1.000,"cat":"poll","dur":1.000,"name":"</script><b>","args":' \
              '{"task":"0x10000012c","polls":1,"ended":true}}'
    assert '</script><b>' not in page_of(hostile, '<i>') and '<i>' not in page_of(hostile, '<i>')


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = traces.serve(sys.argv[1], folder / 'trace.json', 6, 400, signal.SIGINT)
        check_cut_off(text, folder)
        browser = find_browser()
        if not browser:
            print('skipped: there is no Chromium')
            return 77
        whole = check_page(text, browser, folder)
        print(f'{whole["polls"]} polls in {whole["tracks"]} tracks')
        whole = check_page(of_many_events(100_000), browser, folder)
        print(f'{whole["polls"]} polls in {whole["tracks"]} tracks')
    return 0


if __name__ == '__main__':
    sys.exit(main())
