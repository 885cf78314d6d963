/* The engine in C: the interface of engine.py over GLIDE's native library.
 *
 * GLIDE calls back in threads of its own. Those callbacks never take the GIL: they store the reply
 * and wake the waiting thread, which sleeps on a futex without the GIL and builds the Python
 * objects itself. (The exception is a pub/sub message, whose handler is Python.)
 *
 * Who owns what:
 *   State   one call. One reference is the Call's (or the waiting thread's), one GLIDE's callback's.
 *   Client  one client of GLIDE. One reference is its being open, one each handle's, one that of
 *           each State in its list.
 *   Handle  a number that Python holds: an entry of a table, never used again.
 *
 * A client is closed by a thread of its own ("the closer"), since GLIDE waits for the client's
 * thread then. After that GLIDE calls back no more for calls of this client, and the closer drops
 * the callbacks' references. Calls of scopes are answered by a runtime that lives on.
 *
 * After a fork nothing of the parent's is touched, neither to use nor to free: tables begin anew,
 * and each State, being of another epoch, only says Closed.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifndef __linux__
#error "the accelerated engine waits on Linux futexes; the portable engine works everywhere"
#endif

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <structmember.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------ GLIDE's interface (2.6.0) */

typedef struct Reply {
    int kind;
    int64_t number;
    double real;
    bool truth;
    char *text;
    long text_len;
    struct Reply *items;
    long items_len;
    struct Reply *key;
    struct Reply *value;
    struct Reply *members;
    long members_len;
    void *arena;
} Reply;

enum { NOTHING, INTEGER, REAL, TRUTH, TEXT, ARRAY, MAP, SET, OKAY, ERROR_TEXT };
enum { FAILED_PLAINLY, FAILED_EXEC, FAILED_LATE, FAILED_LOST, FAILED_CLOSED };

typedef struct { const char *text; int kind; } Failure;
typedef struct { Reply *reply; Failure *failure; void *arena; } Outcome;
typedef struct { const void *client; const char *text; int kind; } Opened;
typedef void (*Succeeded)(uintptr_t, const Reply *);
typedef void (*Failed)(uintptr_t, const char *, int);
typedef void (*Pushed)(uintptr_t, int, const uint8_t *, int64_t, const uint8_t *, int64_t,
                       const uint8_t *, int64_t);
typedef struct { int kind; Succeeded succeeded; Failed failed; bool on_stack; } ClientKind;
typedef struct { int type; const uint8_t **args; size_t count; const size_t *lengths; } Command;
typedef struct { size_t count; const Command **commands; bool atomic; } Batch;

enum { RAW_COMMAND = 1 };

static struct {
    const Opened *(*create_client)(const uint8_t *, size_t, const ClientKind *, Pushed, void *,
                                   uintptr_t);
    void (*free_connection_response)(const Opened *);
    void (*close_client)(const void *);
    Outcome *(*command)(const void *, uintptr_t, int, unsigned long, const size_t *,
                        const unsigned long *, const uint8_t *, size_t, uint64_t);
    Outcome *(*batch)(const void *, uintptr_t, const Batch *, bool, const void *, uint64_t);
    void (*free_command_result)(Outcome *);
    void (*free_command_response)(Reply *);
    Outcome *(*acquire)(uint64_t, const uint8_t *, size_t, bool, uint16_t, uint64_t);
    int32_t (*execute)(uint64_t, const uint8_t *, size_t, uintptr_t, Succeeded, Failed);
    int32_t (*release)(uint64_t, uint64_t);
} glide;

/* In the order of the fields above; engine.py asks for it. */
static const char *const FUNCTIONS[] = {
    "create_client", "free_connection_response", "close_client", "command", "batch",
    "free_command_result", "free_command_response", "glide_scope_acquire_blocking",
    "glide_scope_execute_async", "glide_scope_release", NULL,
};

/* ------------------------------------------------------------------------------ what is shared */

enum { PENDING, PARKED, SETTLING, DONE, ABANDONED };
enum { INLINE = 88, FEW = 32, SMALL = 4096, DEEP = 256, SLICE_MS = 50, MANY = 2048 };

typedef struct Client Client;

typedef struct State {
    atomic_uint word;  /* PENDING ... ABANDONED; what the waiting thread sleeps on */
    atomic_int refs;
    unsigned epoch;
    int fd;
    bool of_scope;
    bool taken;        /* with the GIL */
    bool failed;
    int kind;          /* of the failure */
    Reply *tree;       /* GLIDE's, to be freed */
    Reply plain;       /* a reply without parts; its text is the next, or inside */
    char *text;        /* malloc'd: a long text, or that of the failure */
    const void *native; /* what a job made: a client */
    uint64_t number;    /* what a job made: a scope */
    Client *client;
    struct State *previous, *next;
    char near_text[INLINE];
} State;

struct Client {
    const void *native;
    atomic_llong users; /* threads inside of GLIDE with it; CLOSING is added once */
    atomic_int refs;
    atomic_bool queued;
    pthread_mutex_t lock; /* the list */
    State *states;
    Client *next; /* in the closer's queue */
    bool pushes;
    uint64_t *scopes; /* handles; with the GIL */
    size_t scopes_len, scopes_room;
};

#define CLOSING (1LL << 40)
#define NO_SCOPE UINT64_MAX

typedef struct { uint64_t handle; Client *client; uint64_t scope; } Entry;

static unsigned epoch;
static bool connected;
static Entry *entries;
static size_t entries_len;
static size_t entries_free; /* where to begin the search for a free one */
static uint64_t serial = 1;
static unsigned long main_thread;

static PyObject *loader, *opening_failure, *handlers;
static PyObject *pairs_type, *members_type, *refusal_type;
static PyObject *refused, *lost, *timed_out, *closed;
static PyTypeObject call_type;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    Client *first, **last;
    bool running;
} closer = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &closer.first, false};

static atomic_int pushing;
static atomic_bool finishing;

/* A thread that gets no signals: they are for Python's. Returns an errno. */
static int
start_thread(void *(*run)(void *), void *argument)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&thread, &attributes, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return problem;
}

/* How many nodes a reply has, or a number over `most`. */
static long
count_nodes(const Reply *reply, long most)
{
    bool map = reply->kind == MAP;
    const Reply *parts = reply->kind == SET ? reply->members : reply->items;
    long count = reply->kind == SET ? reply->members_len
                 : reply->kind == ARRAY || map ? reply->items_len : 0;
    long nodes = 1;
    if (count > most)
        return count;
    for (long i = 0; i < count && nodes <= most; i++) {
        nodes += count_nodes(map ? parts[i].key : &parts[i], most - nodes);
        if (map)
            nodes += count_nodes(parts[i].value, most - nodes);
    }
    return nodes;
}

static void *
run_free(void *tree)
{
    glide.free_command_response(tree);
    return NULL;
}

/* GLIDE keeps the memory of the first 16 trees that a thread frees, for that thread to use again.
 * None but its own threads ever does, so that a large one is given to a thread that ends. */
