/* Random calls with random arguments, many of which get past the first check. */
#include "worker.h"
#include "../calls.h"

/* xorshift64*, seeded through splitmix64 */
u64 next(struct worker *w) {
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 0x2545f4914f6cdd1dUL;
}

u64 mix(u64 x) {
	x += 0x9e3779b97f4a7c15UL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9UL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebUL;
	return (x ^ x >> 31) | 1;
}

u64 below(struct worker *w, u64 bound) { return next(w) % bound; }

u64 arena_address(struct worker *w) {
	u64 span = below(w, 2) ? 16 * PAGE : ARENA_SIZE;
	u64 at = ARENA + below(w, span);
	switch (below(w, 4)) {
	case 0: return ALIGN_DOWN(at, PAGE);
	case 1: return ALIGN_UP(at, PAGE) - below(w, 20);
	case 2: return at;
	default: return ALIGN_DOWN(at, 8);
	}
}

u64 bad_address(struct worker *w) {
	switch (below(w, 11)) {
	case 0: return 0;
	case 1: return below(w, 2 * PAGE);
	case 2: return USER_TOP - below(w, 2 * PAGE);
	case 3: return USER_TOP + below(w, 2 * PAGE);
	case 4: return 0x0000800000000000UL + below(w, 1UL << 46);                            /* not canonical */
	case 5: return 0xffff800000000000UL + below(w, 512 * MIB);                            /* all of RAM */
	case 6: return 0xffffffff80100000UL + below(w, 512 * KIB);                            /* the kernel */
	case 7: return 0xffffc90000000000UL + below(w, 16 * MIB);                             /* its stacks */
	case 8: return (u64)__executable_start + below(w, (u64)(etext - __executable_start)); /* read-only */
	case 9: return -below(w, PAGE);
	default: return next(w);
	}
}

u64 any_address(struct worker *w) { return below(w, 4) ? arena_address(w) : bad_address(w); }

u64 any_length(struct worker *w) {
	switch (below(w, 10)) {
	case 0: return 0;
	case 1:
	case 2: return below(w, 64);
	case 3:
	case 4: return below(w, 3 * PAGE);
	case 5: return PAGE * below(w, 64);
	case 6: return PAGE - 2 + below(w, 4);
	case 7: return 1UL << below(w, 64);
	case 8: return -below(w, 2 * PAGE);
	default: return below(w, ARENA_SIZE);
	}
}

static u64 any_file(struct worker *w) {
	static const u64 odd[] = {~0UL, 1023, 1024, 1025, 0x7fffffff, 0x80000000, (u64)AT_FDCWD};
	return below(w, 8) ? below(w, 24) : odd[below(w, LENGTH_OF(odd))];
}

static u64 any_bits(struct worker *w) {
	u64 bits = 0;
	for (u64 n = below(w, 4); n; n--) bits |= 1UL << below(w, below(w, 8) ? 24 : 64);
	return bits;
}

u64 anything(struct worker *w) {
	switch (below(w, 8)) {
	case 0:
	case 1: return any_address(w);
	case 2: return any_length(w);
	case 3: return any_file(w);
	case 4: return any_bits(w);
	case 5: return below(w, 16);
	case 6: return -below(w, 16);
	default: return next(w);
	}
}

static u64 any_path(struct worker *w) {
	static const char *const paths[] = {
		"/",
		"",
		".",
		"..",
		"/boot",
		"/boot/argv",
		"argv",
		"/bin/fuzz",
		"/bin/fuzz/",
		"//bin//fuzz",
		"/nothing",
		"/link",
		"/loop",
		"/proc/self/maps",
		"/proc/self/stat",
		"/proc/self/status",
		"/proc/meminfo",
		"/proc/cpuinfo",
		"/proc/self/exe",
		"/proc/cmdline",
		"/proc",
		"/dev/null",
		"/dev/zero",
		"/dev/urandom",
		"/dev/window/info",
		"/dev/window",
		"/dev/window/interrupt",
		"/dev/window/xen",
		"/boot/../../../boot/./argv",
		"/bin/fuzz/below/a/file",
	};
	const char *path = paths[below(w, LENGTH_OF(paths))];
	u64 length;
	switch (below(w, 8)) {
	case 0: return any_address(w);
	case 1: /* too long, or nearly */
		length = PATH_MAX - 4 + below(w, 8);
		memset(w->path, below(w, 2) ? '/' : 'a', length);
		break;
	default: length = length_of(path); memcpy(w->path, path, length);
	}
	w->path[length] = 0;
	return (u64)w->path;
}

/* A little memory of the worker's own, filled with anything. */
u64 own_words(struct worker *w) {
	for (u32 i = 0; i < LENGTH_OF(w->words); i++) w->words[i] = anything(w);
	return (u64)w->words;
}

static u64 short_time(struct worker *w) {
	if (!below(w, 4)) return any_address(w);
	w->words[0] = below(w, 16) ? 0 : anything(w);
	w->words[1] = below(w, 16) ? below(w, 2000000) : anything(w);
	return (u64)w->words;
}

