// Queries as Ethernet frames over AF_XDP, in copy mode: the generator's kernel neither routes nor looks up sockets, so
// that its core reaches rates at which the servers differ. Every IPv4 UDP datagram that arrives is taken for an answer,
// whatever else arrives goes on to the kernel.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ringSize = 4096, frameSize = 4096, frameCount = 2 * ringSize, headers = 42, lowestPort = 20000 };

struct ring {
  uint32_t *producer, *consumer, *flags;
  void *entries;
};

static int socketFd, linkFd;
static uint8_t *memory;
static struct ring receive, transmit, fill, completion;
static uint32_t transmitted, received, filled, completed;
static uint16_t lengths[maxBatch];
static uint16_t firstPort, sourceCount, port;
static uint32_t pseudoSum;
static uint64_t sequence;

static int bpf(int command, union bpf_attr *attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static struct ring mapRing(const struct xdp_ring_offset *offset, size_t entry, off_t page) {
  size_t size = offset->desc + ringSize * entry;
  uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, socketFd, page);
  if (at == MAP_FAILED) fail("mapping a ring: %s", strerror(errno));
  return (struct ring){(uint32_t *)(at + offset->producer), (uint32_t *)(at + offset->consumer),
                       (uint32_t *)(at + offset->flags), at + offset->desc};
}

// IPv4 with UDP goes to the socket of the queue, all else to the kernel.
static int loadProgram(int map) {
  struct bpf_insn code[] = {
      // r6 = context; r2 = data; r3 = its end
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1},
      {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 0},
      {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 3, .src_reg = 1, .off = 4},
      // shorter than the headers: pass
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 4, .src_reg = 2},
      {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 4, .imm = headers},
      {.code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = 4, .src_reg = 3, .off = 10},
      // EtherType and protocol
      {.code = BPF_LDX | BPF_MEM | BPF_H, .dst_reg = 4, .src_reg = 2, .off = 12},
      {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 4, .off = 8, .imm = 0x0008},
      {.code = BPF_LDX | BPF_MEM | BPF_B, .dst_reg = 4, .src_reg = 2, .off = 23},
      {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 4, .off = 6, .imm = IPPROTO_UDP},
      // bpf_redirect_map(map, queue, XDP_PASS)
      {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 6, .off = 16},
      {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
      {0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_CALL, .imm = 51},
      {.code = BPF_JMP | BPF_EXIT},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT},
  };
  static char log[8192];
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP,
                         .insns = (uint64_t)(uintptr_t)code,
                         .insn_cnt = sizeof code / sizeof *code,
                         .license = (uint64_t)(uintptr_t)"ISC",
                         .log_buf = (uint64_t)(uintptr_t)log,
                         .log_size = sizeof log,
                         .log_level = 1,
                         .expected_attach_type = BPF_XDP};
  int program = bpf(BPF_PROG_LOAD, &load);
  if (program < 0) fail("loading the XDP program: %s\n%s", strerror(errno), log);
  return program;
}

static void readMac(const char *text, uint8_t *into) {
  unsigned octets[6];
  if (text == NULL || sscanf(text, "%x:%x:%x:%x:%x:%x", octets, octets + 1, octets + 2, octets + 3, octets + 4,
                             octets + 5) != 6)
    fail("%s is no Ethernet address", text == NULL ? "nothing" : text);
  for (int at = 0; at < 6; at++) into[at] = (uint8_t)octets[at];
}

