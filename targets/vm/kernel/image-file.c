/* Regular files and directories of the image, opened. Both are read-only. */
#include "kernel.h"

static i64 image_file_read(struct file *file, u64 to, size_t n, i64 position) {
	struct node *node = file->node;
	u64 offset = position, done = 0;
	if (node_is(node, S_IFDIR)) return -EISDIR;
	n = offset < node->size ? MIN(n, node->size - offset) : 0;
	while (done < n) {
		u64 at = offset + done;
		u64 contiguous = node->sparse ? PAGE - at % PAGE : COPY_SLICE;
		u64 count = MIN(n - done, contiguous);
		if (copy_to_user(to + done, direct(image_page(node, at)), count) < 0) break;
		done += count;
		if (reschedule) schedule();
	}
	return done || !n ? (i64)done : -EFAULT;
}

static u64 image_file_size(struct file *file) { return node_is(file->node, S_IFDIR) ? 0 : file->node->size; }

const struct file_operations image_operations = {.read = image_file_read, .size = image_file_size, .positioned = true};

/* A record's offset is what to seek to for the one after it. */
static i64 put_entry(u64 to, const struct node *node, u64 room, u32 next) {
	const u64 head = sizeof(struct dirent64);
	const char *name = node->path + strlen(node->path);
	while (name[-1] != '/') name--;
	u64 length = ALIGN_UP(head + strlen(name) + 1, 8);
	struct dirent64 entry = {.ino = node->inode, .offset = next, .length = length, .type = node->mode >> 12};
	if (length > room) return -EINVAL;
	if (copy_to_user(to, zero_page, length) < 0 || copy_to_user(to, &entry, head) < 0 ||
	    copy_to_user(to + head, name, strlen(name)) < 0)
		return -EFAULT;
	return length;
}

i64 sys_getdents64(const u64 *a) {
	struct file *file = file_get(a[0]);
	u64 done = 0;
	if (!file) return -EBADF;
	if (!node_is(file->node, S_IFDIR)) return -ENOTDIR;
	while (file->position <= 0xffffffff) {
		u32 cursor = file->position;
		struct node *child = image_child(file->node, &cursor);
		i64 length = child ? put_entry(a[1] + done, child, a[2] - done, cursor) : 0;
		if (length <= 0) return done ? (i64)done : length;
		done += length;
		file->position = cursor;
	}
	return done;
}
