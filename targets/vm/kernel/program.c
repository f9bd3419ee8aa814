/*
 * Starts the one program: /boot/argv says which and with which arguments, /boot/environ with which environment. Where
 * things come to lie is random; what lies on the first stack is as Linux puts it.
 */
#include "kernel.h"

#define STACK_SIZE     (8 * MIB)
#define STACK_SPREAD   (16 * GIB)
#define PROGRAM_BASE   0x555500000000UL /* position-independent programs lie from here on */
#define PROGRAM_SPREAD (1024 * GIB)
enum { STACK_GUARD = MIB, MAX_TEXT = 64 * KIB, MAX_STRINGS = 480, MAX_ARGUMENT = 4096 };

struct node *program_node;

struct first_stack {
	u64 pointer;
	u64 words[MAX_STRINGS + 64];
	u32 count;
};

static void push(struct first_stack *stack, const void *bytes, size_t n) {
	stack->pointer -= n;
	if (n > STACK_SIZE / 2 || copy_to_user(stack->pointer, bytes, n))
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: the arguments do not fit on the stack");
}

static void word(struct first_stack *stack, u64 value) {
	ASSERT(stack->count < LENGTH(stack->words));
	stack->words[stack->count++] = value;
}

/*
 * What V8 may use of the free memory, in MiB. Its own tables, the libraries' data and buffers need a fixed part and a
 * part that grows with the work: a quarter. So it is V8 that runs out first, and says so.
 */
static u64 heap_limit(void) {
	u64 free = pages_free * PAGE / MIB;
	return MAX(free, 54) / 4 * 3 - 24;
}

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

/* Pushes the NUL-terminated strings of the file and notes where each lies, and a 0. Returns how many there are. */
static u32 push_strings(struct first_stack *stack, const char *path) {
	struct node *file = image_lookup(path, true);
	char *text = kmalloc(MAX_TEXT), *one = kmalloc(MAX_ARGUMENT);
	u32 count = 0;
	if (!text || !one) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the arguments");
	if (!file || file->size > MAX_TEXT)
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: %s is %s", path, file ? "too long" : "not in the image");
	u64 length = (u64)image_read(file, 0, text, MAX_TEXT);
	if (length && text[length - 1])
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: the last string of %s has no end", path);
	for (u64 at = 0; at < length; at += strlen(text + at) + 1) {
		if (++count > MAX_STRINGS / 2)
			fail(EXIT_BAD_IMAGE, "[kernel] cannot start: more than %u strings in %s", MAX_STRINGS / 2,
			     path);
		push(stack, one, substitute(one, text + at));
		word(stack, stack->pointer);
	}
	word(stack, 0);
	kfree(text, MAX_TEXT);
	kfree(one, MAX_ARGUMENT);
	return count;
}

static void push_facts(struct first_stack *stack, const struct loaded *program, const struct loaded *interpreter,
		       const char *path) {
	u64 random[2] = {random_u64(), random_u64()};
	push(stack, path, strlen(path) + 1);
	u64 execfn = stack->pointer;
	push(stack, "x86_64", 7);
	u64 platform = stack->pointer;
	push(stack, random, sizeof random);
	const u64 facts[][2] = {
		{AT_RANDOM, stack->pointer},
		{AT_EXECFN, execfn},
		{AT_PLATFORM, platform},
		{AT_PHDR, program->headers},
		{AT_PHENT, 56},
		{AT_PHNUM, program->header_count},
		{AT_BASE, interpreter->bias},
		{AT_ENTRY, program->entry},
		{AT_PAGESZ, PAGE},
		{AT_SECURE, 0},
		{AT_CLKTCK, 100},
		{AT_HWCAP, cpuid(1, 0).edx},
		{AT_MINSIGSTKSZ, extended_state_size + 1024},
		{AT_NULL, 0},
	};
	for (u32 i = 0; i < LENGTH(facts) * 2; i++) word(stack, facts[i / 2][i % 2]);
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
	if (!file || (file->mode & S_IFMT) != S_IFREG)
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: %s is not in the image", path);
	i64 error = elf_load(file, base, out);
	if (error)
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: %s %s", path,
		     error == -ENOMEM ? "does not fit into memory" : "is no program that this kernel loads");
}

static void program_path(char *path, size_t size) {
	struct node *file = image_lookup("/boot/argv", true);
	i64 length = file ? image_read(file, 0, path, size) : 0;
	if (length <= 0 || strnlen(path, (size_t)length) == (size_t)length)
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: /boot/argv names no program");
}

void program_start(void) {
	struct first_stack *stack = kmalloc(sizeof *stack);
	struct thread *thread = thread_new();
	struct loaded program, interpreter = {0};
	char path[256];
	if (!stack || !thread) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the first thread");
	program_path(path, sizeof path);
	load(path, PROGRAM_BASE + random_u64() % PROGRAM_SPREAD, &program);
	if (program.interpreter[0]) load(program.interpreter, 0, &interpreter);
	stack->pointer = make_stack();
	word(stack, 0);
	stack->words[0] = push_strings(stack, "/boot/argv");
	push_strings(stack, "/boot/environ");
	push_facts(stack, &program, &interpreter, path);
	/* The words end at a multiple of 16 below the strings, and argc's address must be one. */
	stack->pointer = ALIGN_DOWN(stack->pointer, 16) - (stack->count & 1) * 8;
	push(stack, stack->words, stack->count * sizeof stack->words[0]);
	*thread_frame(thread) = (struct trap_frame){
		.rip = interpreter.entry ? interpreter.entry : program.entry,
		.rsp = stack->pointer,
		.cs = USER_CODE,
		.ss = USER_DATA,
		.rflags = RFLAGS_IF | RFLAGS_FIXED,
	};
	kfree(stack, sizeof *stack);
	program_node = image_lookup(path, true);
	thread_wake(thread);
	schedule(); /* what runs here is no thread, and never comes back */
	panic("the boot stack runs again");
}
