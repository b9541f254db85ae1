// The client of the servers. Each connection sends a batch of requests with one write, waits for all answers, and sends
// the next batch. The client compares every byte of every answer. A wrong byte is an error.
//
//     load echo|http PORT CONNECTIONS PIPELINE [--size BYTES] [--seconds S | --requests N] [--pid PID]
//
// PIPELINE is the number of requests in a batch. First each connection sends one batch and waits for the answers. Then
// the client generates load for S seconds or N requests. Without these options it prints READY, and generates load for
// each line of stdin, which is a number of seconds.
//
// The result is a line of JSON: requests, seconds, errors, p50, p99 and p999. The last three are latencies in
// microseconds, from the write of a batch until one of its answers was read. --pid adds cpu_ns, the CPU time that all
// threads of the process used during the load.
#include "peer.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/epoll.h>
#include <vector>

namespace {

struct Options {
    bool http = false;
    uint16_t port = 0;
    size_t connections = 0;
    size_t pipeline = 0;
    size_t size = MESSAGE_SIZE; // of an echo
    double seconds = 0;
    uint64_t requests = 0;
    std::string pid;
};

// Counts nanoseconds in buckets. The width of a bucket is at most 1/64 of its value.
class Histogram {
public:
    void add(uint64_t value, uint64_t times) {
        counts[index_of(value)] += times;
        total += times;
    }

    // The quantile `part`, which is 0 to 1, of all values. 0 if there are no values.
    uint64_t quantile(double part) const {
        auto left = static_cast<uint64_t>(part * static_cast<double>(total));
        for (size_t i = 0; i < counts.size(); i++) {
            if (counts[i] > left) return value_of(i);
            left -= counts[i];
        }
        return 0;
    }

private:
    static constexpr unsigned bits = 6;
    static constexpr size_t steps = size_t{1} << bits;

    // Each value below 2^7 has its own bucket. Above, each power of two has 2^6 buckets.
    static size_t index_of(uint64_t value) {
        unsigned shift = std::max<unsigned>(static_cast<unsigned>(std::bit_width(value)), bits + 1) - bits - 1;
        return shift * steps + static_cast<size_t>(value >> shift);
    }
    static uint64_t value_of(size_t index) {
        if (index < 2 * steps) return index;
        size_t shift = index / steps - 1;
        return (index - shift * steps) << shift;
    }

    std::vector<uint64_t> counts = std::vector<uint64_t>((64 - bits + 1) * steps);
    uint64_t total = 0;
};

// The bytes that all connections send and expect. Each batch of echoes begins at a different position in a random text,
// so that the answers to different requests and connections differ.
class Script {
public:
    explicit Script(const Options &options) : request_size(options.size), answer_size(options.size) {
        if (options.http) {
            request_size = HTTP_REQUEST_SIZE;
            answer_size = HTTP_ANSWER_SIZE;
            for (size_t i = 0; i < options.pipeline; i++) requests += HTTP_REQUEST;
            for (size_t i = 0; i < options.pipeline; i++) answers += HTTP_ANSWER;
            return;
        }
        uint64_t seed = 3;
        places = 4093;
        for (size_t i = 0; i < options.size * options.pipeline + places; i++) {
            requests += static_cast<char>(random_next(&seed));
        }
        answers = requests;
    }

    size_t place(size_t connection, uint64_t batch) const { return (connection * 31 + batch * 17) % places; }
    const char *request_at(size_t place) const { return requests.data() + place; }
    const char *answer_at(size_t place) const { return answers.data() + place; }

    size_t request_size;
    size_t answer_size;

private:
    std::string requests;
    std::string answers;
    size_t places = 1;
};

class Load {
public:
    explicit Load(const Options &options)
        : options(options), script(options), connections(options.connections), epoll(epoll_create1(EPOLL_CLOEXEC)) {
        expect(epoll >= 0, "create an epoll descriptor");
        for (Connection &connection : connections) open(connection);
    }

