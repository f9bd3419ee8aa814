// What the parts of the DNS load generator share. See load.c for what it does.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { maxBatch = 256, maxMessage = 4096 };

// What the query may be answered with, as the file of queries says.
enum {
  queryRandom = 1,  // the first label gets new letters each time that the query is sent
  queryLoose = 2,   // malformed: whatever comes back is right, and so is nothing
};
enum { anyCount = 255 };

struct query {
  const uint8_t *bytes;
  uint16_t length;
  uint16_t questionLength;  // of the name, type and class behind the header
  uint16_t sum;             // Internet checksum's sum of the bytes with an id of 0, in network order
  uint8_t flags;
  uint8_t rcode;    // that the answer must have
  uint8_t answers;  // that the answer section must have, or `anyCount`
};

struct options {
  const char *device;  // AF_XDP on this interface; NULL: sockets
  const char *server;
  const char *source;      // AF_XDP: own address
  const char *sourceMac;   // AF_XDP
  const char *serverMac;   // AF_XDP
  int port;
  int sources;  // ports that queries are sent from in turn
  int batch;
};

// How queries leave and answers come. `slot` lends room for a message of up to maxMessage bytes; `flush` sends the first
// `count` slots and says how many were taken, always the first ones; `collect` calls `arrived` for each answer there is.
struct transport {
  uint8_t *(*slot)(int index);
  void (*set)(int index, const struct query *query, uint16_t length, uint16_t sum);
  int (*flush)(int count);
  int (*collect)(void (*arrived)(const uint8_t *message, size_t length));
  void (*close)(void);
};

extern const struct transport socketTransport, xdpTransport;
void openSockets(const struct options *options);
void openXdp(const struct options *options);

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint16_t sumOf(const uint8_t *bytes, size_t length);
