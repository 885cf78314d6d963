/* What the methods are called with. */

#define KEYWORDS(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS

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
