// Load for a DNS server over UDP: a closed loop that keeps N queries outstanding, or an open one at a given rate. Every
// answer is checked: its id and question are those of a query still open, its response code and count of answers those
// that the file of queries expects. One JSON object is printed at the end.
//
//   load --server 10.8.0.1 --queries FILE [--port 53] [--outstanding 256] [--seconds 3] [--warm-up 0.5] [--rate N]
//        [--timeout-ms 100] [--batch 64] [--sources 16] [--limit N]
//        [--xdp DEVICE --source 10.8.0.2 --source-mac 02:… --server-mac 02:…]
//
// The file of queries has for each a header of 6 bytes and the message, whose first two bytes are where the id goes. The
// header: length of the message (u16, network order), length of the question behind the message's header (u16), flags
// (high nibble) and expected code (low), expected count of answers.
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ids = 65536, subBuckets = 64, buckets = 40 * subBuckets };

// What became of the query that has this id.
enum { slotFree, slotOpen, slotLoose, slotLate };

static struct query *queries;
static uint32_t queryCount;
static uint8_t state[ids];
static uint64_t sentAt[ids];     // nanoseconds
static uint32_t queryOf[ids];
static uint32_t nonceOf[ids];

static uint16_t nextId, oldestId;
static uint32_t nextQuery;
static int open_;  // answers that are waited for

static struct counts {
  uint64_t sent, answered, looseSent, looseAnswered, wrong, unexpected, late, timedOut, refusedToSend;
} counts;
static uint64_t histogram[buckets];
static uint64_t now_;  // when the batch that is being looked at was read

static const struct transport *transport;

_Noreturn void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint16_t sumOf(const uint8_t *bytes, size_t length) {
  uint32_t sum = 0;
  for (size_t at = 0; at + 1 < length; at += 2) sum += (uint32_t)(bytes[at] << 8 | bytes[at + 1]);
  if (length & 1) sum += (uint32_t)bytes[length - 1] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

static uint32_t randomBits(void) {
  static uint64_t seed = 88172645463325252u;
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 16);
}

// A nonce's letters: seven of them say 35 bits' worth, the rest of the label stays.
static void writeNonce(uint8_t *message, uint32_t nonce) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
  int length = message[12] < 7 ? message[12] : 7;
  for (int at = 0; at < length; at++, nonce = nonce >> 5 | nonce << 27) message[13 + at] = (uint8_t)letters[nonce & 31];
}

static void readQueries(const char *path) {
  int file = open(path, O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) fail("%s: %s", path, strerror(errno));
  size_t size = (size_t)status.st_size;
  const uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (bytes == MAP_FAILED) fail("%s: %s", path, strerror(errno));
  close(file);
  uint32_t room = 0;
  for (size_t at = 0; at + 6 <= size;) {
    struct query query = {
        .bytes = bytes + at + 6,
        .length = (uint16_t)(bytes[at] << 8 | bytes[at + 1]),
        .questionLength = (uint16_t)(bytes[at + 2] << 8 | bytes[at + 3]),
        .flags = bytes[at + 4] >> 4,
        .rcode = bytes[at + 4] & 15,
        .answers = bytes[at + 5],
    };
    at += 6u + query.length;
    bool short_ = query.length < 2 || (!(query.flags & queryLoose) && query.length < 12u + query.questionLength);
    if (at > size || short_ || query.length > maxMessage) fail("%s: broken at byte %zu", path, at);
    query.sum = sumOf(query.bytes + 2, query.length - 2u);
    if (queryCount == room) {
      room = room == 0 ? 1024 : room * 2;
      queries = realloc(queries, room * sizeof *queries);
      if (queries == NULL) fail("no memory for %u queries", room);
    }
    queries[queryCount++] = query;
  }
  if (queryCount == 0) fail("%s has no queries", path);
}

// 64 buckets for each power of two: 1.6 % of resolution.
static int bucketOf(uint64_t nanoseconds) {
  if (nanoseconds < subBuckets) return (int)nanoseconds;
  int power = 63 - __builtin_clzll(nanoseconds);
  int bucket = (power - 5) * subBuckets + (int)(nanoseconds >> (power - 6)) - subBuckets;
  return bucket < buckets ? bucket : buckets - 1;
}

static double bucketTop(int bucket) {
  if (bucket < subBuckets) return bucket;
  int power = bucket / subBuckets + 5;
  return (double)((uint64_t)(bucket % subBuckets + subBuckets + 1) << (power - 6));
}

static double percentile(double share) {
  uint64_t total = 0, count = 0;
  for (int bucket = 0; bucket < buckets; bucket++) total += histogram[bucket];
  if (total == 0) return 0;
  for (int bucket = 0; bucket < buckets; bucket++) {
    count += histogram[bucket];
    if ((double)count >= share * (double)total) return bucketTop(bucket) / 1000;
  }
  return bucketTop(buckets - 1) / 1000;
}

