/* The engine in C: the interface of engine.py over GLIDE's native library.
 *
 * GLIDE calls back in threads of its own. Those callbacks never take the GIL: they store the reply
 * and wake the waiting thread, which sleeps on a futex without the GIL and builds the Python
 * objects itself. (The exception is a pub/sub message, whose handler is Python.)
 *
 * Who owns what:
 *   State   one call. One reference is the Call's or the waiting thread's, one GLIDE's callback's.
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

#if !defined(__linux__) || !defined(__LP64__)
#error "the accelerated engine waits on futexes of 64-bit Linux; the portable engine needs none"
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

/* One translation unit, in parts. */
#include "csrc/glide.h"
#include "csrc/state.h"
#include "csrc/objects.h"
#include "csrc/arguments.h"
#include "csrc/clients.h"
#include "csrc/jobs.h"
#include "csrc/parameters.h"
#include "csrc/call.h"
#include "csrc/engine.h"

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