static void
free_tree(Reply *tree)
{
    if (count_nodes(tree, MANY) <= MANY || start_thread(run_free, tree) != 0)
        glide.free_command_response(tree);
}

static void
drop_client(Client *client)
{
    if (client != NULL && atomic_fetch_sub(&client->refs, 1) == 1) {
        pthread_mutex_destroy(&client->lock);
        free(client->scopes);
        free(client);
    }
}

static State *
new_state(int fd, int refs)
{
    State *state = malloc(sizeof(State));
    if (state == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    /* The text inside is not cleared. */
    memset(state, 0, offsetof(State, near_text));
    atomic_init(&state->refs, refs);
    state->epoch = epoch;
    state->fd = fd;
    return state;
}

static void
drop_state(State *state)
{
    if (atomic_fetch_sub_explicit(&state->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (state->tree != NULL)
        free_tree(state->tree);
    free(state->text);
    free(state);
}

static void
enlist(State *state, Client *client)
{
    state->client = client;
    atomic_fetch_add(&client->refs, 1);
    pthread_mutex_lock(&client->lock);
    state->next = client->states;
    if (state->next != NULL)
        state->next->previous = state;
    client->states = state;
    pthread_mutex_unlock(&client->lock);
}

/* With the client's lock. */
static void
unlink_state(State *state)
{
    if (state->previous != NULL)
        state->previous->next = state->next;
    else
        state->client->states = state->next;
    if (state->next != NULL)
        state->next->previous = state->previous;
    state->previous = state->next = NULL;
}

/* GLIDE is done with a call: it leaves the list, and the callback's reference goes. */
static void
delist(State *state)
{
    Client *client = state->client;
    pthread_mutex_lock(&client->lock);
    unlink_state(state);
    pthread_mutex_unlock(&client->lock);
    drop_state(state);
    drop_client(client);
}

/* ----------------------------------------------------------------------- settling and waiting */

static long
futex(atomic_uint *word, int operation, unsigned value, const struct timespec *until)
{
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, until, NULL,
                   FUTEX_BITSET_MATCH_ANY);
}

/* Take the right to store the outcome; false when somebody did, or nobody waits any more. */
static bool
begin_settling(State *state, bool *parked)
{
    unsigned word = PENDING;
    while (!atomic_compare_exchange_weak(&state->word, &word, SETTLING))
        if (word != PENDING && word != PARKED)
            return false;
    *parked = word == PARKED;
    return true;
}

static void
end_settling(State *state, bool parked)
{
    if (state->fd >= 0) {
        uint64_t one = 1;
        ssize_t written;
        do
            written = write(state->fd, &one, sizeof one);
        while (written < 0 && errno == EINTR);
    }
    atomic_store(&state->word, DONE);
    if (parked)
        futex(&state->word, FUTEX_WAKE, INT_MAX, NULL);
}

static void
settle_failure(State *state, int kind, const char *text)
{
    bool parked;
    if (!begin_settling(state, &parked))
        return;
    state->failed = true;
    state->kind = kind;
    state->text = strdup(text == NULL ? "" : text);
    end_settling(state, parked);
}

/* Nothing is written to the fd afterwards. */
static void
abandon(State *state)
{
    unsigned word = PENDING;
    while (!atomic_compare_exchange_weak(&state->word, &word, ABANDONED)) {
        if (word == DONE || word == ABANDONED)
            return;
        if (word == SETTLING) {
            sched_yield();
            word = PENDING;
        }
    }
    if (word == PARKED)
        futex(&state->word, FUTEX_WAKE, INT_MAX, NULL);
}

static bool
is_over(State *state)
{
    unsigned word;
    while ((word = atomic_load(&state->word)) == SETTLING)
        sched_yield();
    return word >= DONE;
}

/* Copy a reply that fits in the State itself; false when it has parts, or no memory is there. */
static bool
absorb(State *state, const Reply *reply)
{
    if (reply == NULL)
        return true; /* `plain` is NOTHING */
    switch (reply->kind) {
    case ARRAY:
    case MAP:
    case SET:
        return false;
    case TEXT:
    case ERROR_TEXT:
        if (reply->arena != NULL && reply->text_len > INLINE)
            return false;
        state->plain = *reply;
        if (reply->text_len <= INLINE) {
            state->plain.text = state->near_text;
        } else {
            state->text = state->plain.text = malloc((size_t)reply->text_len);
            if (state->text == NULL)
                return false;
        }
        memcpy(state->plain.text, reply->text, (size_t)reply->text_len);
        return true;
    default:
        state->plain = *reply;
        return true;
    }
}

static void
succeed(State *state, const Reply *reply)
{
    bool parked;
    bool owned = reply != NULL && (state->of_scope || reply->arena != NULL);
    if (begin_settling(state, &parked)) {
        if (!absorb(state, reply)) {
            if (owned) {
                state->tree = (Reply *)reply;
                owned = false;
            } else {
                state->failed = true;
                state->text = strdup("no memory for a reply");
            }
        }
        end_settling(state, parked);
    }
    if (owned)
        glide.free_command_response((Reply *)reply);
    delist(state);
}

static void
on_success(uintptr_t id, const Reply *reply)
{
    succeed((State *)id, reply);
}

static void
on_failure(uintptr_t id, const char *text, int kind)
{
    settle_failure((State *)id, kind, text);
    delist((State *)id);
}

static int64_t
now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Sleep until the call is over, at most until then (ns; negative: for ever), or until a signal
 * came if the caller is interested. Without the GIL. */
static void
park(State *state, int64_t until, bool interested)
{
    struct timespec limit = {until / 1000000000, until % 1000000000};
    for (;;) {
        unsigned word = PENDING;
        if (!atomic_compare_exchange_strong(&state->word, &word, PARKED) && word != PARKED) {
            is_over(state);
            return;
        }
        if (futex(&state->word, FUTEX_WAIT_BITSET, PARKED, until < 0 ? NULL : &limit) == 0)
            continue;
        if (errno == ETIMEDOUT || (errno == EINTR && interested))
            return;
    }
}

/* 0: over; -1: an exception is set and the call abandoned. Enter with `save`, the released GIL, or
 * NULL when it is held; leave with the GIL. */
static int
wait_for(State *state, double timeout, PyThreadState *save)
{
    bool main = PyThread_get_thread_ident() == main_thread;
    /* Longer than 30 years is for ever. */
    int64_t until = timeout < 1e9 ? now_ns() + (int64_t)(timeout * 1e9) : -1;
    if (save == NULL && atomic_load(&state->word) < DONE)
        save = PyEval_SaveThread();
    for (;;) {
        if (save != NULL) {
            int64_t slice = until;
            /* A signal that comes just before the sleep does not interrupt it. */
            if (main) {
                int64_t soon = now_ns() + SLICE_MS * 1000000LL;
                if (until < 0 || soon < until)
                    slice = soon;
            }
            park(state, slice, main);
            PyEval_RestoreThread(save);
            save = NULL;
        }
        if (is_over(state))
            return 0;
        if (main && PyErr_CheckSignals() < 0) {
            abandon(state);
            return -1;
        }
        if (until >= 0 && now_ns() >= until) {
            abandon(state);
            char *seconds = PyOS_double_to_string(timeout, 'g', 6, 0, NULL);
            if (seconds != NULL)
                PyErr_Format(timed_out, "no reply within %s s", seconds);
            PyMem_Free(seconds);
            return -1;
        }
        save = PyEval_SaveThread();
    }
}

/* --------------------------------------------------------------------------- Python's objects */

static PyObject *
text_of(const char *text, Py_ssize_t length)
{
    return PyUnicode_DecodeUTF8(text, length, "replace");
}

static PyObject *value_of(const Reply *reply, int depth);

static PyObject *
fill(PyObject *type, const Reply *items, long count, bool pairs, int depth)
{
    PyObject *list = PyObject_CallNoArgs(type);
    for (long i = 0; list != NULL && i < count; i++) {
        PyObject *item = NULL;
        if (pairs) {
            PyObject *key = value_of(items[i].key, depth);
            PyObject *value = key == NULL ? NULL : value_of(items[i].value, depth);
            if (value != NULL)
                item = PyTuple_Pack(2, key, value);
            Py_XDECREF(key);
            Py_XDECREF(value);
        } else {
            item = value_of(&items[i], depth);
        }
        if (item == NULL || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *
value_of(const Reply *reply, int depth)
{
    switch (reply->kind) {
    case NOTHING:
        Py_RETURN_NONE;
    case INTEGER:
        return PyLong_FromLongLong(reply->number);
    case REAL:
        return PyFloat_FromDouble(reply->real);
    case TRUTH:
        return PyBool_FromLong(reply->truth);
    case TEXT:
        return PyBytes_FromStringAndSize(reply->text, reply->text_len);
    case OKAY:
        return PyBytes_FromStringAndSize("OK", 2);
    case ERROR_TEXT: {
        PyObject *text = text_of(reply->text, reply->text_len);
        PyObject *refusal = text == NULL ? NULL : PyObject_CallOneArg(refusal_type, text);
        Py_XDECREF(text);
        return refusal;
    }
    }
    if (depth == 0)
        return PyErr_Format(refused, "a reply is nested more than %d levels deep", DEEP);
    depth--;
    switch (reply->kind) {
    case ARRAY: {
        PyObject *list = PyList_New(reply->items_len);
        for (long i = 0; list != NULL && i < reply->items_len; i++) {
            PyObject *item = value_of(&reply->items[i], depth);
            if (item == NULL)
                Py_CLEAR(list);
            else
                PyList_SET_ITEM(list, i, item);
        }
        return list;
    }
    case MAP:
        return fill(pairs_type, reply->items, reply->items_len, true, depth);
    case SET:
        return fill(members_type, reply->members, reply->members_len, false, depth);
    }
    return PyErr_Format(refused, "a reply is of the unknown kind %d", reply->kind);
}

static PyObject *
raise_failure(const State *state)
{
    PyObject *kinds[] = {refused, refused, timed_out, lost, closed};
    PyObject *kind = state->kind >= 0 && state->kind <= FAILED_CLOSED ? kinds[state->kind] : refused;
    PyObject *text = state->text == NULL ? PyErr_NoMemory()
                                         : text_of(state->text, (Py_ssize_t)strlen(state->text));
    if (text != NULL)
        PyErr_SetObject(kind, text);
    Py_XDECREF(text);
    return NULL;
}

/* The value of a call that is over; once. */
static PyObject *
take(State *state)
{
    if (atomic_load(&state->word) == ABANDONED) {
        PyErr_SetString(closed, "the call was given up");
        return NULL;
    }
    if (state->taken) {
        PyErr_SetString(closed, "the reply was taken already");
        return NULL;
    }
    state->taken = true;
    if (state->failed)
        return raise_failure(state);
    if (state->tree == NULL)
        return value_of(&state->plain, DEEP);
    PyObject *value = value_of(state->tree, DEEP);
    Reply *tree = state->tree;
    state->tree = NULL;
    free_tree(tree);
    return value;
}

/* -------------------------------------------------------------------------------- the arguments */

/* What a call into GLIDE needs of Python's objects; they live until let_go. */
typedef struct {
    const uint8_t **starts;
    size_t *lengths;
    PyObject **kept;
    Py_buffer *buffers;
    size_t count, room, total, buffers_len, buffers_room;
    const uint8_t *few_starts[FEW];
    size_t few_lengths[FEW];
    PyObject *few_kept[FEW];
} Args;

static void
hold(Args *args)
{
    args->starts = args->few_starts;
    args->lengths = args->few_lengths;
    args->kept = args->few_kept;
    args->buffers = NULL;
    args->count = args->total = args->buffers_len = args->buffers_room = 0;
    args->room = FEW;
}

static void
let_go(Args *args)
{
    for (size_t i = 0; i < args->buffers_len; i++)
        PyBuffer_Release(&args->buffers[i]);
    for (size_t i = 0; i < args->count; i++)
        Py_DECREF(args->kept[i]);
    PyMem_Free(args->buffers);
    if (args->starts != args->few_starts) {
        PyMem_Free(args->starts);
        PyMem_Free(args->lengths);
        PyMem_Free(args->kept);
    }
}

static int
grow(Args *args, size_t room)
{
    bool few = args->starts == args->few_starts;
    const uint8_t **starts = PyMem_Realloc(few ? NULL : args->starts, room * sizeof *starts);
    if (starts == NULL)
        return PyErr_NoMemory(), -1;
    if (few) {
        /* All three move together: allocate the others before any is given up. */
        size_t *lengths = PyMem_Malloc(room * sizeof *lengths);
        PyObject **kept = PyMem_Malloc(room * sizeof *kept);
        if (lengths == NULL || kept == NULL) {
            PyMem_Free(starts);
            PyMem_Free(lengths);
            PyMem_Free(kept);
            return PyErr_NoMemory(), -1;
        }
        memcpy(starts, args->starts, args->count * sizeof *starts);
        memcpy(lengths, args->lengths, args->count * sizeof *lengths);
        memcpy(kept, args->kept, args->count * sizeof *kept);
        args->starts = starts;
        args->lengths = lengths;
        args->kept = kept;
        args->room = room;
        return 0;
    }
    args->starts = starts;
    size_t *lengths = PyMem_Realloc(args->lengths, room * sizeof *lengths);
    if (lengths == NULL)
        return PyErr_NoMemory(), -1;
    args->lengths = lengths;
    PyObject **kept = PyMem_Realloc(args->kept, room * sizeof *kept);
    if (kept == NULL)
        return PyErr_NoMemory(), -1;
    args->kept = kept;
    args->room = room;
    return 0;
}

static int
add_buffer(Args *args, PyObject *item)
{
    if (args->buffers_len == args->buffers_room) {
        size_t room = args->buffers_room ? args->buffers_room * 2 : 4;
        Py_buffer *buffers = PyMem_Realloc(args->buffers, room * sizeof *buffers);
        if (buffers == NULL)
            return PyErr_NoMemory(), -1;
        args->buffers = buffers;
        args->buffers_room = room;
    }
    Py_buffer *buffer = &args->buffers[args->buffers_len];
    if (PyObject_GetBuffer(item, buffer, PyBUF_SIMPLE) < 0)
        return -1;
    args->buffers_len++;
    return 0;
}

static int
add_arg(Args *args, PyObject *item)
{
    if (args->count == args->room && grow(args, args->room * 4) < 0)
        return -1;
    const char *start;
    Py_ssize_t length;
    if (PyBytes_Check(item)) {
        start = PyBytes_AS_STRING(item);
        length = PyBytes_GET_SIZE(item);
    } else if (PyUnicode_Check(item)) {
        start = PyUnicode_AsUTF8AndSize(item, &length);
        if (start == NULL)
            return -1;
    } else {
        if (add_buffer(args, item) < 0)
            return -1;
        start = args->buffers[args->buffers_len - 1].buf;
        length = args->buffers[args->buffers_len - 1].len;
        if (length == 0)
            start = ""; /* GLIDE takes no null pointer, not even for nothing */
    }
    Py_INCREF(item);
    args->starts[args->count] = (const uint8_t *)start;
    args->lengths[args->count] = (size_t)length;
    args->kept[args->count] = item;
    args->count++;
    args->total += (size_t)length;
    return 0;
}

/* Append one command; returns how many arguments it has, or -1. */
static Py_ssize_t
add_command(Args *args, PyObject *command)
{
    if (PyBytes_Check(command) || PyUnicode_Check(command)) {
        PyErr_SetString(PyExc_TypeError, "a command is a sequence of arguments");
        return -1;
    }
    PyObject *sequence = PySequence_Fast(command, "a command is a sequence of arguments");
    if (sequence == NULL)
        return -1;
    size_t before = args->count;
    /* The size is asked each time: a buffer's own code may run in between. */
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); i++)
        if (add_arg(args, PySequence_Fast_GET_ITEM(sequence, i)) < 0) {
            Py_DECREF(sequence);
            return -1;
        }
    Py_DECREF(sequence);
    if (args->count == before) {
        PyErr_SetString(PyExc_ValueError, "a command needs a name");
        return -1;
    }
    return (Py_ssize_t)(args->count - before);
}

/* ------------------------------------------------------------------------- handles and clients */

static Entry *
entry_of(uint64_t handle)
{
    size_t index = handle & 0xFFFFFF;
    if (index < entries_len && entries[index].handle == handle && entries[index].client != NULL)
        return &entries[index];
    return NULL;
}

/* The entry of a handle, or NULL with Closed. */
static Entry *
find(PyObject *number, bool scope)
{
    uint64_t handle = PyLong_AsUnsignedLongLong(number);
    if (handle == (uint64_t)-1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return NULL;
        PyErr_Clear();
    }
    Entry *entry = entry_of(handle);
    if (entry != NULL && (entry->scope != NO_SCOPE) == scope)
        return entry;
    PyErr_Format(closed, "the %s is closed, or belongs to the process that this one was forked from",
                 scope ? "scope" : "client");
    return NULL;
}

/* A new handle, which takes a reference of the client; 0 with an exception. */
static uint64_t
add_entry(Client *client, uint64_t scope)
{
    size_t index = entries_free;
    while (index < entries_len && entries[index].client != NULL)
        index++;
    if (index == entries_len) {
        size_t room = entries_len ? entries_len * 2 : 64;
        Entry *grown = room > 0xFFFFFF ? NULL : PyMem_RawRealloc(entries, room * sizeof *grown);
        if (grown == NULL) {
            PyErr_NoMemory();
            return 0;
        }
        memset(grown + entries_len, 0, (room - entries_len) * sizeof *grown);
        entries = grown;
        entries_len = room;
    }
    entries_free = index + 1;
    entries[index] = (Entry){serial++ << 24 | index, client, scope};
    atomic_fetch_add(&client->refs, 1);
    return entries[index].handle;
}

static void
remove_entry(Entry *entry)
{
    size_t index = (size_t)(entry - entries);
    Client *client = entry->client;
    entry->client = NULL;
    if (index < entries_free)
        entries_free = index;
    if (entry->scope != NO_SCOPE)
        for (size_t i = 0; i < client->scopes_len; i++)
            if (client->scopes[i] == entry->handle)
                client->scopes[i] = client->scopes[--client->scopes_len];
    drop_client(client);
}

static uint64_t
add_scope(Client *client, uint64_t scope)
{
    if (client->scopes_len == client->scopes_room) {
        size_t room = client->scopes_room ? client->scopes_room * 2 : 1;
        uint64_t *grown = realloc(client->scopes, room * sizeof *grown);
        if (grown == NULL) {
            PyErr_NoMemory();
            return 0;
        }
        client->scopes = grown;
        client->scopes_room = room;
    }
    uint64_t handle = add_entry(client, scope);
    if (handle != 0)
        client->scopes[client->scopes_len++] = handle;
    return handle;
}

static void *
run_closer(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&closer.lock);
        while (closer.first == NULL)
            pthread_cond_wait(&closer.filled, &closer.lock);
        Client *client = closer.first;
        closer.first = client->next;
        if (closer.first == NULL)
            closer.last = &closer.first;
        pthread_mutex_unlock(&closer.lock);

        glide.close_client(client->native);
        /* What still waits in the client's own runtime is gone with it; scopes have another. */
        State *gone = NULL;
        pthread_mutex_lock(&client->lock);
        for (State *state = client->states, *next; state != NULL; state = next) {
            next = state->next;
            if (!state->of_scope) {
                unlink_state(state);
                state->next = gone;
                gone = state;
            }
        }
        pthread_mutex_unlock(&client->lock);
        while (gone != NULL) {
            State *next = gone->next;
            drop_state(gone);
            drop_client(client);
            gone = next;
        }
        drop_client(client);
    }
    return NULL;
}

static void
queue_closing(Client *client)
{
    if (atomic_exchange(&client->queued, true))
        return;
    pthread_mutex_lock(&closer.lock);
    client->next = NULL;
    *closer.last = client;
    closer.last = &client->next;
    pthread_cond_signal(&closer.filled);
    pthread_mutex_unlock(&closer.lock);
}

static void
leave(Client *client)
{
    if (atomic_fetch_sub(&client->users, 1) == CLOSING + 1)
        queue_closing(client);
}

/* Keep the client open until `leave`. */
static bool
enter(Client *client)
{
    if (atomic_fetch_add(&client->users, 1) < CLOSING)
        return true;
    leave(client);
    return false;
}

static void
begin_closing(Client *client)
{
    long long users = atomic_fetch_add(&client->users, CLOSING);
    if (users >= CLOSING) {
        atomic_fetch_sub(&client->users, CLOSING);
        return;
    }
    pthread_mutex_lock(&client->lock);
    for (State *state = client->states; state != NULL; state = state->next)
        settle_failure(state, FAILED_CLOSED, "the client was closed");
    pthread_mutex_unlock(&client->lock);
    if (users == 0)
        queue_closing(client);
}

static Client *
enter_handle(PyObject *number)
{
    Entry *entry = find(number, false);
    if (entry == NULL)
        return NULL;
    if (!enter(entry->client)) {
        PyErr_SetString(closed, "the client is closed");
        return NULL;
    }
    return entry->client;
}

/* ---------------------------------------------------------------------------------- the pushes */

static void
on_push(uintptr_t address, int kind, const uint8_t *data, int64_t n, const uint8_t *channel,
        int64_t m, const uint8_t *pattern, int64_t k)
{
    /* Who asks for the GIL while the interpreter ends would never come back: see shut_down. */
    atomic_fetch_add(&pushing, 1);
    if (!atomic_load(&finishing)) {
        PyGILState_STATE gil = PyGILState_Ensure();
        PyObject *number = PyLong_FromUnsignedLongLong(address);
        PyObject *handler = number == NULL ? NULL : PyDict_GetItemWithError(handlers, number);
        if (handler != NULL) {
            Py_INCREF(handler);
            PyObject *done = PyObject_CallFunction(
                handler, "iy#y#y#", kind, (const char *)channel, (Py_ssize_t)m, (const char *)data,
                (Py_ssize_t)n, (const char *)pattern, (Py_ssize_t)k);
            if (done == NULL)
                PyErr_WriteUnraisable(handler);
            Py_XDECREF(done);
            Py_DECREF(handler);
        } else if (PyErr_Occurred()) {
            PyErr_WriteUnraisable(handlers);
        }
        Py_XDECREF(number);
        PyGILState_Release(gil);
    }
    atomic_fetch_sub(&pushing, 1);
}

static const ClientKind kind_of_client = {0, on_success, on_failure, true};

/* ----------------------------------------- what blocks in GLIDE, each in a thread of its own */

typedef struct {
    State *state;
    Client *client; /* to acquire a scope of; NULL to open a client */
    bool pushes;
    uint64_t timeout_ms;
    size_t request_len;
    uint8_t request[];
} Job;

static void *
run_open(void *argument)
{
    Job *job = argument;
    State *state = job->state;
    bool parked;
    const Opened *opened = glide.create_client(job->request, job->request_len, &kind_of_client,
                                               job->pushes ? on_push : NULL, NULL, 0);
    if (opened->client == NULL) {
        settle_failure(state, opened->kind, opened->text);
    } else if (begin_settling(state, &parked)) {
        state->native = opened->client;
        end_settling(state, parked);
    } else {
        glide.close_client(opened->client);
    }
    glide.free_connection_response(opened);
    drop_state(state);
    free(job);
    return NULL;
}

static void *
run_acquire(void *argument)
{
    Job *job = argument;
    State *state = job->state;
    bool parked;
    uint64_t address = (uint64_t)(uintptr_t)job->client->native;
    Outcome *outcome = glide.acquire(address, job->request, job->request_len, false, 0,
                                     job->timeout_ms);
    if (outcome == NULL) {
        settle_failure(state, FAILED_PLAINLY, "GLIDE gave no connection of its own");
    } else if (outcome->failure != NULL) {
        settle_failure(state, outcome->failure->kind, outcome->failure->text);
    } else if (begin_settling(state, &parked)) {
        state->number = (uint64_t)outcome->reply->number;
        end_settling(state, parked);
    } else {
        glide.release((uint64_t)outcome->reply->number, address);
    }
    if (outcome != NULL)
        glide.free_command_result(outcome);
    delist(state);
    leave(job->client);
    drop_client(job->client);
    free(job);
    return NULL;
}

static State *
run_job(void *(*run)(void *), Client *client, const Py_buffer *request, bool pushes,
        uint64_t timeout_ms)
{
    Job *job = malloc(sizeof *job + (size_t)request->len);
    State *state = job == NULL ? (PyErr_NoMemory(), NULL) : new_state(-1, 2);
    if (state == NULL) {
        free(job);
        return NULL;
    }
    job->state = state;
    job->client = client;
    job->pushes = pushes;
    job->timeout_ms = timeout_ms;
    job->request_len = (size_t)request->len;
    memcpy(job->request, request->buf, (size_t)request->len);
    if (client != NULL)
        enlist(state, client);
    int problem = start_thread(run, job);
    if (problem != 0) {
        errno = problem;
        PyErr_SetFromErrno(PyExc_OSError);
        if (client != NULL)
            delist(state);
        else
            drop_state(state);
        drop_state(state);
        free(job);
        return NULL;
    }
    return state;
}

/* ----------------------------------------------------------------------------------- the calls */

typedef struct {
    PyObject_HEAD
    State *state;
} CallObject;

static PyObject *
call_of(State *state)
{
    CallObject *call = PyObject_New(CallObject, &call_type);
    if (call == NULL) {
        abandon(state);
        drop_state(state);
        return NULL;
    }
    call->state = state;
    return (PyObject *)call;
}

static void
call_dealloc(CallObject *self)
{
    if (self->state->epoch == epoch) {
        abandon(self->state);
        drop_state(self->state);
    }
    PyObject_Free(self);
}

static int
seconds_of(PyObject *object, double *seconds)
{
    if (object == Py_None) {
        *seconds = Py_HUGE_VAL;
        return 0;
    }
    *seconds = PyFloat_AsDouble(object);
    if (*seconds == -1.0 && PyErr_Occurred())
        return -1;
    if (!(*seconds > 0.0))
        *seconds = 0.0;
    return 0;
}

static PyObject *
call_wait(CallObject *self, PyObject *timeout)
{
    double seconds;
    if (seconds_of(timeout, &seconds) < 0)
        return NULL;
    if (self->state->epoch != epoch) {
        PyErr_SetString(closed, "the call was made by the process that this one was forked from");
        return NULL;
    }
    if (wait_for(self->state, seconds, NULL) < 0)
        return NULL;
    return take(self->state);
}

static PyObject *
call_done(CallObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(self->state->epoch != epoch || is_over(self->state));
}

static PyObject *
call_abandon(CallObject *self, PyObject *unused)
{
    (void)unused;
    if (self->state->epoch == epoch)
        abandon(self->state);
    Py_RETURN_NONE;
}

static PyMethodDef call_methods[] = {
    {"wait", (PyCFunction)call_wait, METH_O, "See engine.Call."},
    {"done", (PyCFunction)call_done, METH_NOARGS, "See engine.Call."},
    {"abandon", (PyCFunction)call_abandon, METH_NOARGS, "See engine.Call."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject call_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "glide_redis.native._accelerator.Call",
    .tp_basicsize = sizeof(CallObject),
    .tp_dealloc = (destructor)call_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "A command on its way.",
    .tp_methods = call_methods,
};

/* ---------------------------------------------------------------------------------- the engine */

/* Sort positional and keyword arguments into `out`, by name; `needed` of them must be there. */
static int
sort_arguments(const char *function, const char *const *names, Py_ssize_t needed,
               PyObject *const *given, Py_ssize_t count, PyObject *keywords, PyObject **out)
{
    Py_ssize_t all = 0;
    while (names[all] != NULL)
        out[all++] = NULL;
    if (count > all) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments", function, all);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        out[i] = given[i];
    for (Py_ssize_t i = 0; keywords != NULL && i < PyTuple_GET_SIZE(keywords); i++) {
        PyObject *name = PyTuple_GET_ITEM(keywords, i);
        Py_ssize_t at = 0;
        while (at < all && PyUnicode_CompareWithASCIIString(name, names[at]) != 0)
            at++;
        if (at == all || out[at] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got %s argument '%U'", function,
                         at == all ? "an unexpected" : "twice the", name);
            return -1;
        }
        out[at] = given[count + i];
    }
    for (Py_ssize_t i = 0; i < needed; i++)
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() misses the argument '%s'", function, names[i]);
            return -1;
        }
    return 0;
}

