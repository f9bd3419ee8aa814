// Sends datagrams as fast as they leave, or takes them and does nothing with them.
//   flood send ADDRESS PORT BYTES MILLISECONDS    from 16 sockets in turn, in batches
//   flood sink PORT                               until it is killed
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { sockets = 16, batch = 32 };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void flood(const char *address, int port, size_t bytes, double milliseconds) {
  static char payload[65536];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (bytes > sizeof payload || inet_pton(AF_INET, address, &to.sin_addr) != 1) fail("flood: arguments");
  int out[sockets];
  for (int index = 0; index < sockets; index++) {
    out[index] = socket(AF_INET, SOCK_DGRAM, 0);
    if (out[index] < 0 || connect(out[index], (struct sockaddr *)&to, sizeof to) != 0) fail("flood: connect");
  }
  struct iovec part = {.iov_base = payload, .iov_len = bytes};
  struct mmsghdr messages[batch];
  memset(messages, 0, sizeof messages);
  for (int index = 0; index < batch; index++) {
    messages[index].msg_hdr.msg_iov = &part;
    messages[index].msg_hdr.msg_iovlen = 1;
  }
  const double end = now() + milliseconds;
  long sent = 0;
  for (int turn = 0; now() < end; turn++) {
    // What a full queue refuses is lost: the receiver counts.
    const int count = sendmmsg(out[turn % sockets], messages, batch, 0);
    if (count > 0) sent += count;
  }
  printf("%ld\n", sent);
}

static void sink(int port) {
  const int in = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (in < 0 || bind(in, (struct sockaddr *)&at, sizeof at) != 0) fail("flood: bind");
  for (;;) pause();
}

int main(int count, char **words) {
  if (count == 6 && strcmp(words[1], "send") == 0) flood(words[2], atoi(words[3]), strtoul(words[4], 0, 10), atof(words[5]));
  else if (count == 3 && strcmp(words[1], "sink") == 0) sink(atoi(words[2]));
  else return 2;
  return 0;
}
