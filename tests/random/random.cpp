// Programs at random over the whole public API (program.h), from seeds or bytes; the same twice: over a world without a
// kernel (`random`), and over the real poller (`random-real`).
//
//   random --seed N --steps M         programs from a seed (`fresh`: from the clock), M steps in all; prints the seed
//   random --seed N --seconds S       the same, for so long
//   ... --first I                     begins with the seed's program number I, as a failure names it
//   random --bytes FILE...            programs from bytes, each a file: of a fuzzer or of a shrunk failure
//   random --corpus FILE              programs from a corpus: lines of a name, a space, and bytes as hexadecimal
//   ... --only NAME                   the corpus's program of that name alone
//   ... --without NAME,NAME           leaves out oracles or actions by name: the names in `fail` and `expect`, and
//                                     section10, hooks, blocking_with, await_budget, forks, edges, sharing, losing,
//                                     forgetting, hosts, memory, chains, stale, nesting, swapping, farewell,
//                                     scopes
//   ... --trace                       prints the programs' actions (with --bytes or --corpus)
//   ... --no-shrink                   prints a failure without shrinking it
//   ... --history N                   so many lines of a program's actions before its failure, random-real only (400)
//   ... --abort                       a program from a seed that fails aborts, so that it leaves a core
//   ... --keep FILE                   where a shrunk failure goes
//
// Programs run in a child, so that crashes and hangs are failures as broken promises are. A program that fails is
// shrunk while it fails in the same way. Then its bytes and its actions are printed.
#include "program.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace random_test {

bool tracing;

namespace {

constexpr uint32_t max_bytes = 1 << 16, steps_a_program = 600;
constexpr int broken_promise = 42;
constexpr unsigned deadline_s = 20;

// The data that the child and the parent share.
struct Shared {
    uint64_t programs, steps;
    uint32_t used; // bytes of the program that runs
    char oracle[64], text[192];
    uint8_t bytes[max_bytes];
};
Shared *shared;

std::vector<std::string> without;
bool aborts;
bool in_child; // a promise that is broken ends this process; else it aborts, for a fuzzer

bool printing; // prints the traced lines
int trace_depth;

// The last traced lines: a failure over the real poller may not come again.
struct History {
    static constexpr size_t size = 1 << 20;
    char *text = nullptr; // null: nothing is kept
    size_t end = 0;       // free-running
    uint32_t lines = 400; // to be printed

