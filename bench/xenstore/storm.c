// Lets guests live at once against a real dom0's xenstore, as replay.ts does, and says as JSON what it took. Node.js as the
// client would take most of an emulated processor.
//   storm PLAN BY COUNT WARM SECONDS PID TIMES
// PLAN: what each does (plan.ts). BY: path of a Unix socket, or Linux's /dev/xen/xenbus. COUNT lives, after WARM others
// that do not count, and no longer than SECONDS. PID: of the server, or 0. TIMES: a command that writes nanoseconds, a line each.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT, LEAVE, START, END, ASK, REMOVE_IF_EMPTY };
enum { TYPE_DIRECTORY = 1, TYPE_START = 6, TYPE_END = 7, TYPE_INTRODUCE = 8, TYPE_WRITE = 11, TYPE_EVENT = 15, TYPE_ERROR = 16 };
enum { MOST_PROGRAMS = 32, MOST_TRANSACTIONS = 64, MOST_ASKED = 256, MOST_LIVES = 1024, LARGEST = 16 + 4096, SHARED = 2 };

// A step as it is in a plan, with its payload behind it.
struct step {
    uint8_t kind, who, type, transaction;
    uint32_t length;
};
struct header {
    uint32_t type, request, transaction, length;
};
struct connection {
    int fd;                             // -1: closed, and freed once nobody looks at it
    struct connection *next_closed;
    uint32_t held;
    uint8_t bytes[2 * LARGEST];
};
// Of one program's; its number in the recording is where it is in the list.
struct transaction {
    uint32_t id, tries, count;
    bool is_cleaning;
    const struct step *asked[MOST_ASKED];
};
struct life {
    uint32_t number;
    const uint8_t *begin, *at, *end;
    struct connection *clients[MOST_PROGRAMS];
    struct transaction *open[MOST_PROGRAMS][MOST_TRANSACTIONS];
    const struct step *step;            // what is waited for
    struct transaction *again;          // what is tried anew, and how far that is
    uint32_t replayed;
};

static struct life lives[MOST_LIVES];
static const char *by;
static int polled;
static struct connection *closed;
static uint32_t lived;
static uint64_t requests, transactions, retries, most_tries, events;

static void fail(const char *what, uint32_t life, const char *why)
{
    printf("life %u: %s: %s\n", life, what, why);
    exit(1);
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static struct connection *open_connection(void)
{
    struct connection *connection = calloc(1, sizeof *connection);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    struct stat status;
    if (stat(by, &status) == 0 && S_ISSOCK(status.st_mode)) {
        connection->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        strncpy(address.sun_path, by, sizeof address.sun_path - 1);
        if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect", 0, strerror(errno));
    } else connection->fd = open(by, O_RDWR);
    if (connection->fd < 0) fail(by, 0, strerror(errno));
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(polled, EPOLL_CTL_ADD, connection->fd, &event);
    return connection;
}

static void leave(struct life *life, unsigned who)
{
    struct connection *connection = life->clients[who];
    if (connection == NULL) return;
    close(connection->fd);
    connection->fd = -1;
    connection->next_closed = closed;
    closed = connection;
    life->clients[who] = NULL;
}

// A message is one write: Linux's device takes no two at once.
static void send_message(struct life *life, unsigned who, uint32_t type, uint32_t transaction, const void *payload,
                         uint32_t length)
{
    struct connection *connection = life->clients[who];
    struct header header = { type, life->number + 1, transaction, length };
    uint8_t bytes[LARGEST];
    if (connection == NULL) fail("nobody is connected", life->number, "");
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, payload, length);
    requests++;
    for (uint32_t sent = 0, whole = sizeof header + length; sent < whole;) {
        ssize_t written = write(connection->fd, bytes + sent, whole - sent);
        if (written > 0) sent += written;
        else if (errno == EAGAIN) poll(&(struct pollfd){ .fd = connection->fd, .events = POLLOUT }, 1, -1);
        else fail("write", life->number, strerror(errno));
    }
}

static struct transaction *transaction_of(struct life *life, const struct step *step)
{
    struct transaction **place = &life->open[step->who][step->transaction];
    if (step->transaction == 0) return NULL;
    if (*place == NULL) *place = calloc(1, sizeof **place);
    return *place;
}

