// The arena's chunks. Freed blocks stay here for their next use; no chunk is given back before the end.
#include "memory.h"

namespace zyntax {

Arena::~Arena() {
    while (Chunk *chunk = chunks_) {
        os::unpoison(chunk, chunk->size);
        chunks_ = chunk->next;
        memory_.give(chunk, chunk->size);
    }
}

// Chunk sizes double, so that small runtimes stay small. A block of more than half a chunk gets its own chunk.
void *Arena::take_fresh(size_t size) {
    assert(size > 0 && size % unit == 0);
    bool own = size > next_chunk_ / 2;
    if (own || fresh_left_ < size) {
        size_t bytes = own ? size + sizeof(Chunk) : next_chunk_;
        auto *chunk = static_cast<Chunk *>(memory_.take(bytes));
        if (!chunk) return nullptr;
        *chunk = {chunks_, bytes};
        store_in_order();
        chunks_ = chunk;
        if (next_chunk_ < max_chunk) next_chunk_ *= 2;
        memory_.in_use += own ? size : 0;
        if (own) return chunk + 1;
        fresh_ = reinterpret_cast<unsigned char *>(chunk + 1);
        fresh_left_ = bytes - sizeof(Chunk);
        os::poison(fresh_, fresh_left_);
    }
    assert(fresh_left_ >= size);
    void *at = fresh_;
    os::unpoison(at, size);
    fresh_ += size;
    fresh_left_ -= size;
    memory_.in_use += size;
    return at;
}

} // namespace zyntax