    void begin() {
        if (!text) text = static_cast<char *>(std::malloc(size));
        end = 0;
        tracing = true;
    }
    void add(const char *line, size_t length) {
        for (size_t i = 0; i < length; i++) text[end++ % size] = line[i];
    }
    // Safe in a signal handler.
    void tell() const {
        if (!text) return;
        size_t begin = end, first = end > size ? end - size : 0;
        for (uint32_t n = 0; begin > first; begin--) {
            if (text[(begin - 1) % size] == '\n' && n++ == lines) break;
        }
        while (begin < end) {
            size_t until = std::min(end, (begin / size + 1) * size);
            ssize_t n = ::write(1, text + begin % size, until - begin);
            if (n <= 0) return;
            begin += size_t(n);
        }
    }
};
History history;

uint64_t scatter(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

} // namespace

bool is_without(const char *name) {
    for (const std::string &each : without) {
        if (each == name) return true;
    }
    return false;
}

void trace(const char *format, ...) {
    char line[512];
    if (format[0] == '}') trace_depth--;
    int indent = std::min(2 * trace_depth, 100);
    std::memset(line, ' ', sizeof line);
    va_list args;
    va_start(args, format);
    int n = std::vsnprintf(line + indent, sizeof line - 200, format, args);
    va_end(args);
    auto length = std::min(size_t(indent + n), sizeof line - 2);
    line[length++] = '\n';
    if (printing) std::fwrite(line, 1, length, stdout);
    else history.add(line, length);
    if (format[std::strlen(format) - 1] == '{') trace_depth++;
}

void flush_trace() { std::fflush(nullptr); }

void report_child(Program *program, int status) {
    bool told = WIFEXITED(status) && WEXITSTATUS(status) == broken_promise && in_child;
    if (told) _exit(broken_promise); // the child has printed the failure
    report(program, "fork_child", WIFSIGNALED(status) ? "a forked child crashes or hangs" : "a forked child fails");
}

void broken(Program *program, const char *oracle, const char *text) {
    if (!is_without(oracle)) report(program, oracle, text);
}

void report(Program *program, const char *oracle, const char *text) {
    if (printing) std::printf("%*sBROKEN: %s: %s\n", 2 * trace_depth, "", oracle, text);
    std::fflush(stdout);
    if (!in_child) {
        std::fprintf(stderr, "broken promise: %s: %s\n", oracle, text);
        std::abort();
    }
    std::snprintf(shared->oracle, sizeof shared->oracle, "%s", oracle);
    std::snprintf(shared->text, sizeof shared->text, "%s", text);
    history.tell();
    if (program && !program->is_copy_ && (history.text || printing)) program->tell();
    std::fflush(stdout);
    if (aborts) std::abort();
    _exit(broken_promise);
}

namespace {

void run_program(Choices &choices, uint32_t max_steps) {
    trace_depth = 0;
    alignas(Program) static unsigned char memory[sizeof(Program)];
    auto *program = ::new (memory) Program(&choices, max_steps);
    program->run();
    if (!shared) return;
    shared->programs++;
    shared->steps += program->steps();
}

void run_bytes(const uint8_t *bytes, size_t size) {
    Choices choices(bytes, size);
    run_program(choices, UINT32_MAX);
}

// How a child ended, as a name: empty when well.
template <class Run> std::string in_a_child(bool quiet, unsigned limit_s, Run run) {
    std::fflush(nullptr);
    shared->oracle[0] = shared->text[0] = 0;
    pid_t pid = fork();
    if (pid == 0) {
        in_child = true;
        if (quiet) {
            int null = open("/dev/null", O_WRONLY);
            dup2(null, 1);
            dup2(null, 2);
        }
        alarm(limit_s);
        run();
        std::fflush(stdout);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) {
        return WTERMSIG(status) == SIGALRM ? "hang" : "signal " + std::to_string(WTERMSIG(status));
    }
    int code = WEXITSTATUS(status);
    return code == 0 ? "" : code == broken_promise ? shared->oracle : "exit " + std::to_string(code);
}

// ---- shrinking ----

class Shrinker {
public:
    Shrinker(std::vector<uint8_t> bytes, std::string how) : bytes_(std::move(bytes)), how_(std::move(how)) {}

    std::vector<uint8_t> run() {
        end_ = time(nullptr) + 40;
        for (size_t before = SIZE_MAX; bytes_.size() < before && !over();) {
            before = bytes_.size();
            for (size_t chunk = bytes_.size() / 2 + 1; chunk > 0 && !over(); chunk /= 2) cut(chunk);
        }
        for (size_t i = 0; i < bytes_.size() && !over(); i++) {
            if (bytes_[i] == 0) continue;
            auto copy = bytes_;
            copy[i] = 0;
            keep(std::move(copy));
        }
        for (size_t chunk = 8; chunk > 0 && !over(); chunk /= 2) cut(chunk);
        return bytes_;
    }

private:
    std::vector<uint8_t> bytes_;
    std::string how_;
    time_t end_ = 0;

