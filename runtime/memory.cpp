#include "memory.h"

namespace zyntax {

Arena::~Arena() {
    while (Chunk *chunk = chunks_) {
        os::unpoison(chunk, chunk->size);
        chunks_ = chunk->next;
        memory_.give(chunk, chunk->size);
    }
}

void *Arena::take_fresh(uint32_t c) {
    size_t size = size_of(c);
    if (fresh_left_ < size) {
        // Chunks double, so that small runtimes stay small. What is left of the old one is lost.
        size_t wanted = chunks_ ? chunks_->size * 2 : first_chunk;
        if (wanted > max_chunk) wanted = max_chunk;
        while (wanted < size + sizeof(Chunk)) wanted *= 2;
        auto *chunk = static_cast<Chunk *>(memory_.take(wanted));
        if (!chunk) return nullptr;
        *chunk = {chunks_, wanted};
        chunks_ = chunk;
        fresh_ = reinterpret_cast<unsigned char *>(chunk + 1);
        fresh_left_ = wanted - sizeof(Chunk);
        os::poison(fresh_, fresh_left_);
    }
    void *at = fresh_;
    os::unpoison(at, size);
    fresh_ += size;
    fresh_left_ -= size;
    memory_.in_use += size;
    return at;
}

void *Arena::take_large(size_t size) {
    size = (size + unit - 1) / unit * unit;
    void *at = memory_.take(size);
    if (at) memory_.in_use += size;
    return at;
}

void Arena::give_large(void *at, size_t size) {
    size = (size + unit - 1) / unit * unit;
    memory_.in_use -= size;
    memory_.give(at, size);
}

static_assert(sizeof(void *) * 2 == Arena::unit, "a chunk's header keeps blocks aligned");

} // namespace zyntax
