/*
 * Starts the one program: /boot/argv says which and with which arguments, /boot/environ with which environment. Where
 * things come to lie is random; what lies on the first stack is as Linux puts it.
 */
#include "kernel.h"

#define STACK_SIZE     (8 * MIB)
#define STACK_SPREAD   (16 * GIB)
#define PROGRAM_BASE   0x555500000000UL /* position-independent programs lie from here on */
#define PROGRAM_SPREAD (1024 * GIB)
enum { STACK_GUARD = MIB, MAX_TEXT = 64 * KIB, MAX_WORDS = 512, MAX_ARGUMENT = 4096 };

struct node *program_node;

/* The first stack: where its strings end, downwards, and what comes below them in the end. */
static u64 pointer, words[MAX_WORDS];
static u32 word_count;

static void push(const void *bytes, size_t n) {
	pointer -= n;
	if (copy_to_user(pointer, bytes, n)) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the first stack");
}

static void word(u64 value) {
	if (word_count == MAX_WORDS)
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: more than %u arguments and variables", MAX_WORDS);
	words[word_count++] = value;
}

/*
 * What V8 may use of the free memory, in MiB. Its own tables, the libraries' data and buffers need a fixed part and a
 * part that grows with the work: a quarter. So it is V8 that runs out first, and says so.
 */
static u64 heap_limit(void) { return MAX(pages_free * PAGE / MIB, 54) / 4 * 3 - 24; }

/* The size of one of the young generation's three spaces, in MiB. */
static u64 semi_space(void) { return MAX(1, MIN(16, pages_free * PAGE / MIB / 32)); }

/* Copies an argument with @heap@ and @semi@ replaced: the length, with the end. */
static size_t substitute(char *to, const char *from) {
	size_t length = 0;
	while (*from && length + 24 < MAX_ARGUMENT) {
		bool heap = !strncmp(from, "@heap@", 6);
		if (heap || !strncmp(from, "@semi@", 6)) {
			length += (size_t)format(to + length, 24, "%lu", heap ? heap_limit() : semi_space());
			from += 6;
		} else {
			to[length++] = *from++;
		}
	}
	if (*from) fail(EXIT_BAD_IMAGE, "[kernel] cannot start: an argument is longer than %u bytes", MAX_ARGUMENT);
	to[length] = 0;
	return length + 1;
}

/* The NUL-terminated strings of a file: their bytes and how many these are. */
static char *read_strings(const char *path, u64 *length) {
	struct node *file = image_lookup(path, true);
	char *text = kmalloc(MAX_TEXT);
	if (!text) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the arguments");
	*length = file ? (u64)image_read(file, 0, text, MAX_TEXT) : 0;
	if (!file || file->size > MAX_TEXT || (*length && text[*length - 1]))
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: %s is missing, too long or without an end", path);
	return text;
}

/* Pushes the strings and notes where each lies, and a 0. Returns how many there are. */
static u32 push_strings(const char *text, u64 length) {
	static char one[MAX_ARGUMENT];
	u32 count = 0;
	for (u64 at = 0; at < length; at += strlen(text + at) + 1, count++) {
		push(one, substitute(one, text + at));
		word(pointer);
	}
	word(0);
	return count;
}

static void push_facts(const struct loaded *program, const struct loaded *interpreter) {
	u64 random[2] = {random_u64(), random_u64()};
	push(random, sizeof random);
	/* clang-format off */
	const u64 facts[] = {
		AT_RANDOM, pointer, AT_PHDR, program->headers, AT_PHENT, 56, AT_PHNUM, program->header_count,
		AT_BASE, interpreter->bias, AT_ENTRY, program->entry, AT_PAGESZ, PAGE, AT_SECURE, 0,
		AT_MINSIGSTKSZ, extended_state_size + 1024, AT_NULL, 0,
	};
	/* clang-format on */
	for (u32 i = 0; i < LENGTH(facts); i++) word(facts[i]);
}

static u64 make_stack(void) {
	u64 top = ALIGN_DOWN(USER_TOP - random_u64() % STACK_SPREAD, PAGE), bottom = top - STACK_SIZE;
	if (area_insert(bottom, top, PROT_READ | PROT_WRITE, AREA_STACK, NULL, 0) ||
	    area_insert(bottom - STACK_GUARD, bottom, PROT_NONE, AREA_STACK, NULL, 0))
		fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the program's stack");
	return top - random_u64() % (PAGE / 16) * 16;
}

static void load(const char *path, u64 base, struct loaded *out) {
	struct node *file = image_lookup(path, true);
	if (!node_is(file, S_IFREG)) fail(EXIT_BAD_IMAGE, "[kernel] cannot start: %s is not in the image", path);
	i64 error = elf_load(file, base, out);
	if (error)
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: %s %s", path,
		     error == -ENOMEM ? "does not fit into memory" : "is no program that this kernel loads");
}

void program_start(void) {
	struct thread *thread = thread_new();
	struct loaded program, interpreter = {0};
	u64 argv_length, environ_length;
	char *argv = read_strings("/boot/argv", &argv_length),
	     *environ = read_strings("/boot/environ", &environ_length);
	if (!argv_length) fail(EXIT_BAD_IMAGE, "[kernel] cannot start: /boot/argv names no program");
	if (!thread) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the first thread");
	load(argv, PROGRAM_BASE + random_u64() % PROGRAM_SPREAD, &program);
	if (program.interpreter[0]) load(program.interpreter, 0, &interpreter);
	pointer = make_stack();
	word(0);
	words[0] = push_strings(argv, argv_length);
	push_strings(environ, environ_length);
	push_facts(&program, &interpreter);
	/* The words end at a multiple of 16 below the strings, and argc's address must be one. */
	pointer = ALIGN_DOWN(pointer, 16) - (word_count & 1) * 8;
	push(words, word_count * sizeof words[0]);
	struct trap_frame *frame = thread_frame(thread);
	*frame = (struct trap_frame){.cs = USER_CODE, .ss = USER_DATA, .rflags = RFLAGS_IF | RFLAGS_FIXED};
	frame->rip = interpreter.entry ? interpreter.entry : program.entry;
	frame->rsp = pointer;
	program_node = image_lookup(argv, true);
	kfree(argv, MAX_TEXT);
	kfree(environ, MAX_TEXT);
	thread_wake(thread);
	schedule(); /* what runs here is no thread, and never comes back */
	panic("the boot stack runs again");
}
