/* Ferrolite for C: neural networks on microcontrollers.
 *
 * `ferrolite convert --c model.h` writes what belongs to one model: start there. These are the functions below it, for any
 * model. Link `libferrolite.a` of the core, built from `boards/c`, with `--gc-sections`: then only the operators that the
 * model uses are in the program.
 *
 * No function allocates, keeps anything outside of the memory that it is given, prints or aborts. A pointer that may be
 * null says so; of all others null is an error, FERROLITE_NULL, and not a fault. Sizes are in bytes. Numbers lie in memory
 * as the core has them, tensors in the order NHWC. What may be used from several threads at a time stands at ferrolite_net.
 *
 * This file is made of the library's source. */

#ifndef FERROLITE_H
#define FERROLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define FERROLITE_ALIGNED alignas(16)
#define FERROLITE_STATIC_ASSERT(condition, message) static_assert(condition, message)
#else
#define FERROLITE_ALIGNED _Alignas(16)
#define FERROLITE_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

/* For the C files that `ferrolite convert --c` writes: names an operator of the library, and lists it. */
#define FERROLITE_DECLARE_OPERATOR(name)  \
    void ferrolite_##name##_check(void);  \
    void ferrolite_##name##_eval(void);   \
    void ferrolite_##name##_lead(void)