/* With SIGUSR1 always open: it ends calls that would wait for ever. */
u64 open_mask(struct worker *w) {
	if (!below(w, 8)) return -below(w, PAGE);
	w->words[32] = next(w) & ~(1UL << (SIGUSR1 - 1));
	return (u64)&w->words[32];
}

/* Arguments that get past the first check: one letter each. Calls without an entry get anything. */
static const struct shape {
	u32 number;
	const char *letters;
} shapes[] = {
	{0, "fpl"},   {1, "fpl"},    {2, "sg"},      {3, "f"},      {4, "sp"},     {5, "fp"},       {6, "sp"},
	{7, "pci"},   {8, "fli"},    {9, "PLrmfL"},  {10, "PLr"},   {11, "PL"},    {16, "fqp"},     {17, "fpcL"},
	{18, "fpcL"}, {19, "fwc"},   {20, "fwc"},    {21, "si"},    {25, "PLLcP"}, {28, "PLi"},     {35, "tp"},
	{72, "fic"},  {79, "pl"},    {80, "s"},      {89, "spl"},   {96, "pp"},    {98, "zp"},      {99, "p"},
	{157, "ip"},  {201, "p"},    {202, "Witpi"}, {204, "z8p"},  {217, "Dpl"},  {228, "ip"},     {229, "ip"},
	{230, "zzt"}, {232, "Epci"}, {233, "Ecfw"},  {257, "Dsg"},  {262, "Dspg"}, {281, "Epci08"}, {290, "ig"},
	{291, "G"},   {293, "pg"},   {295, "fwcL"},  {296, "fwcL"}, {302, "ziww"}, {318, "plz"},    {332, "Dsgip"},
};

static u64 argument(struct worker *w, char letter) {
	static const u64 map_kinds[] = {MAP_PRIVATE, MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS,
					MAP_SHARED};
	static const u64 requests[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX};
	u64 usual = below(w, 8);
	switch (letter) {
	case 'f': /* a file */ return any_file(w);
	case 'E': /* one that epoll_create made not long ago, or a directory */
		return usual ? w->epoll_file : any_file(w);
	case 'D': return usual > 3 ? (u64)AT_FDCWD : usual ? w->directory : any_file(w);
	case 'p': return any_address(w);
	case 'P': return usual ? ALIGN_DOWN(arena_address(w), PAGE) : any_address(w);
	case 'W': return usual ? ARENA + 4 * below(w, 8) : any_address(w);
	case 'l': return any_length(w);
	case 'L': return usual ? PAGE * below(w, 24) : any_length(w);
	case 'c': /* a count */ return usual ? below(w, 5) : any_length(w);
	case 's': return any_path(w);
	case 'g': return usual > 3 ? 0 : usual > 1 ? any_bits(w) : O_CLOEXEC | O_NONBLOCK;
	case 'G': return usual ? O_CLOEXEC * below(w, 2) : any_bits(w);
	case 'i': return below(w, 20);
	case 'z': return usual ? below(w, 2) : anything(w);
	case 'r': return usual ? below(w, 8) : anything(w);
	case 'w': return own_words(w);
	case 't': return short_time(w);
	case 'm': return map_kinds[below(w, LENGTH_OF(map_kinds))] | (below(w, 2) ? MAP_FIXED : 0);
	case 'q': return usual ? requests[below(w, LENGTH_OF(requests))] : anything(w);
	case '0': return 0;
	case '8': return 8;
	case '2': return 24;
	default: return anything(w);
	}
}

static void choose_arguments(struct worker *w) {
	for (u32 i = 0; i < 6; i++) w->a[i] = anything(w);
	if (!below(w, 5)) return;
	for (u32 i = 0; i < LENGTH_OF(shapes); i++)
		if (shapes[i].number == w->number)
			for (u32 k = 0; k < 6 && shapes[i].letters[k]; k++) w->a[k] = argument(w, shapes[i].letters[k]);
}

/* Numbers that stand in calls.h, handled or not. */
static const u16 known[] = {
#define NUMBER(number, name)                number,
#define ANSWER_NUMBER(number, name, result) number,
	SYSTEM_CALLS(NUMBER, ANSWER_NUMBER)};

static u64 choose_number(struct worker *w) {
	switch (below(w, 64)) {
	case 0: return next(w);
	case 1:
	case 2: return below(w, 600);
	case 3 ... 30: return shapes[below(w, LENGTH_OF(shapes))].number;
	default: return known[below(w, LENGTH_OF(known))];
	}
}

/* Which call comes next, and with what. */
void choose_call(struct worker *w) {
	w->number = choose_number(w);
	choose_arguments(w);
}

/* Puts plausible words where a pointer leads. The arena may have a hole there: then the step ends here. */
void plant_words(struct worker *w) {
	for (u32 i = 0; i < 6; i++) {
		u64 *at = (u64 *)w->a[i];
		if (w->a[i] < ARENA || w->a[i] >= ARENA + ARENA_SIZE || below(w, 3)) continue;
		for (u64 n = below(w, 12); n; n--) *(volatile u64 *)at++ = anything(w);
	}
}
