#!/usr/bin/env python3
"""bench/compare.py, tested with programs that this file makes: its statistics, its protocol, and its words about
programs that break the protocol. Needs nothing but Python's own library.
"""
import csv
import json
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'bench'))
sys.dont_write_bytecode = True
import compare  # noqa: E402
import results  # noqa: E402
from cases import Case, cases, server_case  # noqa: E402
from programs import Failure, Program, Served, calls_per_request  # noqa: E402

# A program of the protocol, which goes wrong in the way that its first argument names.
PEER = '''
import json, os, sys, time
how, option = sys.argv[1:]
if option == "--list":
    print("good  does something" if how != "crash in list" else 1 / 0)
elif option == "--version":
    print("fake 1.2")
for line in sys.stdin if option == "--serve" else []:
    *side, name, ops = line.split()
    if how == "slow": time.sleep(60)
    if how == "crash":
        print("boom", file=sys.stderr)
        sys.exit(3)
    if how == "signal": os.abort()
    answers = {"error": '{"error": "no memory"}', "garbage": "]}", "list": "[1]", "silent": None, "half": '{"value": 1'}
    value = {"nan": "NaN", "negative": "-1", "true": "true", "text": '"1"', "none": "null"}.get(how, ops)
    answer = answers.get(how, '{"value": %s, "extras": {"side": %d}}' % (value, len(side)))
    if answer is not None: print(answer, flush=True)
    if how == "twice": sys.exit()
'''

SERVER = '''
import sys
how, kind = sys.argv[1:]
if how == "no port": print("LISTENING", flush=True)
else: print("PORT 1234", flush=True)
for line in sys.stdin if how != "ends" else []: pass
'''

LOAD = '''
import sys
how, kind, port, connections, pipeline = sys.argv[1:]
if how == "refused": sys.exit("connection refused")
print("READY", flush=True)
for line in sys.stdin:
    seconds = float(line)
    requests = 0 if how == "idle" else int(connections) * int(pipeline)
    print('{"requests": %d, "seconds": %f, "p50": 1, "p99": 2, "p999": 3}' % (requests, seconds), flush=True)
'''


def python(source, *words):
    return [sys.executable, '-c', source, *words]


def peer(how='good', name='fake', side=''):
    return Program(name, python(PEER, how), side)


def runs_of(**values):
    return {name: [{'value': value} for value in each] for name, each in values.items()}


CASE = Case('spin', 'Tasks', what='spins; per turn')


class Statistics(unittest.TestCase):
    def test_one_value_has_no_spread(self):
        self.assertEqual(results.spread([3.0]), [3.0, 3.0, 3.0])

    def test_the_spread_is_the_quartiles_around_the_median(self):
        self.assertEqual(results.spread([7, 1, 6, 2, 5, 3, 4]), [2, 4, 6])

    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        # The ratio of the medians is 2 / 3: the machine was slow for both in the last round.
        self.assertEqual(results.ratio([1, 2, 30], [2, 4, 3])[1], 0.5)
        self.assertEqual(results.ratio([1, 2, 300], [2, 3, 600])[1], 0.5)

    def test_rounds_that_do_not_match_have_no_ratio(self):
        self.assertRaises(ValueError, results.ratio, [1, 2], [1])

    def test_a_difference_within_the_quartiles_is_none(self):
        self.assertEqual(results.ahead([0.8, 0.9, 0.99]), 'ours')
        self.assertEqual(results.ahead([0.9, 1.1, 1.2]), 'even')
        self.assertEqual(results.ahead([1.01, 1.1, 1.2]), 'peer')

    def test_the_best_peer_is_neither_this_library_nor_its_floor(self):
        row = results.summarize(CASE, runs_of(zyntax=[4, 4, 4], floor=[1, 1, 1], uv=[8, 2, 8], ev=[6, 6, 6]))
        self.assertEqual(row['best'], 'ev')
        self.assertEqual(row['to_best'], [0.667, 0.667, 0.667])
        self.assertEqual(row['ahead'], 'ours')
        self.assertEqual(row['programs']['uv']['to_ours'], [0.5, 2, 2])
        self.assertEqual(row['programs']['uv']['to_floor'], [2, 8, 8])

    def test_a_row_without_floor_or_peers(self):
        row = results.summarize(CASE, runs_of(zyntax=[4]))
        self.assertNotIn('best', row)
        self.assertNotIn('to_floor', row['programs']['zyntax'])
        self.assertEqual(results.winner(row), '')

    def test_a_library_behind_c_functions_is_compared_with_itself(self):
        row = results.summarize(CASE, runs_of(tokio=[10, 10, 10], option_a_tokio=[10, 11, 12]))
        self.assertEqual(row['behind_c'], {'option_a_tokio': [1.0, 1.1, 1.2]})

    def test_extras_are_medians_of_the_runs_that_have_them(self):
        runs = [{'value': 1, 'extras': {'waits': each}} for each in (1, 2, 9)] + [{'value': 1}]
        self.assertEqual(results.extras_of(runs), {'waits': 2})