static int
fd_of(PyObject *object, int *fd)
{
    *fd = -1;
    if (object == NULL)
        return 0;
    long number = PyLong_AsLong(object);
    if (number == -1 && PyErr_Occurred())
        return -1;
    if (number > INT_MAX) {
        PyErr_SetString(PyExc_ValueError, "that is no file descriptor");
        return -1;
    }
    *fd = number < 0 ? -1 : (int)number;
    return 0;
}

static int
route_of(PyObject *object, const uint8_t **route, size_t *length)
{
    *route = NULL;
    *length = 0;
    if (object == NULL || object == Py_None)
        return 0;
    if (!PyBytes_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "a route is bytes");
        return -1;
    }
    *route = (const uint8_t *)PyBytes_AS_STRING(object);
    *length = (size_t)PyBytes_GET_SIZE(object);
    return 0;
}

/* A call is going to be made: its State is in the client's list, and GLIDE's callback owns one
 * reference. */
static State *
expect(Client *client, int fd)
{
    State *state = new_state(fd, 2);
    if (state != NULL)
        enlist(state, client);
    return state;
}

static void
send(Client *client, State *state, const Args *args, const uint8_t *route, size_t route_len)
{
    /* GLIDE copies the arguments before it returns. */
    glide.command(client->native, (uintptr_t)state, RAW_COMMAND, args->count,
                  (const size_t *)args->starts, (const unsigned long *)args->lengths, route,
                  route_len, 0);
    leave(client);
}