    // Sends until `count` requests were sent (0: no limit) or `seconds` have passed (0: no limit). Returns after all
    // answers.
    void run(uint64_t count, double seconds) {
        start_ns = wall_ns();
        end_ns = seconds > 0 ? start_ns + static_cast<uint64_t>(seconds * 1e9) : UINT64_MAX;
        left = count > 0 ? count : UINT64_MAX;
        answered = 0;
        latency = Histogram();
        for (Connection &connection : connections) begin_batch(connection, start_ns);
        while (waiting > 0) {
            epoll_event ready[256];
            int events = epoll_wait(epoll, ready, 256, 10'000);
            if (events < 0 && errno == EINTR) continue;
            expect(events > 0, "get an answer within 10 seconds");
            for (int i = 0; i < events; i++) advance(*static_cast<Connection *>(ready[i].data.ptr));
        }
        elapsed_ns = wall_ns() - start_ns;
    }

    void print(uint64_t server_cpu_ns) const {
        auto us = [this](double part) { return static_cast<double>(latency.quantile(part)) / 1e3; };
        printf("{\"requests\": %" PRIu64 ", \"seconds\": %.6f, \"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f", answered,
               static_cast<double>(elapsed_ns) / 1e9, us(0.5), us(0.99), us(0.999));
        if (!options.pid.empty()) printf(", \"cpu_ns\": %" PRIu64, server_cpu_ns);
        printf(", \"errors\": %" PRIu64, errors);
        if (errors > 0) printf(", \"error\": \"wrong answers or none\"");
        printf("}\n");
        fflush(stdout);
    }

    uint64_t errors = 0;

private:
    struct Connection {
        int fd = -1;
        uint64_t batches = 0;
        size_t place = 0; // position in the script
        size_t batch = 0; // requests of the current batch; 0 between batches
        size_t sent = 0;  // bytes
        size_t received = 0;
        uint64_t sent_ns = 0;
    };

    void open(Connection &connection) {
        sockaddr_in address = loopback(options.port);
        connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        expect(connection.fd >= 0, "make a socket");
        expect(connect(connection.fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0, "connect");
        set_nodelay(connection.fd);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        event.data.ptr = &connection;
        expect(epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd, &event) == 0, "register with epoll");
    }

    void begin_batch(Connection &connection, uint64_t now_ns) {
        if (left == 0 || now_ns >= end_ns || connection.fd < 0) return;
        connection.batch = static_cast<size_t>(std::min<uint64_t>(options.pipeline, left));
        left -= connection.batch;
        connection.place = script.place(static_cast<size_t>(&connection - connections.data()), connection.batches++);
        connection.sent = 0;
        connection.received = 0;
        connection.sent_ns = now_ns;
        waiting++;
        send_rest(connection);
    }

    void end_with_error(Connection &connection) {
        if (connection.batch > 0) waiting--;
        connection.batch = 0;
        close(connection.fd);
        connection.fd = -1;
        errors++;
    }

    void send_rest(Connection &connection) {
        size_t size = connection.batch * script.request_size;
        while (connection.sent < size) {
            const char *bytes = script.request_at(connection.place) + connection.sent;
            ssize_t n = send(connection.fd, bytes, size - connection.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN) return;
            if (n < 0) return end_with_error(connection);
            connection.sent += static_cast<size_t>(n);
        }
    }

    // After an event: reads until the socket is empty, and writes the rest of the batch.
    void advance(Connection &connection) {
        while (connection.fd >= 0) {
            char buffer[65536];
            ssize_t n = recv(connection.fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN) break;
            if (n <= 0 || !take(connection, buffer, static_cast<size_t>(n))) return end_with_error(connection);
            if (static_cast<size_t>(n) < sizeof buffer) break;
        }
        if (connection.fd >= 0 && connection.batch > 0) send_rest(connection);
    }

    // Returns false for bytes that differ from those of the batch, or that no request asked for.
    bool take(Connection &connection, const char *bytes, size_t size) {
        size_t end = connection.batch * script.answer_size;
        if (size > end - connection.received) return false;
        if (memcmp(bytes, script.answer_at(connection.place) + connection.received, size) != 0) return false;
        size_t answers = (connection.received + size) / script.answer_size - connection.received / script.answer_size;
        connection.received += size;
        uint64_t now_ns = wall_ns();
        latency.add(now_ns - connection.sent_ns, answers);
        answered += answers;
        if (connection.received == end) {
            connection.batch = 0;
            connection.received = 0;
            waiting--;
            begin_batch(connection, now_ns);
        }
        return true;
    }

    const Options &options;
    Script script;
    std::vector<Connection> connections;
    int epoll;
    size_t waiting = 0; // connections with a current batch
    uint64_t left = 0;  // requests to send
    uint64_t answered = 0;
    uint64_t start_ns = 0;
    uint64_t end_ns = 0;
    uint64_t elapsed_ns = 0;
    Histogram latency;
};

uint64_t cpu_ns_of(const std::string &pid) {
    uint64_t sum = 0;
    if (pid.empty()) return 0;
    for (const auto &task : std::filesystem::directory_iterator("/proc/" + pid + "/task")) {
        uint64_t spent = 0;
        std::ifstream(task.path() / "schedstat") >> spent;
        sum += spent;
    }
    return sum;
}

[[noreturn]] void refuse(const char *argument) {
    fprintf(stderr,
            "load: cannot use '%s'\nusage: load echo|http PORT CONNECTIONS PIPELINE [--size BYTES] "
            "[--seconds S | --requests N] [--pid PID]\n",
            argument);
    exit(2);
}

double number(const char *text, double least, double most) {
    char *end = nullptr;
    double value = strtod(text, &end);
    if (end == text || !(value >= least && value <= most) || strspn(end, "\n") != strlen(end)) refuse(text);
    return value;
}

double seconds_of(const char *text) { return number(text, 0.001, 86'400); }

Options parse(int argc, char **argv) {
    Options options;
    if (argc < 5 || argc % 2 == 0) refuse(argc > 1 ? argv[argc - 1] : "");
    options.http = strcmp(argv[1], "http") == 0;
    if (!options.http && strcmp(argv[1], "echo") != 0) refuse(argv[1]);
    options.port = static_cast<uint16_t>(number(argv[2], 1, 65535));
    options.connections = static_cast<size_t>(number(argv[3], 1, 60'000));
    options.pipeline = static_cast<size_t>(number(argv[4], 1, 1024));
    for (int i = 5; i < argc; i += 2) {
        std::string name = argv[i];
        const char *value = argv[i + 1];
        if (name == "--size") options.size = static_cast<size_t>(number(value, 1, 1 << 20));
        else if (name == "--seconds") options.seconds = seconds_of(value);
        else if (name == "--requests") options.requests = static_cast<uint64_t>(number(value, 1, 1e15));
        else if (name == "--pid") options.pid = std::to_string(static_cast<long>(number(value, 1, 1 << 30)));
        else refuse(argv[i]);
    }
    return options;
}

void measure(Load &load, const Options &options, uint64_t requests, double seconds) {
    uint64_t server_cpu_ns = cpu_ns_of(options.pid);
    load.run(requests, seconds);
    load.print(cpu_ns_of(options.pid) - server_cpu_ns);
}

} // namespace

int main(int argc, char **argv) {
    Options options = parse(argc, argv);
    allow_many_descriptors();
    Load load(options);
    load.run(options.connections * options.pipeline, 0);
    if (options.requests > 0 || options.seconds > 0) {
        measure(load, options, options.requests, options.seconds);
    } else {
        char line[64];
        puts("READY");
        fflush(stdout);
        while (fgets(line, sizeof line, stdin) != nullptr) measure(load, options, 0, seconds_of(line));
    }
    return load.errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
