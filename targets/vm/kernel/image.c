/*
 * The image: a read-only tree of files behind one table, which the builder made and the loader put into RAM.
 *
 * Offsets are bytes from the image's start. Everything that the table says is checked here, once; the checksum tells a
 * damaged image from a strange one. Contents are not read before they are used.
 */
#include "kernel.h"

#define MAGIC "TESSERAE"
enum { VERSION = 1, SPARSE = 1, MAX_NODES = 1 << 20, MAX_LINKS = 8 };

struct image_header {
	char magic[8];
	u32 version, entries;
	u64 size;
	u32 strings, checksum, zero[8];
};
struct image_record {
	u32 path, mode, parent, flags;
	u64 offset, size, stored, zero;
};
_Static_assert(sizeof(struct image_header) == 64 && sizeof(struct image_record) == 48, "the image's format");

static struct node *nodes;
static u32 node_count;
static u64 image_pages;

static u32 crc32(const u8 *bytes, u64 n) {
	u32 crc = ~0u;
	for (; n; n--) {
		crc ^= *bytes++;
		for (u32 bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

#define REFUSE_IF(condition, ...) \
	if (condition) fail(EXIT_BAD_IMAGE, "[kernel] " __VA_ARGS__)

static const struct image_header *check_header(void) {
	const struct image_header *header = direct(boot_info.image);
	u64 size = boot_info.image_size;
	REFUSE_IF(!size, "no image: the kernel needs one as its first module (QEMU: -initrd)");
	REFUSE_IF(boot_info.image & (PAGE - 1), "bad image: it lies at %lx, which is no page", boot_info.image);
	REFUSE_IF(size < sizeof *header || memcmp(header->magic, MAGIC, sizeof header->magic),
		  "bad image: it does not begin with \"%s\"", MAGIC);
	REFUSE_IF(header->version != VERSION, "bad image: format %u, this kernel reads %u", header->version, VERSION);
	REFUSE_IF(header->size > size, "image truncated: %lu of %lu bytes", size, header->size);
	u64 table = header->entries * sizeof(struct image_record) + header->strings;
	REFUSE_IF(header->size & (PAGE - 1) || header->size < PAGE || table > header->size - sizeof *header ||
			  !header->entries || header->entries > MAX_NODES || !header->strings,
		  "bad image: its sizes make no sense");
	REFUSE_IF(crc32((const u8 *)(header + 1), table) != header->checksum, "bad image: wrong checksum");
	return header;
}

/* The parent is the directory that the path says. */
static bool check_parent(u32 i) {
	const struct node *node = &nodes[i];
	if (i == 0) return !strcmp(node->path, "/") && node_is(node, S_IFDIR) && node->parent == 0;
	if (node->parent >= i || strcmp(nodes[i - 1].path, node->path) >= 0) return false;
	const struct node *parent = &nodes[node->parent];
	size_t length = node->parent ? strlen(parent->path) : 0;
	if (!node_is(parent, S_IFDIR) || strncmp(parent->path, node->path, length)) return false;
	const char *name = node->path + length;
	if (*name++ != '/' || !*name) return false;
	while (*name && *name != '/') name++;
	return !*name;
}

/* The contents lie inside the image, and so does every page of a sparse file. */
static bool check_contents(const struct node *node, u64 offset) {
	u64 pages = ALIGN_UP(node->size, PAGE) / PAGE;
	u64 stored = node->sparse ? pages * sizeof(u32) : node->size;
	const u32 *table = direct(node->physical);
	if (offset & (PAGE - 1) || offset > image_pages * PAGE || node->size > RAM_LIMIT ||
	    ALIGN_UP(stored, PAGE) > image_pages * PAGE - offset)
		return false;
	for (u64 i = 0; node->sparse && i < pages; i++)
		if (table[i] >= image_pages) return false;
	return true;
}

static void read_record(u32 i, const struct image_record *record, const char *strings, u32 length) {
	struct node *node = &nodes[i];
	REFUSE_IF(record->path >= length || strnlen(strings + record->path, MAX_PATH) == MAX_PATH,
		  "bad image: a path is too long or outside of the table");
	node->path = strings + record->path;
	node->mode = record->mode;
	node->inode = i + 1;
	node->parent = record->parent;
	node->sparse = record->flags & SPARSE;
	node->size = record->size;
	node->stored = record->stored;
	node->physical = boot_info.image + record->offset;
	bool directory = node_is(node, S_IFDIR), link = node_is(node, S_IFLNK);
	REFUSE_IF(!check_parent(i), "bad image: %s: it is in no directory, or not sorted", node->path);
	REFUSE_IF(!directory && !link && !node_is(node, S_IFREG), "bad image: %s: neither file nor directory nor link",
		  node->path);
	REFUSE_IF(link && (node->size >= MAX_PATH || node->sparse), "bad image: %s: a link too long", node->path);
	if (directory) node->size = node->physical = node->sparse = 0;
	REFUSE_IF(!directory && !check_contents(node, record->offset),
		  "bad image: %s: its contents are outside of the image", node->path);
}

void image_init(void) {
	const struct image_header *header = check_header();
	const struct image_record *records = (const void *)(header + 1);
	const char *strings = (const char *)(records + header->entries);
	node_count = header->entries;
	image_pages = header->size / PAGE;
	REFUSE_IF(strings[header->strings - 1], "bad image: its last path has no end");
	nodes = kmalloc(node_count * sizeof *nodes);
	if (!nodes) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the image's %u files", node_count);
	for (u32 i = 0; i < node_count; i++) read_record(i, &records[i], strings, header->strings);
}

u64 image_page(struct node *node, u64 offset) {
	if (!node->sparse) return node->physical + offset;
	u32 page = ((const u32 *)direct(node->physical))[offset / PAGE];
	return (page ? boot_info.image + page * PAGE : (u64)zero_page - KERNEL_BASE) + offset % PAGE;
}

i64 image_read(struct node *node, u64 offset, void *to, size_t n) {
	size_t length = offset < node->size ? MIN(n, node->size - offset) : 0;
	for (size_t done = 0, part; done < length; done += part) {
		part = MIN(PAGE - (offset + done) % PAGE, length - done);
		memcpy((char *)to + done, direct(image_page(node, offset + done)), part);
	}
	return (i64)length;
}

/* By the exact path of `length` bytes, no link followed. */
static struct node *find(const char *path, size_t length) {
	u32 low = 0, high = node_count;
	while (low < high) {
		u32 middle = (low + high) / 2;
		int order = strncmp(nodes[middle].path, path, length);
		if (!order && !nodes[middle].path[length]) return &nodes[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The path's shortest beginning that is a link and has more behind it: NULL when there is none. */
static struct node *find_link(const char *path, size_t *length) {
	for (*length = 1; path[*length - 1] && path[*length]; ++*length) {
		struct node *node = path[*length] == '/' ? find(path, *length) : NULL;
		if (path[*length] == '/' && (!node || node_is(node, S_IFLNK))) return node;
	}
	return NULL;
}

struct node *image_lookup(const char *path, bool follow) {
	static char resolved[MAX_PATH], joined[MAX_PATH]; /* no thread gives way in here */
	for (u32 links = 0; links <= MAX_LINKS; links++) {
		/* Most paths exist just so, without a link: that is found out first. */
		size_t length = strlen(path);
		struct node *node = find(path, length);
		if (node && !(follow && node_is(node, S_IFLNK))) return node;
		if (!node) node = find_link(path, &length);
		size_t rest = strlen(path + length);
		if (!node || node->size + rest >= MAX_PATH) return NULL;
		image_read(node, 0, joined, node->size);
		memcpy(joined + node->size, path + length, rest + 1);
		if (!path_normalize(nodes[node->parent].path, joined, resolved, sizeof resolved)) return NULL;
		path = resolved;
	}
	return NULL;
}

struct node *image_child(struct node *directory, u32 *cursor) {
	u32 parent = directory->inode - 1;
	for (u32 i = MAX(*cursor, parent + 1); i < node_count; i++) {
		*cursor = i + 1;
		if (nodes[i].parent == parent) return &nodes[i];
	}
	return NULL;
}