static PyObject *
engine_command(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"client", "args", "route", "fd", NULL};
    PyObject *in[4];
    Args args;
    const uint8_t *route;
    size_t route_len;
    int fd;
    State *state = NULL;
    (void)self;
    if (sort_arguments("command", names, 2, given, count, keywords, in) < 0 ||
        route_of(in[2], &route, &route_len) < 0 || fd_of(in[3], &fd) < 0)
        return NULL;
    hold(&args);
    Client *client = add_command(&args, in[1]) < 0 ? NULL : enter_handle(in[0]);
    if (client != NULL) {
        state = expect(client, fd);
        if (state == NULL) {
            leave(client);
        } else if (args.total < SMALL) {
            send(client, state, &args, route, route_len);
        } else {
            Py_BEGIN_ALLOW_THREADS
            send(client, state, &args, route, route_len);
            Py_END_ALLOW_THREADS
        }
    }
    let_go(&args);
    return state == NULL ? NULL : call_of(state);
}

static PyObject *
engine_execute(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"client", "args", "timeout", "route", NULL};
    PyObject *in[4], *value = NULL;
    Args args;
    const uint8_t *route;
    size_t route_len;
    double seconds;
    (void)self;
    if (sort_arguments("execute", names, 3, given, count, keywords, in) < 0 ||
        seconds_of(in[2], &seconds) < 0 || route_of(in[3], &route, &route_len) < 0)
        return NULL;
    hold(&args);
    Client *client = add_command(&args, in[1]) < 0 ? NULL : enter_handle(in[0]);
    if (client != NULL) {
        State *state = expect(client, -1);
        if (state == NULL) {
            leave(client);
        } else {
            PyThreadState *save = PyEval_SaveThread();
            send(client, state, &args, route, route_len);
            if (wait_for(state, seconds, save) == 0)
                value = take(state);
            drop_state(state);
        }
    }
    let_go(&args);
    return value;
}