static void put(int index, uint64_t due) {
  uint32_t number = nextQuery;
  nextQuery = nextQuery + 1 == queryCount ? 0 : nextQuery + 1;
  const struct query *query = &queries[number];
  uint16_t id = nextId++;
  uint8_t *message = transport->slot(index);
  memcpy(message, query->bytes, query->length);
  message[0] = (uint8_t)(id >> 8);
  message[1] = (uint8_t)id;
  uint32_t sum = query->sum;
  if (query->flags & queryRandom) {
    nonceOf[id] = randomBits();
    writeNonce(message, nonceOf[id]);
    sum = sumOf(message + 2, query->length - 2u);
  }
  sum += id;
  transport->set(index, query, query->length, (uint16_t)((sum & 0xffff) + (sum >> 16)));
  queryOf[id] = number;
  sentAt[id] = due;
  bool loose = (query->flags & queryLoose) != 0;
  state[id] = loose ? slotLoose : slotOpen;
  if (!loose) open_++;
}

// Takes back what the transport refused: the last ones of a batch.
static void takeBack(int count) {
  for (; count > 0; count--) {
    uint16_t id = --nextId;
    nextQuery = nextQuery == 0 ? queryCount - 1 : nextQuery - 1;
    if (state[id] == slotOpen) open_--;
    state[id] = slotFree;
    counts.refusedToSend++;
  }
}

static void sendBatch(int count, uint64_t firstDue, double interval) {
  for (int index = 0; index < count; index++) put(index, firstDue + (uint64_t)(interval * index));
  int sent = transport->flush(count);
  takeBack(count - sent);
  for (uint16_t id = (uint16_t)(nextId - sent); id != nextId; id++) {
    if (state[id] == slotLoose) counts.looseSent++;
    else counts.sent++;
  }
}

static bool isRight(const uint8_t *message, size_t length, uint16_t id) {
  const struct query *query = &queries[queryOf[id]];
  if (length < 12u + query->questionLength) return false;
  // A response, with the opcode of the query, not truncated.
  if (!(message[2] & 0x80) || ((message[2] ^ query->bytes[2]) & 0x78) || (message[2] & 0x02)) return false;
  if ((message[3] & 15) != query->rcode) return false;
  if (message[4] != query->bytes[4] || message[5] != query->bytes[5]) return false;
  if (query->answers != anyCount && (message[6] << 8 | message[7]) != query->answers) return false;
  if (!(query->flags & queryRandom)) return memcmp(message + 12, query->bytes + 12, query->questionLength) == 0;
  uint8_t question[maxMessage];
  memcpy(question, query->bytes, 12u + query->questionLength);
  writeNonce(question, nonceOf[id]);
  return memcmp(message + 12, question + 12, query->questionLength) == 0;
}

static void arrived(const uint8_t *message, size_t length) {
  if (length < 2) {
    counts.unexpected++;
    return;
  }
  uint16_t id = (uint16_t)(message[0] << 8 | message[1]);
  switch (state[id]) {
    case slotLoose:
      counts.looseAnswered++;
      return;
    case slotLate:
      counts.late++;
      state[id] = slotFree;
      return;
    case slotFree:
      counts.unexpected++;
      return;
  }
  state[id] = slotFree;
  open_--;
  if (!isRight(message, length, id)) {
    if (counts.wrong++ == 0 && getenv("LOAD_SHOW_WRONG") != NULL) {
      for (size_t at = 0; at < length; at++) fprintf(stderr, "%02x", message[at]);
      fputc('\n', stderr);
    }
    return;
  }
  counts.answered++;
  histogram[bucketOf(now_ > sentAt[id] ? now_ - sentAt[id] : 0)]++;
}

// Gives up on what is older than the time limit. Ids are used in order, so the oldest come first.
static void expire(uint64_t time, uint64_t limit) {
  for (; oldestId != nextId; oldestId++) {
    uint8_t was = state[oldestId];
    if (was != slotFree && was != slotLate && time < sentAt[oldestId] + limit) return;
    if (was == slotOpen) {
      counts.timedOut++;
      open_--;
      state[oldestId] = slotLate;
    } else if (was == slotLoose) {
      state[oldestId] = slotLate; // it may be answered yet
    }
  }
}

static double cpuSeconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

