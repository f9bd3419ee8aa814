/*
 * The image: a read-only tree of files behind one table, which the builder made and the loader put into RAM.
 *
 * Offsets are bytes from the image's start. Everything that the table says is checked here, once; the checksum tells a
 * damaged image from a strange one. Contents are not read before they are used.
 */
#include "kernel.h"

#define MAGIC     "TESSERAE"
#define VERSION   1
#define MAX_NODES (1u << 20)
#define MAX_LINKS 8
#define SPARSE    1u

struct image_header {
	char magic[8];
	u32 version, entries;
	u64 size;
	u32 strings, checksum;
	u8 zero[32];
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
	u32 table[256], crc = ~0u;
	for (u32 i = 0; i < LENGTH(table); i++) {
		table[i] = i;
		for (u32 bit = 0; bit < 8; bit++) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	for (u64 i = 0; i < n; i++) crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
	return ~crc;
}

static void refuse(const char *path, const char *what) {
	fail(EXIT_BAD_IMAGE, "[kernel] bad image: %s: %s", path, what);
}

static const struct image_header *check_header(void) {
	const struct image_header *header = direct(boot_info.image);
	if (!boot_info.image_size)
		fail(EXIT_BAD_IMAGE, "[kernel] no image: the kernel needs one as its first module (QEMU: -initrd)");
	if (boot_info.image & (PAGE - 1))
		fail(EXIT_BAD_IMAGE, "[kernel] bad image: it lies at %lx, which is no page", boot_info.image);
	if (boot_info.image_size < sizeof *header || memcmp(header->magic, MAGIC, sizeof header->magic))
		fail(EXIT_BAD_IMAGE, "[kernel] bad image: it does not begin with \"%s\"", MAGIC);
	if (header->version != VERSION)
		fail(EXIT_BAD_IMAGE, "[kernel] bad image: format %u, this kernel reads %u", header->version, VERSION);
	if (header->size > boot_info.image_size)
		fail(EXIT_BAD_IMAGE, "[kernel] image truncated: %lu of %lu bytes", boot_info.image_size, header->size);
	u64 table = header->entries * sizeof(struct image_record) + header->strings;
	if (header->size & (PAGE - 1) || header->size < PAGE || table > header->size - sizeof *header ||
	    !header->entries || header->entries > MAX_NODES || !header->strings)
		refuse("header", "its sizes make no sense");
	if (crc32((const u8 *)(header + 1), table) != header->checksum) refuse("header", "wrong checksum");
	return header;
}

/* The parent is the directory that the path says. */
static bool check_parent(u32 i) {
	const struct node *node = &nodes[i];
	if (i == 0) return !strcmp(node->path, "/") && (node->mode & S_IFMT) == S_IFDIR && node->parent == 0;
	if (node->parent >= i || strcmp(nodes[i - 1].path, node->path) >= 0) return false;
	const struct node *parent = &nodes[node->parent];
	size_t length = node->parent ? strlen(parent->path) : 0;
	if ((parent->mode & S_IFMT) != S_IFDIR || strncmp(parent->path, node->path, length) ||
	    node->path[length] != '/')
		return false;
	for (const char *name = node->path + length + 1; *name; name++) {
		if (*name == '/') return false;
	}
	return node->path[length + 1] != 0;
}

/* The contents lie inside the image, and so does every page of a sparse file. */
static bool check_contents(const struct node *node, u64 offset) {
	u64 pages = ALIGN_UP(node->size, PAGE) / PAGE;
	u64 stored = node->sparse ? pages * sizeof(u32) : node->size;
	const u32 *table = direct(node->physical);
	if (offset & (PAGE - 1) || offset > image_pages * PAGE || node->size > RAM_LIMIT ||
	    ALIGN_UP(stored, PAGE) > image_pages * PAGE - offset)
		return false;
	for (u64 i = 0; node->sparse && i < pages; i++) {
		if (table[i] >= image_pages) return false;
	}
	return true;
}

static void read_record(u32 i, const struct image_record *record, const char *strings, u32 length) {
	struct node *node = &nodes[i];
	u32 kind = record->mode & S_IFMT;
	if (record->path >= length || strnlen(strings + record->path, MAX_PATH) == MAX_PATH)
		refuse("table", "a path is too long or outside of it");
	*node = (struct node){
	    .path = strings + record->path,
	    .mode = record->mode,
	    .inode = i + 1,
	    .parent = record->parent,
	    .sparse = record->flags & SPARSE,
	    .size = record->size,
	    .physical = boot_info.image + record->offset,
	    .stored = record->stored,
	};
	if (!check_parent(i)) refuse(node->path, "it is in no directory, or not sorted");
	if (kind != S_IFDIR && kind != S_IFREG && kind != S_IFLNK)
		refuse(node->path, "neither file nor directory nor link");
	if (kind == S_IFLNK && (node->size >= MAX_PATH || node->sparse)) refuse(node->path, "a link too long");
	if (kind == S_IFDIR)
		node->size = node->physical = 0;
	else if (!check_contents(node, record->offset))
		refuse(node->path, "its contents are outside of the image");
}

void image_init(void) {
	const struct image_header *header = check_header();
	const struct image_record *records = (const void *)(header + 1);
	const char *strings = (const char *)(records + header->entries);
	node_count = header->entries;
	image_pages = header->size / PAGE;
	if (strings[header->strings - 1]) refuse("table", "its last path has no end");
	nodes = kmalloc(node_count * sizeof *nodes);
	if (!nodes) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the image's %u files", node_count);
	for (u32 i = 0; i < node_count; i++) read_record(i, &records[i], strings, header->strings);
}

u64 image_page(struct node *node, u64 offset) {
	u64 page = offset / PAGE;
	if (!node->sparse) return node->physical + offset;
	page = ((const u32 *)direct(node->physical))[page];
	return (page ? boot_info.image + page * PAGE : (u64)zero_page - KERNEL_BASE) + (offset & (PAGE - 1));
}

i64 image_read(struct node *node, u64 offset, void *to, size_t n) {
	size_t done = 0;
	if (offset >= node->size) return 0;
	n = MIN(n, node->size - offset);
	while (done < n) {
		u64 at = offset + done, inside = at & (PAGE - 1);
		size_t part = MIN(PAGE - inside, n - done);
		memcpy((char *)to + done, direct(image_page(node, at)), part);
		done += part;
	}
	return (i64)n;
}

/* By the exact path of `length` bytes, no link followed. */
static struct node *find(const char *path, size_t length) {
	u32 low = 0, high = node_count;
	while (low < high) {
		u32 middle = (low + high) / 2;
		int order = strncmp(nodes[middle].path, path, length);
		if (!order && nodes[middle].path[length]) order = 1;
		if (!order) return &nodes[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * The length of the path's shortest beginning that is a link, the whole path only if `last`; 0 when there is none. Most
 * paths exist just so, without a link: that is found out first.
 */
static size_t find_link(const char *path, bool last) {
	for (size_t length = 1; path[length - 1]; length++) {
		struct node *node;
		if (path[length] != '/' && path[length]) continue;
		node = find(path, length);
		if (!node) return 0;
		if ((node->mode & S_IFMT) == S_IFLNK) return path[length] || last ? length : 0;
	}
	return 0;
}

static struct node *lookup(const char *path, bool follow) {
	static char resolved[MAX_PATH], joined[MAX_PATH]; /* no thread gives way in here */
	struct node *node = find(path, strlen(path));
	for (u32 links = 0; !node || (follow && (node->mode & S_IFMT) == S_IFLNK); links++) {
		size_t length = find_link(path, follow), rest = strlen(path + length);
		struct node *link = length ? find(path, length) : NULL;
		if (!link || links == MAX_LINKS || link->size + rest >= MAX_PATH) return NULL;
		image_read(link, 0, joined, link->size);
		memcpy(joined + link->size, path + length, rest + 1);
		if (!path_normalize(nodes[link->parent].path, joined, resolved, sizeof resolved)) return NULL;
		path = resolved;
		node = find(path, strlen(path));
	}
	return node;
}

struct node *image_lookup(const char *absolute_path) {
	return lookup(absolute_path, true);
}

struct node *image_lookup_link(const char *absolute_path) {
	return lookup(absolute_path, false);
}

struct node *image_child(struct node *directory, u32 *cursor) {
	u32 parent = directory->inode - 1;
	for (u32 i = MAX(*cursor, parent + 1); i < node_count; i++) {
		*cursor = i + 1;
		if (nodes[i].parent == parent) return &nodes[i];
	}
	return NULL;
}
