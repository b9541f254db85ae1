// The creation and the destruction of a runtime.
#include "linux.h"
#include "zyntax_async_runtime.h"

#include <sys/eventfd.h>

namespace bench {

namespace {

double per_op(uint64_t start_ns, uint64_t ops) {
    return static_cast<double>(cpu_ns() - start_ns) / static_cast<double>(ops);
}

class CreateRuntime : public Side {
public:
    Measurement run(uint64_t ops) override {
        uint64_t start = cpu_ns();
        for (uint64_t i = 0; i < ops; i++) {
            zyntax_runtime *rt = zyntax_runtime_create();
            expect(rt != nullptr, "create a runtime");
            zyntax_runtime_destroy(rt);
        }
        return {per_op(start, ops)};
    }
};

class CreateEpoll : public Side {
public:
    Measurement run(uint64_t ops) override {
        uint64_t start = cpu_ns();
        for (uint64_t i = 0; i < ops; i++) {
            Fd epoll(epoll_create1(EPOLL_CLOEXEC));
            Fd event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
            watch(epoll, event, EPOLLIN | EPOLLET, nullptr);
        }
        return {per_op(start, ops)};
    }
};

} // namespace

void add_lifecycle(std::vector<Workload> &all) {
    all.push_back({"create_destroy", "create and destroy a runtime; floor: epoll and eventfd, registered", 5'000, 1'000,
                   make<CreateRuntime>, make<CreateEpoll>});
}

} // namespace bench