static PyObject *
engine_batch(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"client", "commands", "atomic", "fd", NULL};
    PyObject *in[4], *sequence;
    Args args;
    State *state = NULL;
    Client *client;
    Command *commands = NULL;
    int fd, atomic;
    (void)self;
    if (sort_arguments("batch", names, 2, given, count, keywords, in) < 0 || fd_of(in[3], &fd) < 0)
        return NULL;
    atomic = in[2] == NULL ? 0 : PyObject_IsTrue(in[2]);
    sequence = atomic < 0 ? NULL : PySequence_Fast(in[1], "a batch is a sequence of commands");
    if (sequence == NULL)
        return NULL;
    hold(&args);
    /* A copy, so that nobody changes its length. */
    Py_SETREF(sequence, PySequence_Tuple(sequence));
    size_t size = sequence == NULL ? 0 : (size_t)PyTuple_GET_SIZE(sequence);
    if (sequence == NULL)
        goto end;
    commands = PyMem_Malloc(size * (sizeof *commands + sizeof(Command *)) + 1);
    if (commands == NULL) {
        PyErr_NoMemory();
        goto end;
    }
    for (size_t i = 0; i < size; i++) {
        Py_ssize_t length = add_command(&args, PyTuple_GET_ITEM(sequence, i));
        if (length < 0)
            goto end;
        commands[i].count = (size_t)length;
    }
    const Command **pointers = (const Command **)(commands + size);
    for (size_t i = 0, at = 0; i < size; at += commands[i++].count) {
        commands[i].type = RAW_COMMAND;
        commands[i].args = args.starts + at;
        commands[i].lengths = args.lengths + at;
        pointers[i] = &commands[i];
    }
    client = enter_handle(in[0]);
    if (client == NULL)
        goto end;
    state = expect(client, fd);
    if (state != NULL) {
        Batch batch = {size, pointers, atomic};
        Py_BEGIN_ALLOW_THREADS
        if (size != 0) {
            glide.batch(client->native, (uintptr_t)state, &batch, false, NULL, 0);
        } else {
            /* GLIDE never answers an empty batch. */
            state->plain.kind = ARRAY;
            end_settling(state, false);
            delist(state);
        }
        Py_END_ALLOW_THREADS
    }
    leave(client);
