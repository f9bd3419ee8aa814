/* Regular files and directories of the image, opened. Both are read-only. */
#include "calls.h"
#include "kernel.h"

static bool is_directory(const struct file *file)
{
	return (file->node->mode & S_IFMT) == S_IFDIR;
}

/* How many bytes from the offset on lie behind each other in memory. */
static u64 contiguous(const struct node *node, u64 offset)
{
	return node->sparse ? PAGE - offset % PAGE : COPY_SLICE;
}

static i64 image_file_read(struct file *file, u64 to, size_t n, i64 position)
{
	struct node *node = file->node;
	u64 offset = position < 0 ? file->position : (u64)position;
	u64 done = 0;

	if (is_directory(file))
		return -EISDIR;
	if (offset >= node->size)
		return 0;
	n = MIN(n, node->size - offset);
	while (done < n) {
		u64 at = offset + done;
		u64 count = MIN(n - done, contiguous(node, at));

		if (copy_to_user(to + done, direct(image_page(node, at)), count) < 0)
			break;
		done += count;
		if (reschedule)
			schedule();
	}
	if (!done)
		return n ? -EFAULT : 0;
	if (position < 0)
		file->position = offset + done;
	return done;
}

static u64 image_file_size(struct file *file)
{
	return is_directory(file) ? 0 : file->node->size;
}

const struct file_operations image_operations = {
	.read = image_file_read,
	.size = image_file_size,
	.positioned = true,
};

/* The offset of a record is what to seek to for the one after it. */
static i64 put_entry(u64 to, const struct node *node, u64 room, u32 next)
{
	struct dirent64 entry;
	const char *name = node->path + strlen(node->path);
	const u64 head = __builtin_offsetof(struct dirent64, name);
	u64 length;

	while (name[-1] != '/')
		name--;
	length = ALIGN_UP(head + strlen(name) + 1, 8);
	if (length > room)
		return -EINVAL;
	entry.ino = node->inode;
	entry.offset = next;
	entry.length = length;
	entry.type = (node->mode & S_IFMT) >> 12;
	if (clear_user(to, length) < 0 || copy_to_user(to, &entry, head) < 0)
		return -EFAULT;
	return copy_to_user(to + head, name, strlen(name)) < 0 ? -EFAULT : (i64)length;
}

i64 sys_getdents64(const u64 *a)
{
	struct file *file = file_get(a[0]);
	u64 room = a[2];
	u64 done = 0;

	if (!file)
		return -EBADF;
	if (!file->node || !is_directory(file))
		return -ENOTDIR;
	while (file->position <= 0xffffffff) {
		u32 cursor = file->position;
		struct node *child = image_child(file->node, &cursor);
		i64 length;

		if (!child)
			break;
		length = put_entry(a[1] + done, child, room - done, cursor);
		if (length < 0)
			return done ? (i64)done : length;
		done += length;
		file->position = cursor;
	}
	return done;
}