static void start(struct life *life, const struct step *step)
{
    struct transaction *transaction = transaction_of(life, step);
    transaction->tries++;
    transaction->is_cleaning = true;
    life->step = step;
    send_message(life, step->who, TYPE_START, 0, "", 1);
}

// Whether something was asked: what libxl would not do is left out.
static bool ask(struct life *life, const struct step *step)
{
    struct transaction *transaction = transaction_of(life, step);
    if (step->kind == REMOVE_IF_EMPTY && !transaction->is_cleaning) return false;
    life->step = step;
    send_message(life, step->who, step->type, transaction == NULL ? 0 : transaction->id, step + 1, step->length);
    return true;
}

// What comes next, until something is asked.
static void go_on(struct life *life)
{
    for (;;) {
        if (life->again != NULL && life->replayed < life->again->count) {
            if (ask(life, life->again->asked[life->replayed++])) return;
            continue;
        }
        if (life->at == life->end) break;
        const struct step *step = (const struct step *)life->at;
        struct transaction *transaction = transaction_of(life, step);
        // Steps begin at multiples of four bytes.
        life->at += sizeof *step + (step->length + 3) / 4 * 4;
        switch (step->kind) {
        case CONNECT:
            life->clients[step->who] = open_connection();
            break;
        case LEAVE:
            leave(life, step->who);
            break;
        case START:
            start(life, step);
            return;
        case END:
            life->step = step;
            send_message(life, step->who, TYPE_END, transaction->id, "T", 2);
            return;
        default:
            if (transaction != NULL) {
                if (transaction->count == MOST_ASKED) fail("a transaction is too long", life->number, "");
                transaction->asked[transaction->count++] = step;
            }
            if (ask(life, step)) return;
        }
    }
    for (unsigned who = SHARED; who < MOST_PROGRAMS; who++) leave(life, who);
    lived++;
}

static void answered(struct life *life, uint32_t type, const char *payload, uint32_t length)
{
    const struct step *step = life->step;
    struct transaction *transaction = transaction_of(life, step);
    bool is_error = type == TYPE_ERROR;
    // Of the step that begins it the transaction still has no name, and of the one that ends it none any more.
    if (step->kind == START || (step->kind == END && life->again == transaction && life->replayed == UINT32_MAX)) {
        if (is_error) fail("a transaction is refused", life->number, payload);
        transaction->id = strtoul(payload, NULL, 10);
        if (step->kind == END) life->replayed = 0;
    } else if (step->kind == END) {
        if (is_error && strcmp(payload, "EAGAIN") != 0) fail("the end of a transaction", life->number, payload);
        if (is_error) {
            retries++;
            // The same end again, once all before it was asked anew.
            life->again = transaction;
            life->replayed = UINT32_MAX;
            life->at = (const uint8_t *)step;
            start(life, step);
            return;
        }
        transactions++;
        if (transaction->tries > most_tries) most_tries = transaction->tries;
        life->again = NULL;
        memset(transaction, 0, sizeof *transaction);
    } else {
        if (is_error && (step->type == TYPE_INTRODUCE || step->type == TYPE_WRITE))
            fail((const char *)(step + 1), life->number, payload);
        if (transaction != NULL && step->type == TYPE_DIRECTORY && !is_error) transaction->is_cleaning = length == 0;
    }
    go_on(life);
}

static void receive(struct connection *connection)
{
    if (connection->fd < 0) return;
    ssize_t length = read(connection->fd, connection->bytes + connection->held, sizeof connection->bytes - connection->held);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) fail("the server left", 0, length == 0 ? "" : strerror(errno));
    connection->held += length;
    uint8_t message[LARGEST + 1];
    struct header header;
    while (connection->fd >= 0 && connection->held >= sizeof header) {
        memcpy(&header, connection->bytes, sizeof header);
        if (header.length > 4096) fail("no message", 0, "");
        uint32_t whole = sizeof header + header.length;
        if (connection->held < whole) return;
        memcpy(message, connection->bytes, whole);
        message[whole] = 0;
        connection->held -= whole;
        memmove(connection->bytes, connection->bytes + whole, connection->held);
        if (header.type == TYPE_EVENT) events++;
        else answered(&lives[header.request - 1], header.type, (char *)message + sizeof header, header.length);
    }
}