class Protocol(unittest.TestCase):
    def run_once(self, program, seconds=10):
        try:
            return program.run('good', 5, None, seconds)
        finally:
            program.end()

    def fails(self, how, words, seconds=10):
        with self.assertRaises(Failure) as caught:
            self.run_once(peer(how), seconds)
        self.assertIn(words, str(caught.exception))

    def test_a_program_says_what_it_is(self):
        program = peer()
        program.look()
        self.assertEqual(program.workloads, {'good': 'does something'})
        self.assertEqual(program.version, 'fake 1.2')

    def test_a_run_has_a_value_and_extras(self):
        self.assertEqual(self.run_once(peer()), {'value': 5, 'extras': {'side': 0}})

    def test_a_program_with_two_sides_is_told_which(self):
        self.assertEqual(self.run_once(peer(side='floor'))['extras'], {'side': 1})

    def test_an_error_is_repeated(self):
        self.fails('error', 'reports: no memory')

    def test_a_crash_says_how_and_the_last_words(self):
        self.fails('crash', 'ends with exit code 3: boom')
        self.fails('signal', 'is ended by SIGABRT')

    def test_silence_has_a_limit(self):
        self.fails('silent', 'prints nothing for', 0.3)
        self.fails('slow', 'prints nothing for', 0.3)

    def test_what_is_no_result_is_shown(self):
        for how in ('garbage', 'list', 'half'):
            self.fails(how, 'which is no result')

    def test_a_value_is_a_positive_number(self):
        for how in ('nan', 'negative', 'true', 'text', 'none'):
            self.fails(how, 'value is no positive number')

    def test_a_program_that_ended_is_started_again(self):
        program = peer('twice')
        self.assertEqual(program.run('good', 5, None, 10)['value'], 5)
        self.assertRaises(Failure, program.run, 'good', 5, None, 10)
        self.assertEqual(self.run_once(program)['value'], 5)

    def test_a_program_that_cannot_be_started(self):
        with self.assertRaises(Failure) as caught:
            Program('none', [ROOT / 'none']).run('good', 5, None, 10)
        self.assertIn('cannot be started', str(caught.exception))


def bench(rounds, programs=(), load=(), smoke=False):
    """A Bench without the programs of the tree."""
    made = compare.Bench.__new__(compare.Bench)
    vars(made).update(cpus=(None, None), smoke=smoke, rounds=rounds, seconds=0.01, load=load, left_out=[],
                      programs=list(programs))
    return made


class Rounds(unittest.TestCase):
    def setUp(self):
        self.print, compare.print = getattr(compare, 'print', print), lambda *_, **__: None

    def tearDown(self):
        compare.print = self.print

    def test_each_round_has_each_program_once_and_another_first(self):
        calls = []
        runs = bench(3).rounds_of(['a', 'b', 'c'], lambda name: calls.append(name) or {'value': len(calls)})
        rounds = [calls[start:start + 3] for start in range(0, 12, 3)]
        self.assertEqual([sorted(each) for each in rounds], [['a', 'b', 'c']] * 4)
        self.assertEqual([each[0] for each in rounds[1:]], ['a', 'b', 'c'])
        self.assertEqual([len(each) for each in runs.values()], [3, 3, 3])  # the first round does not count

    def test_a_program_that_fails_is_left_out_and_the_others_go_on(self):
        def measure(name):
            calls.append(name)
            if name == 'b' and len(calls) > 4:
                raise Failure('is broken')
            return {'value': 1}
        calls, made = [], bench(2)
        self.assertEqual(list(made.rounds_of(['a', 'b', 'c'], measure)), ['a', 'c'])
        self.assertEqual(made.left_out, ['b is left out: is broken'])
        self.assertEqual(calls.count('b'), 2)

    def test_only_programs_with_the_workload_run(self):
        programs = [peer(name='one'), peer('error', 'two'), peer(name='three')]
        for program in programs:
            program.look()
        programs[2].workloads = {}
        made = bench(2, programs)
        try:
            runs = made.workload(Case('good', 'Tasks', 5, workload='good'))
        finally:
            made.end()
        self.assertEqual({name: [run['value'] for run in each] for name, each in runs.items()}, {'one': [5, 5]})
        self.assertEqual(made.left_out, ['two is left out: reports: no memory'])

    def test_a_program_that_is_missing_or_silent_is_skipped_with_a_word(self):
        left_out = []
        there = compare.usable([Program('uv', [ROOT / 'none']), peer('crash in list', 'two'), peer()], left_out)
        self.assertEqual([program.name for program in there], ['fake'])
        self.assertEqual(left_out[0], 'uv is skipped, as none was not built')
        self.assertIn('two is left out, as --list fails', left_out[1])


