// Queries over the kernel's UDP sockets, a batch with each system call.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { maxSockets = 64 };

static int sockets[maxSockets];
static int socketCount, turn, batch;
static uint8_t out[maxBatch][maxMessage], in[maxBatch][maxMessage];
static struct mmsghdr outgoing[maxBatch], incoming[maxBatch];
static struct iovec outgoingBytes[maxBatch], incomingBytes[maxBatch];

void openSockets(const struct options *options) {
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options->port)};
  if (inet_pton(AF_INET, options->server, &server.sin_addr) != 1) fail("--server %s is no address", options->server);
  socketCount = options->sources < 1 ? 1 : options->sources > maxSockets ? maxSockets : options->sources;
  batch = options->batch;
  for (int index = 0; index < socketCount; index++) {
    int made = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (made < 0 || connect(made, (struct sockaddr *)&server, sizeof server) != 0) fail("socket: %s", strerror(errno));
    int room = 4 << 20;
    setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(made, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    sockets[index] = made;
  }
  for (int index = 0; index < maxBatch; index++) {
    outgoingBytes[index].iov_base = out[index];
    outgoing[index].msg_hdr = (struct msghdr){.msg_iov = &outgoingBytes[index], .msg_iovlen = 1};
    incomingBytes[index] = (struct iovec){.iov_base = in[index], .iov_len = maxMessage};
    incoming[index].msg_hdr = (struct msghdr){.msg_iov = &incomingBytes[index], .msg_iovlen = 1};
  }
}

static uint8_t *slot(int index) { return out[index]; }

static void set(int index, const struct query *query, uint16_t length, uint16_t sum) {
  (void)query, (void)sum;
  outgoingBytes[index].iov_len = length;
}

static int flush(int count) {
  int sent = sendmmsg(sockets[turn], outgoing, (unsigned)count, MSG_DONTWAIT);
  // A refused connection is told with the next call; the query goes unanswered then, and is counted so.
  turn = turn + 1 == socketCount ? 0 : turn + 1;
  return sent < 0 ? 0 : sent;
}

static int collect(void (*arrived)(const uint8_t *message, size_t length)) {
  int total = 0;
  for (int index = 0; index < socketCount; index++) {
    int got = recvmmsg(sockets[index], incoming, (unsigned)batch, MSG_DONTWAIT, NULL);
    for (int at = 0; at < got; at++) arrived(in[at], incoming[at].msg_len);
    if (got > 0) total += got;
  }
  return total;
}

static void closeAll(void) {
  for (int index = 0; index < socketCount; index++) close(sockets[index]);
}

const struct transport socketTransport = {slot, set, flush, collect, closeAll};
