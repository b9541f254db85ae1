"""What compare.py measures: workloads of programs, and servers under load."""
import dataclasses


@dataclasses.dataclass
class Case:
    """A workload with a number of operations, or a server with a number of connections."""
    name: str
    group: str
    ops: int = 0
    quick_ops: int = 0
    unit: str = "ns"
    workload: str = ""      # by default the name
    count: int = 0          # of tasks, timers or connections, for the plots of the cost against it
    what: str = ""
    any_cpu: bool = False   # another thread or process is busy at the same time
    protocol: str = ""
    connections: int = 0
    pipeline: int = 1


def cases():
    known = [
        ("Tasks", [("spawn_batch", 2_000_000, 200_000), ("spawn_join", 1_000_000, 200_000),
                   ("yield_1", 2_000_000, 200_000), ("yield_1000", 2_000_000, 200_000),
                   ("ping_pong", 2_000_000, 200_000)]),
        ("Channels", [("channel_1", 1_000_000, 100_000), ("channel_64", 2_000_000, 200_000),
                      ("port_64", 2_000_000, 200_000)]),
        ("Timers", [("timer_insert", 1_000_000, 100_000), ("timer_cancel", 1_000_000, 100_000),
                    ("timer_expire", 100_000, 100_000), ("timer_fire", 100_000, 100_000)]),
        ("I/O within a process", [("socketpair", 20_000, 5_000), ("echo_1", 10_000, 500), ("echo_50", 60_000, 6_000),
                                  ("echo_500", 60_000, 6_000)]),
        ("Other threads", [("wake_asleep", 10_000, 1_000), ("wake_busy_distinct", 1_000_000, 100_000),
                           ("wake_busy_same", 1_000_000, 100_000)]),
        ("Whole runtimes", [("create_destroy", 5_000, 1_000)]),
    ]
    found = [Case(name, group, ops, quick) for group, entries in known for name, ops, quick in entries]
    for case in found:
        case.count = {"yield_1": 1, "yield_1000": 1_000}.get(case.name, 0)
        case.any_cpu = case.name.startswith(("echo_", "wake_busy_"))
    found.append(Case("task_bytes", "Whole runtimes", 1_000_000, 1_000_000, "bytes"))
    found += [Case(f"yield_{tasks}", "Cost against the number of tasks", 1_000_000, 200_000, count=tasks)
              for tasks in (10, 100, 10_000, 100_000)]
    found += [Case(f"timer_cancel of {timers:,}", "Cost against the number of timers", timers, timers,
                   workload="timer_cancel", count=timers) for timers in (1_000, 10_000, 100_000)]
    return found + [server_case("echo", count) for count in (1, 10, 100, 1_000)] + \
        [server_case("http", 100), server_case("http", 100, 16)]


def server_case(protocol, connections, pipeline=1):
    what = f"{connections:,} connections" if connections > 1 else "1 connection"
    what += f", {pipeline} requests at a time on each" if pipeline > 1 else ""
    name = f"server_{protocol}_{connections}" + (f"_pipelined_{pipeline}" if pipeline > 1 else "")
    return Case(name, "Servers", what=f"{protocol.upper() if protocol == 'http' else protocol} over TCP, {what}",
                protocol=protocol, connections=connections, pipeline=pipeline,
                count=connections if protocol == "echo" else 0)
