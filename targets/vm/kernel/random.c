/*
 * Random numbers: ChaCha20 (RFC 8439) with fast key erasure. The state is one key. A request turns the key into a
 * stream whose first block is the next key, so what was given out cannot be computed from what is left.
 *
 * The key is seeded from the processor's generator, the time that memory accesses take, and all that the boot told.
 * None is trusted alone: each is absorbed, and a source that knows nothing of the key cannot take away from it.
 */
#include "kernel.h"

#define RESEED_BYTES       (1 * MIB)
#define RESEED_NANOSECONDS (60 * NANOSECONDS)
enum { JITTER_ROUNDS = 256, JITTER_ROUNDS_ALONE = 4096 }; /* alone: where the processor has no generator */

const char *random_seed_source;
static u32 key[8];
static u64 stirred; /* times of interrupts, for the next reseed */
static u64 bytes_since_seed, seeded_at;

static inline u32 rotate(u32 x, int n) { return x << n | x >> (32 - n); }

static inline __attribute__((always_inline)) void quarter_round(u32 *a, u32 *b, u32 *c, u32 *d) {
	*a += *b;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 12);
	*a += *b;
	*d = rotate(*d ^ *a, 8);
	*c += *d;
	*b = rotate(*b ^ *c, 7);
}

static void chacha_block(const u32 with[8], u64 counter, u64 nonce, u32 out[16]) {
	u32 in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	memcpy(in + 4, with, 32);
	memcpy(in + 12, &counter, 8);
	memcpy(in + 14, &nonce, 8);
	memcpy(out, in, sizeof in);
	for (int i = 0; i < 10; i++) {
		for (int j = 0; j < 4; j++) quarter_round(&out[j], &out[4 + j], &out[8 + j], &out[12 + j]);
		for (int j = 0; j < 4; j++)
			quarter_round(&out[j], &out[4 + (j + 1) % 4], &out[8 + (j + 2) % 4], &out[12 + (j + 3) % 4]);
	}
	for (int i = 0; i < 16; i++) out[i] += in[i];
}

/* Forgets a secret in a way that the compiler must keep. */
void wipe(void *secret, size_t n) {
	memset(secret, 0, n);
	asm volatile("" ::"r"(secret) : "memory");
}

void random_add(const void *entropy, size_t n) {
	const u8 *from = entropy;
	u32 block[16];
	do {
		size_t part = MIN(n, sizeof key);
		u8 *key_bytes = (u8 *)key;
		for (size_t i = 0; i < part; i++) key_bytes[i] ^= from[i];
		chacha_block(key, part, read_tsc(), block);
		memcpy(key, block, sizeof key);
		from += part;
		n -= part;
	} while (n);
	wipe(block, sizeof block);
}

void random_stir(void) { stirred = (stirred << 7 | stirred >> 57) ^ read_tsc(); }

/* True when 256 bits came that are not all the same. The instruction may fail for a while, or after a sleep for ever. */
static bool add_hardware(void) {
	u64 words[8];
	bool vary = false;
	u32 count = 0;
	for (u32 tries = 100; cpu.rdrand && count < LENGTH(words) && tries; tries--) {
		bool ok;
		asm volatile("rdrand %0" : "=r"(words[count]), "=@ccc"(ok));
		if (!ok) continue;
		vary |= words[count++] != words[0];
	}
	vary &= count == LENGTH(words);
	if (vary) random_add(words, sizeof words);
	wipe(words, sizeof words);
	return vary;
}

/* Caches, buses and the host's other work make the time of scattered memory accesses and device reads vary. */
static void add_jitter(u32 rounds) {
	static u8 field[16 * KIB];
	u64 times[8], position = read_tsc();
	for (u32 i = 0; i < rounds; i++) {
		for (int j = 0; j < 8; j++) {
			position = position * 6364136223846793005UL + 1442695040888963407UL;
			field[position >> 40 & (sizeof field - 1)] += (u8)position;
		}
		if (i % 64 == 0) in8(0x61); /* leaves the virtual machine, or at least the processor */
		position ^= times[i % LENGTH(times)] = read_tsc();
		if (i % LENGTH(times) == LENGTH(times) - 1) random_add(times, sizeof times);
	}
}

/* True when the processor's generator took part. */
static bool reseed(void) {
	bool hardware = add_hardware();
	random_add(&stirred, sizeof stirred);
	bytes_since_seed = 0;
	seeded_at = now();
	return hardware;
}

void random_init(void) {
	u64 date = wall_clock();
	random_add(&date, sizeof date);
	random_add(boot_info.map, boot_info.map_count * sizeof boot_info.map[0]);
	random_add(boot_info.command_line, strlen(boot_info.command_line));
	bool hardware = reseed();
	random_seed_source = hardware ? "rdrand" : "jitter";
	add_jitter(hardware ? JITTER_ROUNDS : JITTER_ROUNDS_ALONE);
}

void random_bytes(void *to, size_t n) {
	u32 block[16], stream_key[8];
	u8 *out = to;
	if (bytes_since_seed >= RESEED_BYTES || now() - seeded_at >= RESEED_NANOSECONDS) reseed();
	bytes_since_seed += n;

	/* The time as nonce costs nothing, and parts two machines that were copied from one. */
	u64 nonce = read_tsc();
	memcpy(stream_key, key, sizeof key);
	chacha_block(stream_key, 0, nonce, block);
	memcpy(key, block, sizeof key);
	for (u64 counter = 1, part; n; n -= part, out += part) {
		chacha_block(stream_key, counter++, nonce, block);
		part = MIN(n, sizeof block);
		memcpy(out, block, part);
	}
	wipe(block, sizeof block);
	wipe(stream_key, sizeof stream_key);
}

u64 random_u64(void) {
	u64 value;
	random_bytes(&value, sizeof value);
	return value;
}
