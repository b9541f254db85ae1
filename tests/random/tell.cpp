// The state at a failure, for failures that do not come again: the model, and the state of the runtime and the kernel.
#include "program.h"

#include <cstdio>
#include <cstring>

namespace random_test {

namespace {

void tell_file(const char *name) {
    FILE *file = std::fopen(name, "r");
    if (!file) return;
    char line[256];
    while (std::fgets(line, sizeof line, file)) std::printf("    %s", line);
    std::fclose(file);
}

void tell_task(void *, const zyntax_task_info *info) {
    std::printf("  task %p, state 0x%llx: waits %d, %llu polls\n", static_cast<void *>(info->task),
                static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(info->state)), int(info->waits),
                static_cast<unsigned long long>(info->polls));
}

unsigned long long wide(uint64_t n) { return n; }

} // namespace

void Program::tell_runtime(uint32_t r) {
    const RuntimeModel &rt = rts_[r];
    std::printf(
        "runtime %u: driving %d, one_round %d, stop %u, holds %d, posted %u, budgets %u %u, stall %d, spin %llu\n", r,
        rt.driving, rt.one_round, rt.stop, rt.holds, rt.posted, rt.budget, rt.await_budget, rt.stall,
        wide(rt.slack_ns));
    zyntax_runtime_stats stats = {};
    stats.size = sizeof stats;
    zyntax_runtime_get_stats(rt.rt, &stats);
    std::printf("  next timeout %lld; %llu alive, %llu polls, wakes %llu and %llu remote, kernel %llu waits and %llu "
                "events, timers %llu, open %llu, jobs %llu\n",
                static_cast<long long>(zyntax_runtime_next_timeout_ns(rt.rt)), wide(stats.tasks_alive),
                wide(stats.polls), wide(stats.wakes), wide(stats.wakes_remote), wide(stats.kernel_waits),
                wide(stats.kernel_events), wide(stats.timers_pending), wide(stats.io_open),
                wide(stats.blocking_pending));
    if (rt.host_waits) {
        std::printf("  host waits on %d, readable %d, edges %d, took %d, waits then %llu\n", int(rt.host_fd),
                    outside::host_readable(rt.host_fd, false), rt.edges, rt.took_edge, wide(rt.waits_then));
        outside::tell_host(rt.host_fd, tell_file);
    }
    zyntax_runtime_dump(rt.rt, tell_task, nullptr);
}

void Program::tell_actor(const Actor &actor) {
    std::printf("actor %u (%u) of %u: task %p,%s%s%s%s%s%s%s%s%s, %u polls\n", unsigned(&actor - actors_), actor.id,
                actor.rt, static_cast<void *>(actor.task), is_live(actor) ? "" : " ended",
                actor.promise ? " promise" : "", actor.silent ? " silent" : "", actor.in_poll ? " in_poll" : "",
                actor.canceled ? " canceled" : "", actor.must_poll ? " must_poll" : "", actor.again ? " again" : "",
                actor.finishing ? " finishing" : "", actor.child ? " child" : "", actor.polls);
    for (const Leaf &leaf : actor.leaves) {
        if (!leaf.id || leaf.gone) continue;
        std::printf("  leaf %u: type %u, object %u (%u), touched %llu of %llu, %s%s%s%s%s%s%s\n",
                    unsigned(&leaf - actor.leaves), unsigned(leaf.type), leaf.args.object, leaf.args.object_id,
                    wide(leaf.touched), wide(actor.poll_began), leaf.failing ? " failing" : "",
                    leaf.unsure ? " unsure" : "", leaf.canceled ? " canceled" : "", leaf.cut ? " cut" : "",
                    leaf.limited ? " limited" : "", leaf.passed ? " passed" : "", is_held(actor, leaf) ? " held" : "");
        for (uint32_t i = 0; i < leaf.count; i++)
            std::printf("    of %s %u (%u)\n", leaf.inner[i].is_code ? "code" : "leaf", leaf.inner[i].index,
                        leaf.inner[i].id);
    }
    for (const Word &word : actor.words) {
        if (word.args.kind == Kind::none) continue;
        const Reg *reg = reg_of(word);
        std::printf("  word %s of %u (%u), op %llx, reg %d\n", name_of(word.args.kind), word.args.object,
                    word.args.object_id, wide(word.op), reg ? int(reg - regs_) : -1);
    }
}

void Program::tell_reg(const Reg &reg) {
    const Args &a = reg.args;
    std::printf(
        "reg %u: %s on %u, object %u (%u), value %u, op %llx, armed %llu, touched %llu, due in %lld us,%s%s%s%s "
        "for %s %u (%u)%s\n",
        unsigned(&reg - regs_), name_of(a.kind), a.rt, a.object, a.object_id, a.value, wide(reg.op), wide(reg.armed),
        wide(reg.touched), static_cast<long long>(reg.deadline_ns - now(a.rt)) / 1000,
        reg.forgotten ? " forgotten" : "", reg.lapsed ? " lapsed" : "", reg.murky ? " murky" : "",
        reg.called ? " called" : "",
        reg.wakee.kind == Wakee::host   ? "host"
        : reg.wakee.kind == Wakee::task ? "task"
                                        : "nobody",
        reg.wakee.actor, reg.wakee.id, can_call(reg) ? "" : ", which is gone");
}

void Program::tell() {
    std::printf("---- %s, %u deep, in_call %d, now %llu, order %llu\n", quiet_ ? "quiet" : "acting", depth_, in_call_,
                wide(outside::now_ns()), wide(order_));
    for (uint32_t r = 0; r < max_runtimes; r++) {
        if (rts_[r].rt && !rts_[r].ending) tell_runtime(r);
    }
    for (const Actor &actor : actors_) {
        if (actor.alive) tell_actor(actor);
    }
    for (uint32_t i = 0; i < regs_used_; i++) {
        if (regs_[i].id) tell_reg(regs_[i]);
    }
    for (uint32_t c = 0; c < max_channels; c++) {
        const Channel &channel = channels_[c];
        if (!channel.id) continue;
        std::printf("channel %u (%u) of %u: %u of %u, %s%ssent %u, received %u, maybe %u and %u\n", c, channel.id,
                    channel.rt, channel.count, channel.capacity, channel.closed ? "closed, " : "",
                    channel.loose ? "loose, " : "", channel.sent, channel.received, channel.maybe_sent,
                    channel.maybe_received);
    }
    for (const Scope &scope : scopes_) {
        if (scope.id)
            std::printf("scope %u (%u) of %u: %u alive, %u ended%s\n", unsigned(&scope - scopes_), scope.id, scope.rt,
                        scope.alive, scope.count, scope.canceled ? ", canceled" : "");
    }
    for (const Io &io : ios_) {
        if (!io.id) continue;
        std::printf("io %u (%u) of %u: descriptor %d, ready %u%s%s%s%s\n", unsigned(&io - ios_), io.id, io.rt,
                    int(io.fd), outside::readiness(io.fd), io.listens ? ", listens" : "", io.is_lost ? ", lost" : "",
                    io.shared ? ", shared" : "", io.datagrams ? ", datagrams" : "");
    }
    for (uint32_t j = 0; j < max_jobs; j++) {
        const Job &job = jobs_[j];
        if (job.id)
            std::printf("job %u (%u) of %u:%s%s%s%s%s\n", j, job.id, job.rt, job.canceled ? " canceled" : "",
                        job.drops ? " drops" : "", job.begun ? " begun" : "", job.over ? " over" : "",
                        has_run(j) ? " has run" : "");
    }
}

} // namespace random_test
