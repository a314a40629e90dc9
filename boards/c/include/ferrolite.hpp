/* Ferrolite for C++17: ferrolite.h with nets that give themselves up, arenas that are aligned, and elements by type.
 *
 * Nothing here allocates or throws; what can fail answers a ferrolite_error. The functions that `ferrolite convert --c`
 * writes for a model take C's nets: `kws_net net; ferrolite::Bound bound(net.net);` gives such a net up at the end of its
 * scope. */
#ifndef FERROLITE_HPP
#define FERROLITE_HPP

#include "ferrolite.h"

#include <cstddef>
#include <cstdint>

namespace ferrolite {

/// Memory that a model works in, at a multiple of 16.
template <std::size_t Bytes>
struct alignas(16) Arena {
    unsigned char bytes[Bytes];
};

/// An error in words.
inline const char *message(ferrolite_error error) noexcept
{
    return ferrolite_error_message(static_cast<std::uint32_t>(error));
}

/// Elements of an input or output, where they lie; none where there was an error.
template <class T>
struct Elements {
    T *data = nullptr;
    std::size_t count = 0;
    ferrolite_error error = FERROLITE_OK;

    explicit operator bool() const noexcept { return error == FERROLITE_OK; }
    T &operator[](std::size_t index) const noexcept { return data[index]; }
    T *begin() const noexcept { return data; }
    T *end() const noexcept { return data + count; }
};

/// The type of elements that a C++ type is.
template <class T>
struct ElementOf;
template <> struct ElementOf<std::int8_t> { static constexpr ferrolite_type type = FERROLITE_INT8; };
template <> struct ElementOf<std::uint8_t> { static constexpr ferrolite_type type = FERROLITE_UINT8; };
template <> struct ElementOf<std::int16_t> { static constexpr ferrolite_type type = FERROLITE_INT16; };
template <> struct ElementOf<std::int32_t> { static constexpr ferrolite_type type = FERROLITE_INT32; };
template <> struct ElementOf<std::int64_t> { static constexpr ferrolite_type type = FERROLITE_INT64; };
template <> struct ElementOf<float> { static constexpr ferrolite_type type = FERROLITE_FLOAT32; };
template <> struct ElementOf<bool> { static constexpr ferrolite_type type = FERROLITE_BOOL; };

/// Gives a net up at the end of its scope: its model and its arena are free again then.
class Bound {
public:
    explicit Bound(ferrolite_net &net) noexcept : net_(&net) {}
    ~Bound() { ferrolite_unbind(net_); }
    Bound(const Bound &) = delete;
    Bound &operator=(const Bound &) = delete;

private:
    ferrolite_net *net_;
};

/// A model bound to an arena, from `bind` to the end of its life. What may be used from several threads at a time stands
/// at ferrolite_net.
class Net {
public:
    Net() noexcept : net_() {}
    ~Net() { ferrolite_unbind(&net_); }
    Net(const Net &) = delete;
    Net &operator=(const Net &) = delete;

    template <std::size_t Bytes>
    [[nodiscard]] ferrolite_error bind(const ferrolite_program &program, Arena<Bytes> &arena) noexcept
    {
        return bind(program, arena.bytes, Bytes);
    }
    [[nodiscard]] ferrolite_error bind(const ferrolite_program &program, void *arena, std::size_t bytes) noexcept
    {
        return ferrolite_bind(&net_, &program, arena, bytes);
    }

    /// An input where it lies, to be written before each inference: FERROLITE_WRONG_TYPE where its elements are others.
    template <class T>
    [[nodiscard]] Elements<T> input(std::size_t index = 0) noexcept
    {
        ferrolite_port port;
        ferrolite_error error = ferrolite_input_facts(&net_, index, &port);
        if (error == FERROLITE_OK && port.element != ElementOf<T>::type)
            error = FERROLITE_WRONG_TYPE;
        void *data = nullptr;
        std::size_t bytes = 0;
        if (error == FERROLITE_OK)
            error = ferrolite_input(&net_, index, &data, &bytes);
        return {static_cast<T *>(data), bytes / sizeof(T), error};
    }

    /// An output where it lies, to be read until an input of the next inference is asked for.
    template <class T>
    [[nodiscard]] Elements<const T> output(std::size_t index = 0) noexcept
    {
        ferrolite_port port;
        ferrolite_error error = ferrolite_output_facts(&net_, index, &port);
        if (error == FERROLITE_OK && port.element != ElementOf<T>::type)
            error = FERROLITE_WRONG_TYPE;
        const void *data = nullptr;
        std::size_t bytes = 0;
        if (error == FERROLITE_OK)
            error = ferrolite_output(&net_, index, &data, &bytes);
        return {static_cast<const T *>(data), bytes / sizeof(T), error};
    }

    /// An entry point by its name, to be found once and entered before each of its calls.
    [[nodiscard]] ferrolite_error find(const char *name, ferrolite_entry &entry) noexcept
    {
        return ferrolite_find_entry(&net_, name, &entry);
    }
    [[nodiscard]] ferrolite_error enter(const ferrolite_entry &entry) noexcept { return ferrolite_enter(&net_, &entry); }

    [[nodiscard]] ferrolite_error run() noexcept { return ferrolite_run(&net_); }
    [[nodiscard]] ferrolite_error step(bool &done) noexcept { return ferrolite_step(&net_, &done); }
    ferrolite_error reset() noexcept { return ferrolite_reset(&net_); }

    /// For the functions of ferrolite.h.
    ferrolite_net *c() noexcept { return &net_; }

private:
    ferrolite_net net_;
};

} // namespace ferrolite

#endif