end:
    PyMem_Free(commands);
    Py_XDECREF(sequence);
    let_go(&args);
    return state == NULL ? NULL : call_of(state);
}

/* The first client of a process begins here: the library is there, and so is the closer. */
static int
begin(void)
{
    if (!connected) {
        PyObject *done = PyObject_CallNoArgs(loader);
        Py_XDECREF(done);
        if (done == NULL)
            return -1;
        if (!connected) {
            PyErr_SetString(PyExc_RuntimeError, "the native library was not connected");
            return -1;
        }
    }
    if (!closer.running) {
        int problem = start_thread(run_closer, NULL);
        if (problem != 0) {
            errno = problem;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        closer.running = true;
    }
    return 0;
}

static PyObject *
engine_open(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"request", "push", NULL};
    PyObject *in[2], *number = NULL, *address = NULL;
    Py_buffer request;
    State *state = NULL;
    Client *client = NULL;
    uint64_t handle = 0;
    (void)self;
    if (sort_arguments("open", names, 1, given, count, keywords, in) < 0 ||
        begin() < 0 || PyObject_GetBuffer(in[0], &request, PyBUF_SIMPLE) < 0)
        return NULL;
    bool pushes = in[1] != NULL && in[1] != Py_None;
    state = run_job(run_open, NULL, &request, pushes, 0);
    PyBuffer_Release(&request);
    if (state == NULL || wait_for(state, Py_HUGE_VAL, NULL) < 0)
        goto end;
    if (state->failed) {
        PyObject *text = text_of(state->text ? state->text : "", state->text ? (Py_ssize_t)strlen(state->text) : 0);
        PyObject *error = text == NULL ? NULL : PyObject_CallFunction(opening_failure, "iO", state->kind, text);
        if (error != NULL)
            PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_XDECREF(text);
        Py_XDECREF(error);
        goto end;
    }
    client = calloc(1, sizeof *client);
    if (client == NULL) {
        PyErr_NoMemory();
    } else {
        client->native = state->native;
        client->pushes = pushes;
        atomic_init(&client->refs, 1);
        pthread_mutex_init(&client->lock, NULL);
        address = PyLong_FromVoidPtr((void *)state->native);
        if (address != NULL && (!pushes || PyDict_SetItem(handlers, address, in[1]) == 0))
            handle = add_entry(client, NO_SCOPE);
    }
    if (handle != 0) {
        number = PyLong_FromUnsignedLongLong(handle);
    } else if (client != NULL) {
        begin_closing(client);
    } else {
        glide.close_client(state->native);
    }
end:
    Py_XDECREF(address);
    if (state != NULL)
        drop_state(state);
    return number;
}

