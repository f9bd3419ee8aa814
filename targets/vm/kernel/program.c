/*
 * Starts the one program: /boot/argv says which and with which arguments, /boot/environ with which environment. Where
 * things come to lie is random; what lies on the first stack is as Linux puts it.
 */
#include "kernel.h"

#define STACK_SIZE   (8 * MIB)
#define STACK_GUARD  MIB
#define STACK_SPREAD (16 * GIB)
/* Position-independent programs lie from here on. */
#define PROGRAM_BASE   0x555500000000UL
#define PROGRAM_SPREAD (1024 * GIB)
#define MAX_TEXT       (64 * KIB)
#define MAX_STRINGS    480
#define MAX_ARGUMENT   4096

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

static void fact(struct first_stack *stack, u64 type, u64 value) {
	word(stack, type);
	word(stack, value);
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

/* Copies an argument with @heap@ and @semi@ replaced: the length, without the end. */
static size_t substitute(char *to, size_t size, const char *from) {
	size_t length = 0;
	while (*from && length + 24 < size) {
		bool heap = !strncmp(from, "@heap@", 6);
		if (!heap && strncmp(from, "@semi@", 6)) {
			to[length++] = *from++;
			continue;
		}
		length += (size_t)format(to + length, size - length, "%lu", heap ? heap_limit() : semi_space());
		from += 6;
	}
	if (*from) fail(EXIT_BAD_IMAGE, "[kernel] cannot start: an argument is longer than %u bytes", (u32)size);
	to[length] = 0;
	return length;
}

/* Pushes the NUL-terminated strings of the file and notes where each lies, and a 0. Returns how many there are. */
static u32 push_strings(struct first_stack *stack, const char *path) {
	struct node *file = image_lookup(path);
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
		push(stack, one, substitute(one, MAX_ARGUMENT, text + at) + 1);
		word(stack, stack->pointer);
	}
	word(stack, 0);
	kfree(text, MAX_TEXT);
	kfree(one, MAX_ARGUMENT);
	return count;
}

static void push_facts(struct first_stack *stack, const struct loaded *program, const struct loaded *interpreter,
		       const char *path) {
	u8 random[16];
	push(stack, path, strlen(path) + 1);
	u64 execfn = stack->pointer;
	push(stack, "x86_64", 7);
	u64 platform = stack->pointer;
	random_bytes(random, sizeof random);
	push(stack, random, sizeof random);
	fact(stack, AT_RANDOM, stack->pointer);
	fact(stack, AT_EXECFN, execfn);
	fact(stack, AT_PLATFORM, platform);
	fact(stack, AT_PHDR, program->headers);
	fact(stack, AT_PHENT, 56);
	fact(stack, AT_PHNUM, program->header_count);
	fact(stack, AT_BASE, interpreter->bias);
	fact(stack, AT_ENTRY, program->entry);
	fact(stack, AT_FLAGS, 0);
	fact(stack, AT_PAGESZ, PAGE);
	fact(stack, AT_UID, 0);
	fact(stack, AT_EUID, 0);
	fact(stack, AT_GID, 0);
	fact(stack, AT_EGID, 0);
	fact(stack, AT_SECURE, 0);
	fact(stack, AT_CLKTCK, 100);
	fact(stack, AT_HWCAP, cpuid(1, 0).edx);
	fact(stack, AT_HWCAP2, cpu.fsgsbase ? 2 : 0);
	fact(stack, AT_MINSIGSTKSZ, extended_state_size + 1024);
	fact(stack, AT_NULL, 0);
}

static u64 make_stack(void) {
	u64 top = ALIGN_DOWN(USER_TOP - random_u64() % STACK_SPREAD, PAGE), bottom = top - STACK_SIZE;
	if (area_insert(bottom, top, PROT_READ | PROT_WRITE, AREA_STACK, NULL, 0) ||
	    area_insert(bottom - STACK_GUARD, bottom, PROT_NONE, AREA_STACK, NULL, 0))
		fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the program's stack");
	return top - random_u64() % (PAGE / 16) * 16;
}

static void load(const char *path, u64 base, struct loaded *out) {
	struct node *file = image_lookup(path);
	if (!file || (file->mode & S_IFMT) != S_IFREG)
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: %s is not in the image", path);
	i64 error = elf_load(file, base, out);
	if (error)
		fail(EXIT_BAD_IMAGE, "[kernel] cannot start: %s %s", path,
		     error == -ENOMEM ? "does not fit into memory" : "is no program that this kernel loads");
}

static void program_path(char *path, size_t size) {
	struct node *file = image_lookup("/boot/argv");
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
	thread_start(thread);
	schedule(); /* what runs here is no thread, and never comes back */
	panic("the boot stack runs again");
}
