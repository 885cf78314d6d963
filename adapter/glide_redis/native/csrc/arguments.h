/* Python's objects become arguments of a command, without a copy. */

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
