/* engine.Call: a State in Python's hands. */

typedef struct {
    PyObject_HEAD
    State *state;
} CallObject;

static PyTypeObject call_type;

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

static PyObject *
call_wait(CallObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"timeout", NULL};
    PyObject *timeout;
    double seconds;
    if (sort_arguments("wait", names, 1, given, count, keywords, &timeout) < 0 ||
        seconds_of(timeout, &seconds) < 0)
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
    {"wait", KEYWORDS(call_wait), "See engine.Call."},
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