#define FERROLITE_OPERATOR(code, name) \
    { code, ferrolite_##name##_check, ferrolite_##name##_eval, ferrolite_##name##_lead }

/* Once in a program: how much room it has for its model, which `ferrolite fits UPDATE --firmware FIRMWARE.elf` reads; the
 * bytes of the arena, and those of a slot in flash where updates go. A number, or a macro that is one, without a cast or a
 * suffix. They take no memory: each is the value of a symbol. Only where the compiler is gcc's or clang's, for ELF. */
#if defined(__ELF__)
#define FERROLITE_ROOM_SYMBOL(name, bytes) __asm__(".globl " name "\n.set " name ", " #bytes)
#define FERROLITE_ARENA_ROOM(bytes) FERROLITE_ROOM_SYMBOL("ferrolite_arena_bytes", bytes)
#define FERROLITE_SLOT_ROOM(bytes) FERROLITE_ROOM_SYMBOL("ferrolite_slot_bytes", bytes)
#else
#define FERROLITE_ARENA_ROOM(bytes) FERROLITE_STATIC_ASSERT((bytes) > 0, "no room for a model")
#define FERROLITE_SLOT_ROOM(bytes) FERROLITE_STATIC_ASSERT((bytes) > 0, "no room for an update")
#endif

/**
 * Words of a net, some of them to spare.
 */
#define FERROLITE_NET_WORDS 32

/**
 * Words of an entry, some of them to spare.
 */
#define FERROLITE_ENTRY_WORDS 24

/**
 * What a function answers: `FERROLITE_OK`, which is 0, or what went wrong. `ferrolite_error_message` has a sentence for
 * each; `ferrolite_last_detail` the numbers that go with it.
 */
enum ferrolite_error
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It worked.
     */
    FERROLITE_OK = 0,
    /**
     * A pointer is null, or a size is beyond what a pointer can have behind it.
     */
    FERROLITE_NULL,
    /**
     * The net has not been bound, or its binding failed.
     */
    FERROLITE_NOT_BOUND,
    /**
     * The bytes are no Ferrolite model.
     */
    FERROLITE_NOT_A_MODEL,
    /**
     * The file ends before what it announces. Detail: `needed` bytes.
     */
    FERROLITE_TRUNCATED,
    /**
     * The file does not start at a multiple of 16 bytes.
     */
    FERROLITE_MODEL_MISALIGNED,
    /**
     * The file has another format version than this library reads. Detail: `found`.
     */
    FERROLITE_MODEL_VERSION,
    /**
     * The file needs a newer library. Detail: `needed`, the level that it needs.
     */
    FERROLITE_LIBRARY_TOO_OLD,
    /**
     * The file contradicts itself: it is damaged, or Ferrolite did not write it.
     */
    FERROLITE_MODEL_DAMAGED,
    /**
     * The file's checksum is not that of its bytes, or it has none.
     */
    FERROLITE_CHECKSUM,
    /**
     * The arena is smaller than the model needs. Detail: bytes `needed` and `found`.
     */
    FERROLITE_ARENA_TOO_SMALL,
    /**
     * The arena does not start at a multiple of 16 bytes.
     */
    FERROLITE_ARENA_MISALIGNED,
    /**
     * The list of operators does not hold one that the model needs. Detail: `index` of the op, `needed` its code.
     */
    FERROLITE_OPERATOR_MISSING,
    /**
     * An op's numbers do not fit its operands or its constants. Detail: `index` of the op, `found` the kind of fault.
     */
    FERROLITE_OP_DAMAGED,
    /**
     * An op's weights are packed for another core, which the operators of the list do not run. Detail: `index`.
     */
    FERROLITE_OTHER_CORE,
    /**
     * The model has no input or output of this number or name. Detail: `index`.
     */
    FERROLITE_NO_SUCH_PORT,
    /**
     * An input or output has another type. Detail: `index`.
     */
    FERROLITE_WRONG_TYPE,
    /**
     * An input, output or state has another size than was given. Detail: `index`, bytes `needed` and `found`.
     */
    FERROLITE_WRONG_SIZE,
    /**
     * An input was not written since the last inference. Detail: `index`.
     */
    FERROLITE_INPUT_MISSING,
    /**
     * An inference is under way. Detail: `index` of the op that runs next.
     */
    FERROLITE_RUNNING,
    /**
     * There is no output: the model has not run since an input was written.
     */
    FERROLITE_NO_OUTPUT,
    /**
     * The self-test gave another sum. Detail: the sums, `needed` and `found`.
     */
    FERROLITE_SELF_TEST,
    /**
     * Anything else.
     */
    FERROLITE_FAILED,
    /**
     * The model has no entry point of this name, or the entry is another model's.
     */
    FERROLITE_NO_SUCH_ENTRY,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ferrolite_error ferrolite_error;
#else
typedef uint32_t ferrolite_error;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The type of the elements of an input or output.
 */
enum ferrolite_type
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * int8_t
     */
    FERROLITE_INT8 = 0,
    /**
     * uint8_t
     */
    FERROLITE_UINT8,
    /**
     * int16_t
     */
    FERROLITE_INT16,
    /**
     * int32_t
     */
    FERROLITE_INT32,
    /**
     * float, IEEE 754 single precision
     */
    FERROLITE_FLOAT32,
    /**
     * int64_t
     */
    FERROLITE_INT64,
    /**
     * One byte, 0 or 1
     */
    FERROLITE_BOOL,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ferrolite_type ferrolite_type;
#else
typedef uint32_t ferrolite_type;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * An operator of the library, with the functions that check and run it. Lists of them are written by
 * `ferrolite convert --c`, with the macros FERROLITE_DECLARE_OPERATOR and FERROLITE_OPERATOR; nothing else may fill one.
 */
typedef struct ferrolite_operator {
    /**
     * Number of the operator in files.
     */
    uint16_t code;
    /**
     * Checks an op.
     */
    void (*check)(void);
    /**
     * Runs an op.
     */
    void (*eval)(void);
    /**
     * Says how far an output may lie over an input.
     */
    void (*lead)(void);
} ferrolite_operator;

/**
 * A model and the operators that run it. `ferrolite convert --c` writes one for each model; both parts have to stay where
 * they are, unchanged, as long as a net is bound to them.
 */
typedef struct ferrolite_program {
    /**
     * The bytes of the .ferro file, from a multiple of 16 on. They may lie in flash.
     */
    const void *model;
    /**
     * Number of bytes.
     */
    size_t model_bytes;
    /**
     * The operators, in the order of their codes.
     */
    const struct ferrolite_operator *operators;
    /**
     * Number of operators.
     */
    size_t operator_count;
} ferrolite_program;

/**
 * What a model needs and has.
 */
typedef struct ferrolite_facts {
    /**
     * Bytes of the arena, which starts at a multiple of 16.
     */
    size_t arena_bytes;
    /**
     * Bytes that one inference leaves to the next; 0 for a model without state.
     */
    size_t state_bytes;
    /**
     * Number of inputs.
     */
    size_t inputs;
    /**
     * Number of outputs.
     */
    size_t outputs;
    /**
     * Number of ops, each of which is one `ferrolite_step`.
     */
    size_t ops;
    /**
     * A bound on the time of one inference on any core: products of two elements, cells of windows and moved bytes, at
     * most. Compare it with what is affordable before a file of unknown origin runs.
     */
    uint64_t work;
    /**
     * Whether the weights are packed for the core of this library, or for none. Another core's run slowly or not at all.
     */
    bool suits_core;
} ferrolite_facts;

/**
 * A model bound to its memory, in memory of the caller: a static variable, a member of a struct, a local variable. The
 * words are the library's; a net may be moved with memcpy while no function has it.
 *
 * Nets share nothing with one another, and the library has no other state: nets may run in different threads at the
 * same time. One net belongs to one thread, or interrupt, at a time. Several nets may have one arena in turn: each is
 * bound anew, or reset and given its inputs anew, after another has run there.
 */
typedef struct ferrolite_net {
    size_t words[FERROLITE_NET_WORDS];
} ferrolite_net;

/**
 * The numbers that go with an error; what is not named at the error is 0.
 */
typedef struct ferrolite_detail {
    /**
     * Number of the op, input or output.
     */
    uint32_t index;
    /**
     * What would have been right.
     */
    uint32_t needed;
    /**
     * What was there.
     */
    uint32_t found;
} ferrolite_detail;

/**
 * An entry point of a model, checked: `ferrolite_find_entry` makes it, once. The words are the library's; an entry may be
 * copied, and serves as long as the net's model stays where it is.
 */
typedef struct ferrolite_entry {
    size_t words[FERROLITE_ENTRY_WORDS];
} ferrolite_entry;

/**
 * The facts of an input or output.
 */
typedef struct ferrolite_port {
    /**
     * The author's name, `name_bytes` bytes of UTF-8 without a 0 at their end. They lie in the model.
     */
    const char *name;
    /**
     * Bytes of the name; 0 where it has none.
     */
    size_t name_bytes;
    /**
     * Type of its elements.
     */
    ferrolite_type element;
    /**
     * Number of dimensions, at most 6.
     */
    uint32_t rank;
    /**
     * Dimensions, outermost first; those behind `rank` are 1.
     */
    uint32_t dims[6];
    /**
     * All of it in bytes.
     */
    uint32_t bytes;
    /**
     * The real number of one integer step, real = scale * (integer - zero_point); 0 where elements are not quantized.
     */
    float scale;
    /**
     * The integer that stands for zero.
     */
    int32_t zero_point;
} ferrolite_port;

/**
 * What an observer is told of an op.
 */
typedef struct ferrolite_op {
    /**
     * Its number in the program, from 0.
     */
    uint32_t index;
    /**
     * Number of its operator, as in `ferrolite_operator`.
     */
    uint32_t code;
    /**
     * Its first output, after it has run, to be read during the call; null before.
     */
    const void *output;
    /**
     * Bytes of that output.
     */
    size_t output_bytes;
} ferrolite_op;

/**
 * Functions that are called around each op; each may be null. They may call nothing that takes the net.
 */
typedef struct ferrolite_observer {
    /**
     * Called before an op runs.
     */
    void (*before)(void *context, const struct ferrolite_op *op);
    /**
     * Called after an op has run.
     */
    void (*after)(void *context, const struct ferrolite_op *op);
    /**
     * Handed to both.
     */
    void *context;
} ferrolite_observer;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * An error in words: what is wrong and what to do, one line of ASCII without a line break. Never null, also for numbers
 * that are no error. The text is constant and may be used from any thread. A program that does not call this links no
 * texts.
 */
const char *ferrolite_error_message(uint32_t error);

/**
 * Checks a model and all of its ops without binding memory, and writes what it needs to `facts`, which may be null.
 * Whatever the bytes are, nothing outside of them is read, and the time is bounded by their number. `ferrolite_bind` does
 * the same check: this is for files that came from elsewhere, before the one in use is given up for them.
 *
 * Errors: those of the file and its ops, from FERROLITE_NOT_A_MODEL to FERROLITE_OTHER_CORE.
 */
ferrolite_error ferrolite_verify(const struct ferrolite_program *program,
                                 struct ferrolite_facts *facts);

/**
 * Whether the file's CRC-32 is that of its bytes: a check for damaged flash or a broken transfer. It reads every byte,
 * so it takes longer than binding.
 *
 * Errors: FERROLITE_CHECKSUM, and those of `ferrolite_verify` for files that cannot be read.
 */
ferrolite_error ferrolite_checksum(const struct ferrolite_program *program);

/**
 * Checks a model and binds it to an arena: once, before anything runs. The arena starts at a multiple of 16 and has at
 * least the bytes that the model needs (`NAME_ARENA_BYTES`, `ferrolite_facts`). Model, operators and arena have to stay
 * where they are as long as the net is used, and nobody else may write to the arena while an inference is under way,
 * or in a model with state at all. What `net` held before does not matter.
 *
 * After this, no call fails for a reason that lies in the file.
 *
 * Errors: those of `ferrolite_verify`, FERROLITE_ARENA_TOO_SMALL, FERROLITE_ARENA_MISALIGNED.
 */
ferrolite_error ferrolite_bind(struct ferrolite_net *net,
                               const struct ferrolite_program *program,
                               void *arena,
                               size_t arena_bytes);

/**
 * Gives a net up: its model and its arena are the caller's again, and it answers FERROLITE_NOT_BOUND from now on.
 * Nothing has to be given up; a net may as well be forgotten.
 */
void ferrolite_unbind(struct ferrolite_net *net);

/**
 * The numbers of the last error that a function answered for this net: how many bytes are needed, which input is
 * missing. All 0 where there was none.
 */
struct ferrolite_detail ferrolite_last_detail(struct ferrolite_net *net);

/**
 * One inference: runs all ops. Every input has to have been written since the last one, because ops write over inputs
 * that they have read.
 *
 * Errors: FERROLITE_INPUT_MISSING, FERROLITE_RUNNING.
 */
ferrolite_error ferrolite_run(struct ferrolite_net *net);

/**
 * Runs the next op, the first one where no inference is under way, so that other work can be done in between. `done`,
 * which may be null, gets whether that was the last op: then outputs can be read.
 *
 * Errors: FERROLITE_INPUT_MISSING.
 */
ferrolite_error ferrolite_step(struct ferrolite_net *net,
                               bool *done);

/**
 * Makes the state what it is before the first inference, and gives up an inference that is under way: its inputs have
 * to be written again.
 */
ferrolite_error ferrolite_reset(struct ferrolite_net *net);

/**
 * Bytes of the state, which one inference leaves to the next; 0 for a model without state, and for a net that is not
 * bound.
 */
size_t ferrolite_state_bytes(struct ferrolite_net *net);

/**
 * Copies the state to `state`, which has `bytes` bytes: exactly those of `ferrolite_state_bytes`, of any alignment.
 *
 * Errors: FERROLITE_WRONG_SIZE, FERROLITE_RUNNING.
 */
ferrolite_error ferrolite_save(struct ferrolite_net *net,
                               void *state,
                               size_t bytes);

/**
 * Makes the state what `ferrolite_save` copied, of the same model, and gives up an inference that is under way. Any
 * bytes are safe: those of another model give wrong answers and nothing worse.
 *
 * Errors: FERROLITE_WRONG_SIZE.
 */
ferrolite_error ferrolite_restore(struct ferrolite_net *net,
                                  const void *state,
                                  size_t bytes);

/**
 * Runs `inferences` inferences on numbers that the library makes up, the same on every core, and compares a sum of all
 * outputs with `sum`, which `ferrolite convert --c` has computed on the host with the same model: whether this build, on
 * this core, with this memory, gives the converter's answers. State is as before the first inference then, at the
 * start and afterwards; an inference that is under way is given up.
 *
 * Errors: FERROLITE_SELF_TEST.
 */
ferrolite_error ferrolite_self_test(struct ferrolite_net *net,
                                    uint32_t inferences,
                                    uint32_t sum);

/**
 * Checks the entry point of this name, which ends in a 0, and writes it to `entry`. That takes about the time of
 * `ferrolite_bind`, so keep it.
 *
 * Errors: FERROLITE_NO_SUCH_ENTRY, FERROLITE_OPERATOR_MISSING, FERROLITE_MODEL_DAMAGED, FERROLITE_OP_DAMAGED.
 */
ferrolite_error ferrolite_find_entry(struct ferrolite_net *net,
                                     const char *name,
                                     struct ferrolite_entry *entry);

/**
 * Goes over to an entry point of the net's model: what is set, run and read from now on is its own. The state stays what it
 * is, inputs have to be written, and outputs of the program before can be read no longer. A net begins with the model's
 * first program.
 *
 * Errors: FERROLITE_RUNNING, and FERROLITE_NO_SUCH_ENTRY where the entry is another model's.
 */
ferrolite_error ferrolite_enter(struct ferrolite_net *net,
                                const struct ferrolite_entry *entry);

/**
 * Number of inputs; 0 for a net that is not bound.
 */
size_t ferrolite_input_count(struct ferrolite_net *net);

/**
 * Number of outputs; 0 for a net that is not bound.
 */
size_t ferrolite_output_count(struct ferrolite_net *net);

/**
 * Writes the facts of an input to `port`.
 *
 * Errors: FERROLITE_NO_SUCH_PORT.
 */
ferrolite_error ferrolite_input_facts(struct ferrolite_net *net,
                                      size_t index,
                                      struct ferrolite_port *port);

/**
 * Writes the facts of an output to `port`.
 *
 * Errors: FERROLITE_NO_SUCH_PORT.
 */
ferrolite_error ferrolite_output_facts(struct ferrolite_net *net,
                                       size_t index,
                                       struct ferrolite_port *port);

/**
 * Writes the number of the input of this name, which ends in a 0, to `index`.
 *
 * Errors: FERROLITE_NO_SUCH_PORT.
 */
ferrolite_error ferrolite_find_input(struct ferrolite_net *net, const char *name, size_t *index);

/**
 * Writes the number of the output of this name, which ends in a 0, to `index`.
 *
 * Errors: FERROLITE_NO_SUCH_PORT.
 */
ferrolite_error ferrolite_find_output(struct ferrolite_net *net, const char *name, size_t *index);

/**
 * Writes the place of an input to `data` and its size to `bytes`, which may be null: for writing it where it lies, by DMA
 * for instance. All of it has to be written before each inference, as the model may use this memory for other tensors
 * once it has read the input; the place is the same each time, but has to be asked for each time. It is aligned for its
 * elements. The outputs of the last inference cannot be read any more. Of a model with more than 31 inputs, those behind
 * the 31st are asked for in their order.
 *
 * Errors: FERROLITE_NO_SUCH_PORT, FERROLITE_RUNNING, FERROLITE_INPUT_MISSING.
 */
ferrolite_error ferrolite_input(struct ferrolite_net *net,
                                size_t index,
                                void **data,
                                size_t *bytes);

/**
 * Copies an input of `bytes` bytes, exactly those of the input; otherwise as `ferrolite_input`. `data` has any alignment.
 *
 * Errors: FERROLITE_WRONG_SIZE, and those of `ferrolite_input`.
 */
ferrolite_error ferrolite_set_input(struct ferrolite_net *net,
                                    size_t index,
                                    const void *data,
                                    size_t bytes);

/**
 * Writes the place of an output to `data` and its size to `bytes`, which may be null: to be read until an input of the
 * next inference is asked for. It is aligned for its elements.
 *
 * Errors: FERROLITE_NO_SUCH_PORT, FERROLITE_NO_OUTPUT, FERROLITE_RUNNING.
 */
ferrolite_error ferrolite_output(struct ferrolite_net *net,
                                 size_t index,
                                 const void **data,
                                 size_t *bytes);

/**
 * Copies an output to `data`, which has `bytes` bytes, exactly those of the output, of any alignment.
 *
 * Errors: FERROLITE_WRONG_SIZE, and those of `ferrolite_output`.
 */
ferrolite_error ferrolite_get_output(struct ferrolite_net *net,
                                     size_t index,
                                     void *data,
                                     size_t bytes);

/**
 * As `ferrolite_run`, with an observer's functions around each op.
 *
 * Errors: those of `ferrolite_run`.
 */
ferrolite_error ferrolite_run_observed(struct ferrolite_net *net,
                                       const struct ferrolite_observer *observer);

/**
 * As `ferrolite_step`, with an observer's functions around the op.
 *
 * Errors: those of `ferrolite_step`.
 */
ferrolite_error ferrolite_step_observed(struct ferrolite_net *net,
                                        const struct ferrolite_observer *observer,
                                        bool *done);

/**
 * The name of the layer that an op belongs to, and its bytes: UTF-8 in the model, without a 0 at its end. Null, and 0
 * bytes, where the file has none or the net is not bound.
 */
const char *ferrolite_op_name(struct ferrolite_net *net,
                              size_t op,
                              size_t *bytes);

/**
 * The integer for a real number: the nearest one to `real / scale + zero_point`, halves away from zero, from `least` to
 * `most`.
 */
int32_t ferrolite_quantize(float real,
                           float scale,
                           int32_t zero_point,
                           int32_t least,
                           int32_t most);

/**
 * The real number that an integer stands for: `scale * (integer - zero_point)`.
 */
float ferrolite_dequantize(int32_t integer, float scale, int32_t zero_point);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FERROLITE_H */