class Servers(unittest.TestCase):
    case = server_case('echo', 3, 2)

    def served(self, server='good', load='good'):
        return Served(python(SERVER, server), python(LOAD, load), self.case, (None, None))

    def fails(self, words, *how):
        with self.assertRaises(Failure) as caught:
            served = self.served(*how)
            try:
                served.measure(0.01)
            finally:
                served.end()
        self.assertIn(words, str(caught.exception))

    def test_a_server_is_measured_under_load(self):
        served = self.served()
        try:
            for _ in range(2):
                measured = served.measure(0.5)
                self.assertEqual((measured['requests'], measured['seconds']), (6, 0.5))
                self.assertGreaterEqual(measured['cpu_ns'], 0)
        finally:
            served.end()
        run = compare.as_run({**measured, 'cpu_ns': 600})
        self.assertEqual(run['value'], 100)
        self.assertEqual(list(run['extras']), ['requests/s', 'p50, µs', 'p99, µs', 'p999, µs'])
        self.assertEqual(run['extras']['requests/s'], 12)

    def test_servers_and_clients_that_are_broken(self):
        self.fails('prints no PORT', 'no port')
        self.fails('connection refused', 'good', 'refused')
        self.fails('requests is no positive number', 'good', 'idle')

    def test_a_server_that_ended_is_noticed(self):
        served = self.served('ends')
        served.server.process.wait()
        with self.assertRaises(Failure) as caught:
            served.measure(0.01)
        served.end()
        self.assertIn('ends with exit code 0', str(caught.exception))

    @unittest.skipUnless(compare.shutil.which('strace'), 'no strace')
    def test_system_calls_that_do_not_depend_on_requests_are_none_per_request(self):
        try:
            calls = calls_per_request(python(SERVER, 'good'), python(LOAD, 'good'), self.case, (None, None), 0.01)
        except Failure as failure:
            self.skipTest(str(failure))
        self.assertLess(calls, 20)


class Files(unittest.TestCase):
    def test_the_files_have_every_program_and_every_run(self):
        served = server_case('http', 100, 16)
        runs = {'spin': runs_of(zyntax=[4, 5, 6], floor=[2, 2, 2], uv=[9, 9, 9], tokio=[1, 1, 1],
                                option_a_tokio=[2, 2, 2]),
                served.name: {'zyntax': [{'value': 5, 'extras': {'requests/s': 2000.0}}] * 3}}
        rows = [results.summarize(case, runs[case.name]) for case in (CASE, served)]
        made = {'made': {'cpu': 'A', 'cores': 2, 'kernel': 'B', 'date': '2020-01-02', 'rounds': 3, 'options': ''},
                'versions': {'uv': 'uv 1.2'}, 'workloads': rows, 'left_out': ['ev is skipped']}
        with tempfile.TemporaryDirectory() as folder:
            results.write(folder, made, runs)
            text = (Path(folder) / 'results.md').read_text(encoding='utf-8')
            with open(Path(folder) / 'results.csv', encoding='utf-8', newline='') as file:
                lines = list(csv.reader(file))
            self.assertEqual(json.loads((Path(folder) / 'results.json').read_text(encoding='utf-8')), made)
        self.assertEqual(len(lines), 1 + 5 * 3 + 2 * 3)
        self.assertIn(['spin', 'zyntax', '3', 'value', '6'], lines)
        for words in ('| `spin`: spins; per turn, ns | 5.0 (4.0–6.0) | 2.0 (2.0–2.0) | 2.50 (2.00–3.00) | tokio: 1.0',
                      '| tokio, 5.00 times |', '| uv | uv 1.2 |', '- ev is skipped', '2,000',
                      '| `spin` | 2.00 (2.00–2.00) |'):
            self.assertIn(words, text)

    def test_the_cases_have_names_of_their_own(self):
        for quick in (False, True):
            names = [case.name for case in cases(quick)]
            self.assertEqual(len(names), len(set(names)))

    def test_words_select_workloads_and_groups(self):
        def chosen(*words):
            return [case.name for case in compare.select(cases(True), words)]
        self.assertEqual(chosen('PING', 'channels'), ['ping_pong', 'channel_1', 'channel_64', 'port_64'])
        self.assertEqual(chosen('yield_1', 'wake_a'), ['yield_1', 'wake_asleep'])
        self.assertEqual(len(chosen()), len(cases(True)))

    def test_a_part_is_not_written_over_the_results_of_all(self):
        for words, whole in (([], True), (['--quick'], True), (['--only', 'yield'], False), (['--native'], False)):
            sys.argv[1:] = words
            options = compare.parse_arguments()
            self.assertEqual(options.output == ROOT / 'bench' / 'results', whole)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
