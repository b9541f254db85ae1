// From a handle's number to its object, and back.
#include "runtime.h"

namespace zyntax {

constinit HandlePool handle_pool;

Ref<void> find_object(const void *number, const HandleKind *kind) {
    Handle *handle = find_alive(handle_pool, to_bits(number));
    Runtime *runtime = handle ? usable_runtime(handle->owner.load(std::memory_order_relaxed)) : nullptr;
    if (!runtime) return {};
    return {runtime, handle->kind == kind ? handle->object : nullptr};
}

void *take_handle(Runtime *runtime, const HandleKind *kind, void *object) {
    assert(object);
    auto [handle, index, generation] = runtime->handles.take(runtime->inbox->id);
    if (!handle) return nullptr;
    handle->object = object;
    store_in_order();
    handle->kind = kind;
    return to_pointer(handle_bits(index, generation));
}

void give_handle(Runtime *runtime, const void *number) {
    Handle *handle = handle_pool.at(handle_index(to_bits(number)));
    handle->kind = nullptr; // the next handle in this place names no object at first: see forget_copy
    runtime->handles.give(handle);
}

} // namespace zyntax