    bool over() const { return time(nullptr) > end_; }
    void cut(size_t chunk) {
        for (size_t i = bytes_.size(); i > 0 && !over();) {
            size_t from = i > chunk ? i - chunk : 0;
            auto copy = bytes_;
            copy.erase(copy.begin() + ptrdiff_t(from), copy.begin() + ptrdiff_t(i));
            keep(std::move(copy));
            i = from < bytes_.size() ? from : bytes_.size();
        }
    }
    void keep(std::vector<uint8_t> candidate) {
        unsigned limit = how_ == "hang" ? 1 : 5;
        if (in_a_child(true, limit, [&] { run_bytes(candidate.data(), candidate.size()); }) == how_)
            bytes_ = std::move(candidate);
    }
};

struct Options {
    uint64_t seed = 1, first = 0, steps = UINT64_MAX;
    double seconds = 0;
    bool trace = false, shrink = true, aborts = false;
    const char *keep = nullptr, *corpus = nullptr, *only = nullptr;
    std::vector<const char *> files;
};

void show(std::vector<uint8_t> bytes, const std::string &how, const Options &options) {
    std::printf("FAILED: %s%s%s, %zu bytes\n", how.c_str(), shared->text[0] ? ": " : "", shared->text, bytes.size());
    if (!options.shrink) return;
    std::string again = in_a_child(true, deadline_s, [&] { run_bytes(bytes.data(), bytes.size()); });
    if (again == how) bytes = Shrinker(std::move(bytes), how).run();
    else std::printf("(replayed alone it ends with: %s)\n", again.empty() ? "nothing wrong" : again.c_str());
    std::printf("shrunk to %zu bytes:", bytes.size());
    for (uint8_t byte : bytes) std::printf(" %02x", byte);
    std::printf("\n");
    if (options.keep) {
        if (FILE *file = std::fopen(options.keep, "wb")) {
            std::fwrite(bytes.data(), 1, bytes.size(), file);
            std::fclose(file);
        }
    }
    in_a_child(false, deadline_s, [&] {
        tracing = printing = true;
        run_bytes(bytes.data(), bytes.size());
    });
    std::fflush(stdout);
}

// ---- the command line ----

uint64_t now_us() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return uint64_t(now.tv_sec) * 1'000'000 + uint64_t(now.tv_nsec) / 1000;
}

bool parse(int argc, char **argv, Options *options) {
    bool files = false;
    for (int i = 1; i < argc; i++) {
        std::string arg = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (arg == "--trace") options->trace = true;
        else if (arg == "--no-shrink") options->shrink = false;
        else if (arg == "--abort") options->aborts = true;
        else if (arg == "--bytes") files = true;
        else if (files && arg[0] != '-') options->files.push_back(argv[i]);
        else if (!value) return false;
        else {
            i++;
            if (arg == "--seed") options->seed = std::string(value) == "fresh" ? now_us() : strtoull(value, nullptr, 0);
            else if (arg == "--first") options->first = strtoull(value, nullptr, 0);
            else if (arg == "--steps") options->steps = strtoull(value, nullptr, 0);
            else if (arg == "--seconds") options->seconds = strtod(value, nullptr);
            else if (arg == "--history") history.lines = uint32_t(strtoul(value, nullptr, 0));
            else if (arg == "--keep") options->keep = value;
            else if (arg == "--corpus") options->corpus = value;
            else if (arg == "--only") options->only = value;
            else if (arg == "--without") {
                for (std::string rest = value; !rest.empty();) {
                    size_t comma = rest.find(',');
                    without.push_back(rest.substr(0, comma));
                    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
                }
            } else return false;
        }
    }
    if (files) return !options->files.empty();
    return options->corpus || options->steps != UINT64_MAX || options->seconds > 0;
}

using Bytes = std::vector<uint8_t>;

bool read_file(const char *name, Bytes *bytes) {
    FILE *file = std::fopen(name, "rb");
    uint8_t part[4096];
    for (size_t n = 1; file && n > 0;) {
        n = std::fread(part, 1, sizeof part, file);
        bytes->insert(bytes->end(), part, part + n);
    }
    if (file) std::fclose(file);
    else std::printf("cannot read %s\n", name);
    return file;
}

// 16 or more for any other character.
unsigned digit(char c) { return c >= '0' && c <= '9' ? unsigned(c - '0') : c >= 'a' && c <= 'f' ? c - 'a' + 10u : 16u; }

bool parse_hexadecimal(const std::string &text, Bytes *bytes) {
    if (text.empty() || text.size() % 2) return false;
    for (size_t i = 0; i < text.size(); i += 2) {
        unsigned high = digit(text[i]), low = digit(text[i + 1]);
        if (high > 15 || low > 15) return false;
        bytes->push_back(uint8_t(high << 4 | low));
    }
    return true;
}

bool replay(const char *name, const Bytes &bytes, const Options &options) {
    std::string how = in_a_child(false, deadline_s, [&] {
        tracing = printing = options.trace;
        run_bytes(bytes.data(), bytes.size());
    });
    if (how.empty()) return true;
    std::printf("%s: ", name);
    show(bytes, how, options);
    return false;
}

int sum_up(size_t programs, size_t failed) {
    std::printf("%zu programs, %zu failed\n", programs, failed);
    return programs == 0 || failed > 0;
}

[[maybe_unused]] int run_files(const Options &options) {
    size_t failed = 0;
    for (const char *name : options.files) {
        Bytes bytes;
        failed += !read_file(name, &bytes) || !replay(name, bytes, options);
    }
    return sum_up(options.files.size(), failed);
}

[[maybe_unused]] int run_corpus(const Options &options) {
    Bytes text;
    if (!read_file(options.corpus, &text)) return 1;
    size_t programs = 0, failed = 0;
    for (auto at = text.begin(); at != text.end();) {
        auto end = std::find(at, text.end(), '\n');
        std::string line(at, end);
        at = end == text.end() ? end : end + 1;
        size_t space = line.find(' ');
        std::string name = line.substr(0, space);
        if (options.only && name != options.only) continue;
        programs++;
        Bytes bytes;
        if (space == std::string::npos || !parse_hexadecimal(line.substr(space + 1), &bytes)) {
            std::printf("%s: not a name, a space, and bytes as hexadecimal\n", name.c_str());
            failed++;
        } else {
            failed += !replay(name.c_str(), bytes, options);
        }
    }
    return sum_up(programs, failed);
}

void tell_hang(int signal) {
    history.tell();
    std::signal(aborts ? SIGABRT : signal, SIG_DFL);
    std::raise(aborts ? SIGABRT : signal);
}

[[maybe_unused]] int run_seed(const Options &options) {
    std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
    uint64_t start = now_us();
    std::string how = in_a_child(false, 0, [&] {
        if (!outside::scripted) std::signal(SIGALRM, tell_hang);
        aborts = options.aborts;
        for (uint64_t i = options.first; shared->steps < options.steps; i++) {
            if (options.seconds > 0 && double(now_us() - start) > options.seconds * 1e6) break;
            shared->used = 0;
            if (!outside::scripted) history.begin();
            alarm(deadline_s);
            Choices choices(scatter(options.seed, i), shared->bytes, max_bytes, &shared->used);
            run_program(choices, steps_a_program);
        }
    });
    double seconds = double(now_us() - start) / 1e6;
    std::printf("%llu programs, %llu steps in %.2f s: %.0f steps/s\n",
                static_cast<unsigned long long>(shared->programs), static_cast<unsigned long long>(shared->steps),
                seconds, double(shared->steps) / seconds);
    if (how.empty()) return 0;
    std::printf("program %llu of seed %llu ", static_cast<unsigned long long>(options.first + shared->programs),
                static_cast<unsigned long long>(options.seed));
    show({shared->bytes, shared->bytes + shared->used}, how, options);
    return 1;
}

} // namespace

} // namespace random_test

using namespace random_test;

#ifdef RANDOM_FUZZ

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static bool first = true;
    if (first && getenv("RANDOM_WITHOUT")) {
        char name[] = "random", option[] = "--without";
        char *argv[] = {name, option, getenv("RANDOM_WITHOUT")};
        Options options;
        parse(3, argv, &options);
    }
    first = false;
    run_bytes(bytes, size);
    return 0;
}

#else

int main(int argc, char **argv) {
    Options options;
    if (!parse(argc, argv, &options)) {
        std::fprintf(stderr, "usage: random [--seed N|fresh] --steps M | --seconds S | --bytes FILE... | --corpus FILE "
                             "(see random.cpp)\n");
        return 2;
    }
    void *memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 2;
    shared = static_cast<Shared *>(memory);
    if (options.corpus) return run_corpus(options);
    return options.files.empty() ? run_seed(options) : run_files(options);
}

#endif
