/* Replies and failures become Python's objects. */

static PyObject *pairs_type, *members_type, *refusal_type;

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
    bool known = state->kind >= 0 && state->kind <= FAILED_CLOSED;
    PyObject *kind = known ? kinds[state->kind] : refused;
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
