"""The cases of compare.py: workloads of programs, and servers under load."""
import dataclasses

TASK_COUNTS = "Cost against the number of tasks"
TIMER_COUNTS = "Cost against the number of timers"

# By group: the name, the operations of a run, and the operations of a run with --quick. task_bytes is the first
# workload, because other workloads leave free memory in the process. It measures in a copy of the process.
WORKLOADS = {
    "Memory": [("task_bytes", 1_000_000, 1_000_000)],
    "Tasks": [("spawn_batch", 2_000_000, 100_000), ("spawn_join", 1_000_000, 100_000), ("yield_1", 2_000_000, 200_000),
              ("yield_1000", 2_000_000, 200_000), ("ping_pong", 2_000_000, 200_000)],
    TASK_COUNTS: [(f"yield_{count}", 1_000_000, 200_000) for count in (10, 100, 10_000, 100_000)],
    "Channels": [("channel_1", 1_000_000, 100_000), ("channel_64", 2_000_000, 200_000),
                 ("port_64", 2_000_000, 200_000)],
    "Timers": [("timer_insert", 1_000_000, 100_000), ("timer_cancel", 1_000_000, 50_000),
               ("timer_expire", 100_000, 100_000), ("timer_fire", 100_000, 100_000)],
    "I/O within a process": [("socketpair", 20_000, 5_000), ("echo_1", 10_000, 500), ("echo_50", 60_000, 6_000),
                             ("echo_500", 60_000, 6_000)],
    "Other threads": [("wake_asleep", 10_000, 1_000), ("wake_busy_distinct", 1_000_000, 100_000),
                      ("wake_busy_same", 1_000_000, 100_000)],
    "Whole runtimes": [("create_destroy", 5_000, 1_000), ("process_start", 500, 100)],
}


@dataclasses.dataclass
class Case:
    """A workload with a number of operations, or a server with a number of connections."""
    name: str
    group: str
    ops: int = 0
    what: str = ""          # by default the program's description
    unit: str = "ns"
    workload: str = ""
    any_cpu: bool = False   # not pinned, because a second thread or process is busy at the same time
    count: int = 0          # of tasks, timers or connections, for the plots of the cost against this number
    protocol: str = ""
    connections: int = 0
    pipeline: int = 1


def workload_case(group, name, ops):
    count = int(name.removeprefix("yield_")) if name.startswith("yield_") else ops if name == "timer_cancel" else 0
    return Case(name, group, ops, workload=name, unit="bytes" if name == "task_bytes" else "ns", count=count,
                any_cpu=name.startswith(("echo_", "wake_")))


def timers_case(count):
    return Case(f"timer_cancel of {count:,}", TIMER_COUNTS, count, workload="timer_cancel", count=count)


def server_case(protocol, connections, pipeline=1):
    what = f"{protocol}, {connections:,} connections" if connections > 1 else f"{protocol}, 1 connection"
    what += f", {pipeline} requests at a time on each" if pipeline > 1 else ""
    name = f"server_{protocol}_{connections}" + (f"_pipelined_{pipeline}" if pipeline > 1 else "")
    return Case(name, "Servers", what=what, protocol=protocol, connections=connections, pipeline=pipeline,
                count=connections if protocol == "echo" else 0)


def cases(quick):
    found = [workload_case(group, name, quick_ops if quick else ops)
             for group, entries in WORKLOADS.items() for name, ops, quick_ops in entries]
    found += [timers_case(count) for count in ((1_000, 10_000) if quick else (1_000, 10_000, 100_000))]
    found += [server_case("echo", count) for count in ((1, 100, 1_000) if quick else (1, 10, 100, 1_000, 10_000))]
    return found + [server_case("http", 100), server_case("http", 100, 16)]