static void live(uint32_t first, uint32_t count, double until)
{
    lived = 0;
    requests = transactions = retries = most_tries = events = 0;
    for (uint32_t each = first; each < first + count; each++) {
        struct life *life = &lives[each];
        life->at = life->begin;
        if (each > 0) memcpy(life->clients, lives[0].clients, SHARED * sizeof life->clients[0]);
        go_on(life);
    }
    while (lived < count && milliseconds() < until) {
        struct epoll_event ready[64];
        int found = epoll_wait(polled, ready, 64, 1000);
        for (int each = 0; each < found; each++) receive(ready[each].data.ptr);
        for (struct connection *next; closed != NULL; closed = next) {
            next = closed->next_closed;
            free(closed);
        }
    }
}

static double server_milliseconds(const char *pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL) return 0;
    fclose(file);
    sscanf(strrchr(text, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (user + system) * 1e3 / sysconf(_SC_CLK_TCK);
}

static unsigned read_times(const char *command, double *times, unsigned most)
{
    unsigned count = 0;
    FILE *lines = popen(command, "r");
    while (count < most && fscanf(lines, "%lf", &times[count]) == 1) times[count++] /= 1e6;
    pclose(lines);
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 8) return 2;
    int file = open(argv[1], O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) fail(argv[1], 0, strerror(errno));
    uint32_t *plan = malloc(status.st_size);
    if (read(file, plan, status.st_size) != status.st_size) fail(argv[1], 0, "cannot be read");
    by = argv[2];
    polled = epoll_create1(0);
    struct rlimit files = { 4096, 4096 };
    setrlimit(RLIMIT_NOFILE, &files);
    // The plan: how many lives, the bytes of each, and these one after the other.
    uint32_t planned = plan[0], count = atoi(argv[3]), warm = atoi(argv[4]);
    if (planned > MOST_LIVES || (uint64_t)count + warm >= planned) fail("too many lives", planned, "");
    const uint8_t *at = (const uint8_t *)(plan + 1 + planned);
    for (uint32_t each = 0; each < planned; each++) {
        lives[each] = (struct life){ .number = each, .begin = at, .end = at + plan[1 + each] };
        at += plan[1 + each];
    }
    double seconds = atof(argv[5]), before[8] = { 0 }, after[8] = { 0 };
    struct rusage own_before, own;
    // The first is of those who are the same for all.
    live(0, 1, milliseconds() + seconds * 1e3);
    live(1, warm, milliseconds() + seconds * 1e3);
    if (lived < warm) fail("to warm takes too long", 0, "");
    double server = server_milliseconds(argv[6]);
    unsigned domains = read_times(argv[7], before, 8);
    getrusage(RUSAGE_SELF, &own_before);
    printf("the storm begins\n");
    fflush(stdout);
    double began = milliseconds();
    live(1 + warm, count, began + seconds * 1e3);
    double took = milliseconds() - began;
    getrusage(RUSAGE_SELF, &own);
    server = server_milliseconds(argv[6]) - server;
    read_times(argv[7], after, 8);
#define OWN(field) ((own.field.tv_sec - own_before.field.tv_sec) * 1e3 + (own.field.tv_usec - own_before.field.tv_usec) / 1e3)
    printf("{\"milliseconds\": %.3f, \"lived\": %u, \"ownMilliseconds\": %.3f, \"serverMilliseconds\": %.3f, ", took, lived,
           OWN(ru_utime) + OWN(ru_stime), server);
    printf("\"requests\": %lu, \"transactions\": %lu, \"retries\": %lu, \"mostTries\": %lu, \"events\": %lu, ", requests,
           transactions, retries, most_tries, events);
    printf("\"domains\": [");
    for (unsigned each = 0; each < domains; each++) printf("%s%.3f", each > 0 ? ", " : "", after[each] - before[each]);
    printf("]}\n");
    return 0;
}