int main(int argc, char **argv) {
  struct options options = {.server = "127.0.0.1", .port = 53, .sources = 16, .batch = 64};
  const char *file = NULL;
  int outstanding = 256;
  double seconds = 3, warmUp = 0.5, rate = 0, timeoutMs = 100;
  uint64_t limit = UINT64_MAX;
  static const struct option names[] = {
      {"server", 1, 0, 's'},   {"queries", 1, 0, 'q'},    {"port", 1, 0, 'p'},       {"outstanding", 1, 0, 'o'},
      {"seconds", 1, 0, 't'},  {"warm-up", 1, 0, 'w'},    {"rate", 1, 0, 'r'},       {"timeout-ms", 1, 0, 'x'},
      {"batch", 1, 0, 'b'},    {"sources", 1, 0, 'n'},    {"xdp", 1, 0, 'd'},        {"source", 1, 0, 'a'},
      {"limit", 1, 0, 'l'},    {"source-mac", 1, 0, 'm'}, {"server-mac", 1, 0, 'M'}, {0, 0, 0, 0},
  };
  for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (option) {
      case 's': options.server = optarg; break;
      case 'q': file = optarg; break;
      case 'p': options.port = atoi(optarg); break;
      case 'o': outstanding = atoi(optarg); break;
      case 't': seconds = atof(optarg); break;
      case 'w': warmUp = atof(optarg); break;
      case 'r': rate = atof(optarg); break;
      case 'x': timeoutMs = atof(optarg); break;
      case 'b': options.batch = atoi(optarg); break;
      case 'n': options.sources = atoi(optarg); break;
      case 'd': options.device = optarg; break;
      case 'a': options.source = optarg; break;
      case 'm': options.sourceMac = optarg; break;
      case 'M': options.serverMac = optarg; break;
      case 'l': limit = strtoull(optarg, NULL, 10); break;
      default: fail("unknown option");
    }
  }
  if (file == NULL) fail("--queries FILE is missing");
  if (options.batch < 1 || options.batch > maxBatch) fail("--batch is 1 to %d", maxBatch);
  if (outstanding < 1 || outstanding > ids / 2) fail("--outstanding is 1 to %d", ids / 2);
  readQueries(file);
  // Contenders are asked different names first, not the same ones each time.
  nextQuery = (uint32_t)(now() / 1000 % queryCount);
  if (limit != UINT64_MAX) nextQuery = 0;
  if (options.device != NULL) {
    openXdp(&options);
    transport = &xdpTransport;
  } else {
    openSockets(&options);
    transport = &socketTransport;
  }

  uint64_t timeout = (uint64_t)(timeoutMs * 1e6), start = now(), idle = 0, measuredIdle = 0;
  uint64_t measureFrom = start + (uint64_t)(warmUp * 1e9), end = measureFrom + (uint64_t)(seconds * 1e9);
  double interval = rate > 0 ? 1e9 / rate : 0, due = (double)start, cpu = 0;
  struct counts before = {0};
  bool measuring = false;
  for (uint64_t time = start; time < end; time = now()) {
    if (!measuring && time >= measureFrom) {
      measuring = true;
      measureFrom = time;
      before = counts;
      memset(histogram, 0, sizeof histogram);
      cpu = cpuSeconds();
      measuredIdle = idle;
    }
    if (limit != UINT64_MAX && counts.sent + counts.looseSent >= limit && open_ == 0) {
      end = time;
      break;
    }
    int wanted = outstanding - open_;
    if (rate > 0) {
      double owed = ((double)time - due) / interval;
      if (owed < wanted) wanted = (int)owed;
      // What cannot be sent in time because too much is open is not made up for later: the rate given is the most.
      if (owed > 4096) due = (double)time - 4096 * interval;
    }
    if (limit - counts.sent - counts.looseSent < (uint64_t)wanted) wanted = (int)(limit - counts.sent - counts.looseSent);
    // Room in the numbers: those at the end of the window are 65,536 behind.
    int used = (uint16_t)(nextId - oldestId);
    if (wanted > ids - 1 - used) wanted = ids - 1 - used;
    if (wanted > options.batch) wanted = options.batch;
    bool did = false;
    // Small batches cost more than they bring while there is enough under way.
    if (wanted > 0 && (rate > 0 || wanted >= options.batch / 4 || open_ < outstanding / 2)) {
      sendBatch(wanted, rate > 0 ? (uint64_t)due : time, interval);
      due += interval * wanted;
      did = true;
    }
    uint64_t answers = counts.answered + counts.looseAnswered + counts.wrong;
    now_ = now();
    if (transport->collect(arrived) > 0) did = true;
    if (counts.answered + counts.looseAnswered + counts.wrong != answers) did = true;
    expire(time, timeout);
    if (!did) {
      sched_yield();
      idle += now() - time;
    }
  }
  double span = (double)(now() - measureFrom) * 1e-9;
  double busy = (cpuSeconds() - cpu) / span;
  transport->close();
  printf("{\"seconds\":%.6f,\"sent\":%lu,\"answered\":%lu,\"rate\":%.1f,\"wrong\":%lu,\"timedOut\":%lu,\"late\":%lu,"
         "\"unexpected\":%lu,\"looseSent\":%lu,\"looseAnswered\":%lu,\"refusedToSend\":%lu,\"cpu\":%.3f,\"idle\":%.3f,"
         "\"latencyUs\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}}\n",
         span, counts.sent - before.sent, counts.answered - before.answered,
         (double)(counts.answered - before.answered) / span, counts.wrong, counts.timedOut - before.timedOut,
         counts.late - before.late, counts.unexpected, counts.looseSent - before.looseSent,
         counts.looseAnswered - before.looseAnswered, counts.refusedToSend, busy,
         (double)(idle - measuredIdle) * 1e-9 / span, percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999),
         percentile(1));
  return 0;
}
