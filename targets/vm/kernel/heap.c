/*
 * Kernel objects in size classes. A class takes whole pages and never gives them back; what is bigger than the biggest
 * class is pages by itself. A free object carries a seal, so that freeing it twice or writing to it later is noticed.
 */
#include "kernel.h"

struct free_object {
	struct free_object *next;
	u64 seal;
};

static const u32 class_sizes[] = {32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048};
static struct free_object *classes[LENGTH(class_sizes)];

static u64 seal_of(const struct free_object *object) { return (u64)object ^ 0xf7ee0b1ec7f7ee0bUL; }

/* The index of the class, or LENGTH(class_sizes) for whole pages. */
static u32 class_of(size_t n) {
	u32 kind = 0;
	while (kind < LENGTH(class_sizes) && class_sizes[kind] < n) kind++;
	return kind;
}

static void object_push(u32 kind, void *memory) {
	struct free_object *object = memory;
	object->next = classes[kind];
	object->seal = seal_of(object);
	classes[kind] = object;
}

void *kmalloc(size_t n) {
	u32 kind = class_of(n);
	if (kind == LENGTH(class_sizes)) return page_alloc(page_order(n));
	char *page = classes[kind] ? NULL : page_alloc_dirty(0);
	for (u64 at = 0; page && at + class_sizes[kind] <= PAGE; at += class_sizes[kind]) object_push(kind, page + at);
	if (!classes[kind]) return NULL;
	struct free_object *object = classes[kind];
	ASSERT(object->seal == seal_of(object));
	classes[kind] = object->next;
	return memset(object, 0, class_sizes[kind]);
}

void kfree(void *object, size_t n) {
	u32 kind = class_of(n);
	if (!object) return;
	if (kind == LENGTH(class_sizes)) return page_free(object, page_order(n));
	ASSERT(((struct free_object *)object)->seal != seal_of(object));
	object_push(kind, object);
}
