/* States of calls, and the clients that they belong to: settled by GLIDE's threads, waited for by
 * Python's. Nothing here needs the GIL but the end of wait_for. */

enum { PENDING, PARKED, SETTLING, DONE, ABANDONED };
enum { INLINE = 88, FEW = 32, SMALL = 4096, DEEP = 256, SLICE_MS = 25, MANY = 2048 };

typedef struct Client Client;

typedef struct State {
    atomic_uint word;  /* PENDING ... ABANDONED; what the waiting thread sleeps on */
    atomic_int refs;
    unsigned epoch;
    int fd;
    bool of_scope;
    bool taken;        /* with the GIL */
    bool failed;
    int kind;          /* of the failure: FAILED_... */
    Reply *tree;       /* GLIDE's, to be freed */
    Reply plain;       /* a reply without parts; its text is inside */
    char *text;        /* malloc'd: that of the failure */
    Client *opened;    /* what a job made: a client, */
    uint64_t scope;    /* or a scope */
    bool scoped;
    Client *client;    /* in whose list it is */
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

static unsigned epoch;
static unsigned long main_thread;

static PyObject *refused, *lost, *timed_out, *closed;

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

/* Copy a reply that fits into the State; false when it does not. */
static bool
absorb(State *state, const Reply *reply)
{
    switch (reply->kind) {
    case ARRAY:
    case MAP:
    case SET:
        return false;
    case TEXT:
    case ERROR_TEXT:
        if (reply->text_len > INLINE)
            return false;
        state->plain = *reply;
        state->plain.text = state->near_text;
        memcpy(state->near_text, reply->text, (size_t)reply->text_len);
        return true;
    default:
        state->plain = *reply;
        return true;
    }
}

/* The reply is ours to free. A scope's nil is none at all. */
static void
on_success(uintptr_t id, const Reply *reply)
{
    State *state = (State *)id;
    bool parked, kept = false;
    if (begin_settling(state, &parked)) {
        kept = reply != NULL && !absorb(state, reply);
        if (kept)
            state->tree = (Reply *)reply;
        end_settling(state, parked);
    }
    if (reply != NULL && !kept)
        glide.free_command_response((Reply *)reply);
    delist(state);
}

/* The text is GLIDE's, and gone when this returns. */
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
 * with the GIL held and NULL; leave with the GIL. */
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
