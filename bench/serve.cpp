// One run for each line of standard input, one line of JSON for each run: the protocol of peers/README.md.
#include "harness.h"

#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>

namespace bench {

namespace {

// The objects of earlier lines, by the line without its OPS.
using Sides = std::map<std::string, std::unique_ptr<Side>>;

void answer_error(const std::string &text) { std::printf("{\"error\": \"%s\"}\n", text.c_str()); }

void answer(const Workload &workload, const Measurement &run) {
    std::printf("{\"value\": %.6g, \"extras\": {", run.value);
    const char *separator = "";
    for (int i = 0; i < max_extras; i++) {
        if (workload.extras[i] == nullptr || std::isnan(run.extras[i])) continue;
        std::printf("%s\"%s\": %.6g", separator, workload.extras[i], run.extras[i]);
        separator = ", ";
    }
    std::printf("}}\n");
}

const Workload *find(const std::vector<Workload> &all, const std::string &name) {
    for (const Workload &workload : all) {
        if (name == workload.name) return &workload;
    }
    return nullptr;
}

void run_line(const std::vector<Workload> &all, bool with_floor, const std::string &line, Sides &sides) {
    std::istringstream words(line);
    std::string side = "runtime";
    std::string name;
    uint64_t ops = 0;
    if (with_floor) words >> side;
    words >> name >> ops;
    if (ops == 0 || (side != "runtime" && side != "floor")) return answer_error("cannot read the line");
    const Workload *workload = find(all, name);
    if (workload == nullptr) return answer_error("unknown workload");
    std::unique_ptr<Side> &made = sides[side + " " + name];
    if (!made) made = (side == "floor" ? workload->make_floor : workload->make_runtime)();
    answer(*workload, made->run(ops));
}

} // namespace

int serve(const std::vector<Workload> &all, bool with_floor) {
    Sides sides;
    for (std::string line; std::getline(std::cin, line);) {
        run_line(all, with_floor, line, sides);
        std::fflush(stdout);
    }
    return 0;
}

void list(const std::vector<Workload> &all) {
    for (const Workload &workload : all) std::printf("%-22s %s\n", workload.name, workload.what);
}

} // namespace bench