/* The handles of a client's scopes go with it. */
static PyObject *
engine_close(PyObject *self, PyObject *number)
{
    (void)self;
    Entry *entry = find(number, false);
    if (entry == NULL) {
        if (!PyErr_ExceptionMatches(closed))
            return NULL;
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    Client *client = entry->client;
    if (client->pushes) {
        PyObject *address = PyLong_FromVoidPtr((void *)client->native);
        if (address == NULL || PyDict_DelItem(handlers, address) < 0)
            PyErr_Clear();
        Py_XDECREF(address);
    }
    begin_closing(client);
    while (client->scopes_len > 0)
        remove_entry(entry_of(client->scopes[client->scopes_len - 1]));
    remove_entry(entry);
    Py_RETURN_NONE;
}

static PyObject *
engine_acquire(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"client", "request", "timeout", NULL};
    PyObject *in[3], *number = NULL;
    Py_buffer request;
    double seconds;
    (void)self;
    if (sort_arguments("acquire", names, 3, given, count, keywords, in) < 0 ||
        seconds_of(in[2], &seconds) < 0 || PyObject_GetBuffer(in[1], &request, PyBUF_SIMPLE) < 0)
        return NULL;
    Client *client = enter_handle(in[0]);
    if (client == NULL) {
        PyBuffer_Release(&request);
        return NULL;
    }
    double limit = seconds < 1e9 ? seconds * 1e3 : 1e12;
    atomic_fetch_add(&client->refs, 2); /* the job's, and ours */
    State *state = run_job(run_acquire, client, &request, false, limit < 1 ? 1 : (uint64_t)limit);
    PyBuffer_Release(&request);
    if (state == NULL) {
        leave(client);
        drop_client(client);
    } else if (wait_for(state, Py_HUGE_VAL, NULL) == 0) {
        if (state->failed) {
            raise_failure(state);
        } else if (atomic_load(&client->users) >= CLOSING) {
            PyErr_SetString(closed, "the client was closed");
        } else {
            uint64_t handle = add_scope(client, state->number);
            if (handle != 0)
                number = PyLong_FromUnsignedLongLong(handle);
            else
                glide.release(state->number, (uint64_t)(uintptr_t)client->native);
        }
    }
    if (state != NULL)
        drop_state(state);
    drop_client(client);
    return number;
}

static void
store_length(uint8_t **at, size_t length)
{
    for (int i = 0; i < 4; i++)
        *(*at)++ = (uint8_t)(length >> (8 * i));
}

/* The form in which GLIDE takes a command for a scope: lengths are 4 bytes, little-endian. */
static uint8_t *
serialize(const Args *args, uint8_t *near_by, size_t room, size_t *length)
{
    *length = args->total + 4 * (args->count + 1);
    uint8_t *payload = *length <= room ? near_by : PyMem_RawMalloc(*length), *at = payload;
    if (payload == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (size_t i = 0; i < args->count; i++) {
        if (args->lengths[i] > UINT32_MAX) {
            PyErr_SetString(PyExc_ValueError, "an argument is longer than 4 GiB");
            if (payload != near_by)
                PyMem_RawFree(payload);
            return NULL;
        }
        store_length(&at, args->lengths[i]);
        memcpy(at, args->starts[i], args->lengths[i]);
        at += args->lengths[i];
        if (i == 0)
            store_length(&at, args->count - 1);
    }
    return payload;
}

static PyObject *
engine_link(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"scope", "args", "fd", NULL};
    PyObject *in[3];
    Args args;
    uint8_t near_by[SMALL], *payload = NULL;
    size_t length;
    int fd, problem = 0;
    State *state = NULL;
    (void)self;
    if (sort_arguments("link", names, 2, given, count, keywords, in) < 0 || fd_of(in[2], &fd) < 0)
        return NULL;
    hold(&args);
    if (add_command(&args, in[1]) >= 0)
        payload = serialize(&args, near_by, sizeof near_by, &length);
    let_go(&args);
    Entry *entry = payload == NULL ? NULL : find(in[0], true);
    if (entry != NULL && !enter(entry->client)) {
        PyErr_SetString(closed, "the client is closed");
        entry = NULL;
    }
    if (entry != NULL) {
        Client *client = entry->client;
        uint64_t scope = entry->scope;
        state = new_state(fd, 2);
        if (state != NULL) {
            state->of_scope = true;
            enlist(state, client);
            if (length <= sizeof near_by) {
                problem = glide.execute(scope, payload, length, (uintptr_t)state, on_success, on_failure);
            } else {
                Py_BEGIN_ALLOW_THREADS
                problem = glide.execute(scope, payload, length, (uintptr_t)state, on_success, on_failure);
                Py_END_ALLOW_THREADS
            }
        }
        leave(client);
        if (problem != 0) {
            delist(state);
            drop_state(state);
            state = NULL;
            PyErr_SetString(problem == -1 ? closed : refused,
                            problem == -1 ? "the scope is gone" : "malformed command");
        }
    }
    if (payload != near_by)
        PyMem_RawFree(payload);
    return state == NULL ? NULL : call_of(state);
}

