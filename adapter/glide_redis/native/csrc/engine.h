/* The methods of engine.Engine. */

static PyObject *loader, *opening_failure;
static bool connected;

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
    if (state != NULL && size == 0) {
        /* GLIDE never answers an empty batch. */
        state->plain.kind = ARRAY;
        end_settling(state, false);
        delist(state);
    } else if (state != NULL) {
        Batch batch = {size, pointers, atomic};
        Py_BEGIN_ALLOW_THREADS
        glide.batch(client->native, (uintptr_t)state, &batch, false, NULL, 0);
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

static void
raise_opening_failure(const State *state)
{
    const char *said = state->text == NULL ? "" : state->text;
    PyObject *text = text_of(said, (Py_ssize_t)strlen(said)), *error = NULL;
    if (text != NULL)
        error = PyObject_CallFunction(opening_failure, "iO", state->kind, text);
    if (error != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(text);
    Py_XDECREF(error);
}

static PyObject *
engine_open(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"request", "push", NULL};
    PyObject *in[2], *number = NULL, *address = NULL;
    Py_buffer request;
    uint64_t handle = 0;
    (void)self;
    if (sort_arguments("open", names, 1, given, count, keywords, in) < 0 ||
        begin() < 0 || PyObject_GetBuffer(in[0], &request, PyBUF_SIMPLE) < 0)
        return NULL;
    bool pushes = in[1] != NULL && in[1] != Py_None;
    State *state = run_job(run_open, NULL, &request, pushes, 0);
    PyBuffer_Release(&request);
    if (state == NULL)
        return NULL;
    bool over = wait_for(state, Py_HUGE_VAL, NULL) == 0;
    /* A signal's exception may come when the client is there already. */
    Client *client = is_over(state) ? state->opened : NULL;
    if (over && client == NULL) {
        raise_opening_failure(state);
    } else if (over) {
        address = PyLong_FromVoidPtr((void *)client->native);
        if (address != NULL && (!pushes || PyDict_SetItem(handlers, address, in[1]) == 0))
            handle = add_entry(client, NO_SCOPE);
    }
    if (handle != 0)
        number = PyLong_FromUnsignedLongLong(handle);
    else if (client != NULL)
        begin_closing(client);
    Py_XDECREF(address);
    drop_state(state);
    return number;
}

/* The handles of a client's scopes go with it. */
static PyObject *
engine_close(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"client", NULL};
    PyObject *number;
    (void)self;
    if (sort_arguments("close", names, 1, given, count, keywords, &number) < 0)
        return NULL;
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
        drop_client(client);
        return NULL;
    }
    uint64_t handle = 0;
    bool over = wait_for(state, Py_HUGE_VAL, NULL) == 0;
    bool scoped = is_over(state) && state->scoped;
    if (over && !scoped)
        take(state); /* the failure */
    else if (over && atomic_load(&client->users) >= CLOSING)
        PyErr_SetString(closed, "the client was closed");
    else if (over)
        handle = add_scope(client, state->scope);
    if (handle != 0)
        number = PyLong_FromUnsignedLongLong(handle);
    else if (scoped)
        give_back(client, state->scope);
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
            /* GLIDE copies the payload before it returns. */
            PyThreadState *save = length <= sizeof near_by ? NULL : PyEval_SaveThread();
            problem = glide.execute(scope, payload, length, (uintptr_t)state, on_success,
                                    on_failure);
            if (save != NULL)
                PyEval_RestoreThread(save);
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
    give_back(entry->client, entry->scope);
    remove_entry(entry);
    Py_RETURN_NONE;
}

static PyMethodDef engine_methods[] = {
    {"open", KEYWORDS(engine_open), "See engine.Engine."},
    {"close", KEYWORDS(engine_close), "See engine.Engine."},
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