void openXdp(const struct options *options) {
  unsigned interface = if_nametoindex(options->device);
  if (interface == 0) fail("there is no interface %s", options->device);
  union bpf_attr create = {.map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4, .max_entries = 1};
  int map = bpf(BPF_MAP_CREATE, &create);
  if (map < 0) fail("creating a map: %s", strerror(errno));
  int program = loadProgram(map);
  union bpf_attr attach = {.link_create = {.prog_fd = (uint32_t)program,
                                           .target_ifindex = interface,
                                           .attach_type = BPF_XDP,
                                           .flags = XDP_FLAGS_DRV_MODE}};
  // The generator before it may still be on its way out.
  for (int attempt = 0; (linkFd = bpf(BPF_LINK_CREATE, &attach)) < 0 && attempt < 200; attempt++) usleep(10000);
  if (linkFd < 0) fail("attaching to %s: %s", options->device, strerror(errno));

  socketFd = socket(AF_XDP, SOCK_RAW, 0);
  if (socketFd < 0) fail("AF_XDP: %s", strerror(errno));
  memory = mmap(NULL, (size_t)frameCount * frameSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                -1, 0);
  if (memory == MAP_FAILED) fail("no memory for frames");
  struct xdp_umem_reg area = {
      .addr = (uint64_t)(uintptr_t)memory, .len = (uint64_t)frameCount * frameSize, .chunk_size = frameSize};
  uint32_t size = ringSize;
  if (setsockopt(socketFd, SOL_XDP, XDP_UMEM_REG, &area, sizeof area) != 0 ||
      setsockopt(socketFd, SOL_XDP, XDP_UMEM_FILL_RING, &size, sizeof size) != 0 ||
      setsockopt(socketFd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof size) != 0 ||
      setsockopt(socketFd, SOL_XDP, XDP_RX_RING, &size, sizeof size) != 0 ||
      setsockopt(socketFd, SOL_XDP, XDP_TX_RING, &size, sizeof size) != 0)
    fail("AF_XDP rings: %s", strerror(errno));
  struct xdp_mmap_offsets offsets;
  socklen_t length = sizeof offsets;
  if (getsockopt(socketFd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) != 0) fail("offsets: %s", strerror(errno));
  receive = mapRing(&offsets.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
  transmit = mapRing(&offsets.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING);
  fill = mapRing(&offsets.fr, sizeof(uint64_t), (off_t)XDP_UMEM_PGOFF_FILL_RING);
  completion = mapRing(&offsets.cr, sizeof(uint64_t), (off_t)XDP_UMEM_PGOFF_COMPLETION_RING);
  // How many frames one call sends; kernels before 6.18 send 32.
  uint32_t budget = 1024;
  setsockopt(socketFd, SOL_XDP, 9 /* XDP_MAX_TX_SKB_BUDGET */, &budget, sizeof budget);
  struct sockaddr_xdp address = {
      .sxdp_family = AF_XDP, .sxdp_ifindex = interface, .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP};
  // Closing is asynchronous: the queue may be the last one's for a moment.
  int bound = -1;
  for (int attempt = 0; attempt < 200; attempt++) {
    bound = bind(socketFd, (struct sockaddr *)&address, sizeof address);
    if (bound == 0 || errno != EBUSY) break;
    usleep(10000);
  }
  if (bound != 0) fail("binding to %s: %s", options->device, strerror(errno));
  uint32_t key = 0, value = (uint32_t)socketFd;
  union bpf_attr update = {
      .map_fd = (uint32_t)map, .key = (uint64_t)(uintptr_t)&key, .value = (uint64_t)(uintptr_t)&value};
  if (bpf(BPF_MAP_UPDATE_ELEM, &update) != 0) fail("the socket's map: %s", strerror(errno));

  uint8_t header[headers] = {[12] = 8, [14] = 0x45, [22] = 64, [23] = IPPROTO_UDP};
  readMac(options->serverMac, header);
  readMac(options->sourceMac, header + 6);
  if (options->source == NULL || inet_pton(AF_INET, options->source, header + 26) != 1) fail("--source is no address");
  if (inet_pton(AF_INET, options->server, header + 30) != 1) fail("--server %s is no address", options->server);
  header[36] = (uint8_t)(options->port >> 8);
  header[37] = (uint8_t)options->port;
  port = (uint16_t)options->port;
  sourceCount = (uint16_t)(options->sources < 1 ? 1 : options->sources > 8192 ? 8192 : options->sources);
  firstPort = (uint16_t)(lowestPort + (uint32_t)getpid() % 32 * 1024);
  pseudoSum = sumOf(header + 26, 8) + IPPROTO_UDP + port;
  // The first half of the frames is for sending, each used in turn; the kernel fills the others.
  for (uint32_t frame = 0; frame < ringSize; frame++) memcpy(memory + (size_t)frame * frameSize, header, headers);
  for (uint32_t frame = 0; frame < ringSize; frame++)
    ((uint64_t *)fill.entries)[frame] = (uint64_t)(ringSize + frame) * frameSize;
  filled = ringSize;
  __atomic_store_n(fill.producer, filled, __ATOMIC_RELEASE);
}

static uint8_t *frameOf(int index) {
  return memory + (size_t)((transmitted + (uint32_t)index) % ringSize) * frameSize;
}

static uint8_t *slot(int index) { return frameOf(index) + headers; }

static void set(int index, const struct query *query, uint16_t length, uint16_t sum) {
  (void)query;
  uint8_t *frame = frameOf(index);
  uint16_t source = (uint16_t)(firstPort + sequence++ % sourceCount), udp = (uint16_t)(8 + length);
  uint16_t total = (uint16_t)(20 + udp);
  frame[16] = (uint8_t)(total >> 8);
  frame[17] = (uint8_t)total;
  frame[24] = frame[25] = 0;
  uint16_t check = (uint16_t)~sumOf(frame + 14, 20);
  frame[24] = (uint8_t)(check >> 8);
  frame[25] = (uint8_t)check;
  frame[34] = (uint8_t)(source >> 8);
  frame[35] = (uint8_t)source;
  frame[38] = (uint8_t)(udp >> 8);
  frame[39] = (uint8_t)udp;
  uint32_t whole = pseudoSum + source + 2u * udp + sum;
  while (whole >> 16) whole = (whole & 0xffff) + (whole >> 16);
  check = whole == 0xffff ? 0xffff : (uint16_t)~whole;
  frame[40] = (uint8_t)(check >> 8);
  frame[41] = (uint8_t)check;
  lengths[index] = length;
}

static void kick(void) {
  while (sendto(socketFd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno == EAGAIN) continue;
}

static int flush(int count) {
  uint32_t done = __atomic_load_n(completion.producer, __ATOMIC_ACQUIRE);
  completed += done - *completion.consumer;
  __atomic_store_n(completion.consumer, done, __ATOMIC_RELEASE);
  uint32_t room = ringSize - (transmitted - completed);
  if ((uint32_t)count > room) count = (int)room;
  struct xdp_desc *entries = transmit.entries;
  for (int index = 0; index < count; index++) {
    uint32_t at = (transmitted + (uint32_t)index) % ringSize;
    entries[at] = (struct xdp_desc){.addr = (uint64_t)at * frameSize, .len = (uint32_t)(headers + lengths[index])};
  }
  transmitted += (uint32_t)count;
  __atomic_store_n(transmit.producer, transmitted, __ATOMIC_RELEASE);
  kick();
  return count;
}

static int collect(void (*arrived)(const uint8_t *message, size_t length)) {
  if (__atomic_load_n(transmit.consumer, __ATOMIC_ACQUIRE) != transmitted) kick();
  uint32_t until = __atomic_load_n(receive.producer, __ATOMIC_ACQUIRE);
  int count = (int)(until - received);
  const struct xdp_desc *entries = receive.entries;
  for (; received != until; received++) {
    struct xdp_desc entry = entries[received % ringSize];
    const uint8_t *frame = memory + entry.addr;
    // Answers only, whole: from the server's port, without IP options.
    size_t udp = (size_t)(frame[38] << 8 | frame[39]);
    bool whole = udp >= 8 && 34 + udp <= entry.len && frame[14] == 0x45;
    // What a generator before this one asked for may still come.
    bool own = (uint16_t)((frame[36] << 8 | frame[37]) - firstPort) < sourceCount;
    if (whole && own && (frame[34] << 8 | frame[35]) == port) arrived(frame + headers, udp - 8);
    ((uint64_t *)fill.entries)[filled++ % ringSize] = entry.addr / frameSize * frameSize;
  }
  if (count > 0) {
    __atomic_store_n(receive.consumer, received, __ATOMIC_RELEASE);
    __atomic_store_n(fill.producer, filled, __ATOMIC_RELEASE);
  }
  return count;
}

static void closeAll(void) {
  close(linkFd);
  close(socketFd);
}

const struct transport xdpTransport = {slot, set, flush, collect, closeAll};
