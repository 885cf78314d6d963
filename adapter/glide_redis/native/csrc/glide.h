/* GLIDE's native interface, as of 2.6.0: what is used of it, by our names. library.py has the same
 * for Python and hands in where the functions are. */

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