static PyObject *
engine_release(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"scope", "client", NULL};
    PyObject *in[2];
    (void)self;
    if (sort_arguments("release", names, 2, given, count, keywords, in) < 0)
        return NULL;
    Entry *entry = find(in[0], true);
    if (entry == NULL) {
        if (!PyErr_ExceptionMatches(closed))
            return NULL;
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    Client *client = entry->client;
    if (enter(client)) {
        glide.release(entry->scope, (uint64_t)(uintptr_t)client->native);
        leave(client);
    }
    remove_entry(entry);
    Py_RETURN_NONE;
}

#define KEYWORDS(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS

static PyMethodDef engine_methods[] = {
    {"open", KEYWORDS(engine_open), "See engine.Engine."},
    {"close", engine_close, METH_O, "See engine.Engine."},
    {"command", KEYWORDS(engine_command), "See engine.Engine."},
    {"batch", KEYWORDS(engine_batch), "See engine.Engine."},
    {"execute", KEYWORDS(engine_execute), "See engine.Engine."},
    {"acquire", KEYWORDS(engine_acquire), "See engine.Engine."},
    {"link", KEYWORDS(engine_link), "See engine.Engine."},
    {"release", KEYWORDS(engine_release), "See engine.Engine."},
    {NULL, NULL, 0, NULL},
};

static PyObject *
engine_name(PyObject *self, void *unused)
{
    (void)self, (void)unused;
    return PyUnicode_FromString("accelerated");
}

static PyGetSetDef engine_getters[] = {
    {"name", engine_name, NULL, "``accelerated``.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject engine_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "glide_redis.native._accelerator.Engine",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "The engine in C. It has no state but this process's.",
    .tp_methods = engine_methods,
    .tp_getset = engine_getters,
    .tp_new = PyType_GenericNew,
};

/* ---------------------------------------------------------------------------------- the module */

static PyObject *
module_connect(PyObject *self, PyObject *addresses)
{
    void **fields = (void **)&glide;
    Py_ssize_t count = 0;
    (void)self;
    while (FUNCTIONS[count] != NULL)
        count++;
    if (!PyTuple_Check(addresses) || PyTuple_GET_SIZE(addresses) != count ||
        count * sizeof(void *) != sizeof glide) {
        PyErr_SetString(PyExc_TypeError, "one address for each of FUNCTIONS is needed");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        void *address = PyLong_AsVoidPtr(PyTuple_GET_ITEM(addresses, i));
        if (address == NULL) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "a function is nowhere");
            return NULL;
        }
        fields[i] = address;
    }
    connected = true;
    Py_RETURN_NONE;
}

static PyObject *
module_configure(PyObject *self, PyObject *given, PyObject *keywords)
{
    static char *names[] = {"loader", "opening_failure", "pairs", "members", "refusal", "refused",
                            "lost", "timed_out", "closed", "main_thread", NULL};
    PyObject *in[9];
    unsigned long thread;
    (void)self;
    if (!PyArg_ParseTupleAndKeywords(given, keywords, "OOOOOOOOOk", names, &in[0], &in[1], &in[2],
                                     &in[3], &in[4], &in[5], &in[6], &in[7], &in[8], &thread))
        return NULL;
    PyObject **kept[] = {&loader, &opening_failure, &pairs_type, &members_type, &refusal_type,
                         &refused, &lost, &timed_out, &closed};
    for (int i = 0; i < 9; i++)
        Py_XSETREF(*kept[i], Py_NewRef(in[i]));
    if (handlers == NULL && (handlers = PyDict_New()) == NULL)
        return NULL;
    main_thread = thread;
    Py_RETURN_NONE;
}

/* In a forked child: nothing of the parent's is touched again, nor freed. */
static PyObject *
module_forked(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    epoch++;
    connected = false;
    entries = NULL;
    entries_len = entries_free = 0;
    main_thread = PyThread_get_thread_ident();
    pthread_mutex_init(&closer.lock, NULL);
    pthread_cond_init(&closer.filled, NULL);
    closer.first = NULL;
    closer.last = &closer.first;
    closer.running = false;
    atomic_store(&pushing, 0);
    atomic_store(&finishing, false);
    if (handlers != NULL)
        PyDict_Clear(handlers);
    Py_RETURN_NONE;
}

/* Before the interpreter ends: no thread of GLIDE may wait for the GIL then. */
static PyObject *
module_shut_down(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    atomic_store(&finishing, true);
    Py_BEGIN_ALLOW_THREADS
    for (int i = 0; i < 5000 && atomic_load(&pushing) > 0; i++)
        usleep(1000);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* Raised with each change that accelerated.py must know of: an old build is then recognized. */
enum { INTERFACE = 1 };

static PyMethodDef module_methods[] = {
    {"configure", (PyCFunction)(void (*)(void))module_configure, METH_VARARGS | METH_KEYWORDS,
     "Hand in the Python objects that the engine makes, raises and calls."},
    {"connect", module_connect, METH_O, "Hand in the addresses of FUNCTIONS, in their order."},
    {"forked", module_forked, METH_NOARGS, "Forget the parent process's clients and calls."},
    {"shut_down", module_shut_down, METH_NOARGS, "Deliver no more messages, before the end."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_accelerator", "The engine in C; see engine.py.", -1, module_methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__accelerator(void)
{
    if (PyType_Ready(&call_type) < 0 || PyType_Ready(&engine_type) < 0)
        return NULL;
    PyObject *self = PyModule_Create(&module);
    PyObject *functions = PyTuple_New(sizeof FUNCTIONS / sizeof *FUNCTIONS - 1);
    if (self == NULL || functions == NULL)
        goto failed;
    for (Py_ssize_t i = 0; FUNCTIONS[i] != NULL; i++) {
        PyObject *name = PyUnicode_FromString(FUNCTIONS[i]);
        if (name == NULL)
            goto failed;
        PyTuple_SET_ITEM(functions, i, name);
    }
    if (PyModule_AddObjectRef(self, "FUNCTIONS", functions) < 0 ||
        PyModule_AddIntConstant(self, "INTERFACE", INTERFACE) < 0 ||
        PyModule_AddObjectRef(self, "Engine", (PyObject *)&engine_type) < 0 ||
        PyModule_AddObjectRef(self, "Call", (PyObject *)&call_type) < 0)
        goto failed;
    Py_DECREF(functions);
    return self;
failed:
    Py_XDECREF(functions);
    Py_XDECREF(self);
    return NULL;
}
