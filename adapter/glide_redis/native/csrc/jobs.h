/* What blocks inside of GLIDE runs in a thread of its own, so that the wait for it can be
 * interrupted. Its outcome settles a State like that of a call. */

/* Replies are trees on the heap: a long text is then copied once, to Python. */
static const ClientKind kind_of_client = {0, on_success, on_failure, false};

typedef struct {
    State *state;
    Client *client; /* to acquire a scope of; NULL to open a client */
    bool pushes;
    uint64_t timeout_ms;
    size_t request_len;
    uint8_t request[];
} Job;

/* A client that is open: its one reference is the closer's. */
static Client *
new_client(const void *native, bool pushes)
{
    Client *client = calloc(1, sizeof *client);
    if (client != NULL) {
        client->native = native;
        client->pushes = pushes;
        atomic_init(&client->refs, 1);
        pthread_mutex_init(&client->lock, NULL);
    }
    return client;
}

static void *
run_open(void *argument)
{
    Job *job = argument;
    State *state = job->state;
    bool parked;
    const Opened *opened = glide.create_client(job->request, job->request_len, &kind_of_client,
                                               job->pushes ? on_push : NULL, NULL, 0);
    Client *client = opened->client == NULL ? NULL : new_client(opened->client, job->pushes);
    if (opened->client == NULL) {
        settle_failure(state, opened->kind, opened->text);
    } else if (client == NULL) {
        glide.close_client(opened->client);
        settle_failure(state, FAILED_PLAINLY, "no memory for a client");
    } else if (begin_settling(state, &parked)) {
        state->opened = client;
        end_settling(state, parked);
    } else {
        begin_closing(client);
    }
    glide.free_connection_response(opened);
    drop_state(state);
    free(job);
    return NULL;
}

static void
give_back(Client *client, uint64_t scope)
{
    if (enter(client)) {
        glide.release(scope, (uint64_t)(uintptr_t)client->native);
        leave(client);
    }
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
        state->scope = (uint64_t)outcome->reply->number;
        state->scoped = true;
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
