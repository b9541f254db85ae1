// The source of a random program's decisions: a seed or given bytes. Decisions of a seed are recorded, so that the
// program can be replayed and shrunk as bytes. A choice of 0 is always the simplest one. After the end of the bytes
// every choice is 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace random_test {

class Choices {
public:
    // From a seed, recorded to `record`, which has room for `room` bytes; *used says how many there are.
    Choices(uint64_t seed, uint8_t *record, uint32_t room, uint32_t *used)
        : seeded_(true), record_(record), room_(room), used_(used) {
        for (uint64_t &word : state_) word = scatter(&seed);
    }
    Choices(const uint8_t *bytes, size_t count) : bytes_(bytes), left_(count) {}

    bool over() const { return seeded_ ? *used_ >= room_ : left_ == 0; }
    void end() { // every choice is 0 from here on
        seeded_ = false;
        left_ = 0;
    }

    uint8_t byte() {
        if (!seeded_) return left_ ? left_--, *bytes_++ : uint8_t{0};
        if (*used_ >= room_) return 0;
        if (fresh_ == 0) {
            word_ = next();
            fresh_ = 8;
        }
        fresh_--;
        auto value = static_cast<uint8_t>(word_);
        word_ >>= 8;
        record_[(*used_)++] = value;
        return value;
    }
    uint32_t below(uint32_t n) { // n > 0
        uint32_t value = byte();
        if (n > 256) value = value << 8 | byte();
        return value % n;
    }
    bool chance(uint32_t n) { return below(n) == n - 1; } // one in n, and never for 0

private:
    bool seeded_ = false;
    uint8_t *record_ = nullptr;
    uint32_t room_ = 0;
    uint32_t *used_ = nullptr;
    const uint8_t *bytes_ = nullptr;
    size_t left_ = 0;
    uint64_t state_[4] = {};
    uint64_t word_ = 0;
    int fresh_ = 0; // bytes of word_ that were not used

    static uint64_t scatter(uint64_t *seed) { // splitmix64
        uint64_t z = *seed += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    static uint64_t rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }
    uint64_t next() { // xoshiro256++
        uint64_t *s = state_;
        uint64_t result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotate(s[3], 45);
        return result;
    }
};

} // namespace random_test
