/* Handles, and how clients are used, closed and sent messages. */

#define NO_SCOPE UINT64_MAX

/* A handle is an index into the table (the lower 24 bits) and a serial number. */
typedef struct { uint64_t handle; Client *client; uint64_t scope; } Entry;

static Entry *entries;
static size_t entries_len;
static size_t entries_free; /* where to begin the search for a free one */
static uint64_t serial = 1;

static PyObject *handlers; /* of messages, by the client's address */
static atomic_int pushing;
static atomic_bool finishing;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    Client *first, **last;
    bool running;
} closer = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &closer.first, false};

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
    PyErr_Format(closed, "the %s is closed, or belongs to the parent process",
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
