/* What can be known about a file: stat in its several forms. */
#include "kernel.h"

enum { DEVICE = 1, SECTOR = 512 };

/*
 * The image carries no times. All files are as old as the machine, so that a validator made of time and size is never
 * that of another image's file.
 */
static i64 fill(struct stat *stat, const struct node *node, u32 mode, u64 size) {
	static u64 boot_second;
	if (!boot_second) boot_second = (wall_clock() - now()) / NANOSECONDS;
	*stat = (struct stat){.dev = DEVICE, .nlink = 1, .mode = mode, .size = size, .blksize = PAGE};
	stat->ino = node ? node->inode : 0;
	stat->blocks = node ? ALIGN_UP(node->stored, SECTOR) / SECTOR : 0;
	stat->atime = stat->mtime = stat->ctime = boot_second;
	return 0;
}

static i64 stat_descriptor(int fd, struct stat *stat) {
	struct file *file = file_get(fd);
	if (!file) return -EBADF;
	u64 size = file->operations->size ? file->operations->size(file) : 0;
	return fill(stat, file->node, file->node ? file->node->mode : file->operations->mode, size);
}

static i64 stat_path(int directory, u64 path, u32 flags, struct stat *stat) {
	struct place place;
	char first = 0;
	if (flags & AT_EMPTY_PATH && (!path || get_user(first, path) == 0) && !first)
		return stat_descriptor(directory, stat);
	i64 result = path_find(directory, path, !(flags & AT_SYMLINK_NOFOLLOW), &place);
	return result < 0 ? result : fill(stat, place.node, place.mode, place.node ? place.node->size : 0);
}

static i64 put_stat(int directory, u64 path, u32 flags, u64 to) {
	struct stat stat;
	i64 result = stat_path(directory, path, flags, &stat);
	return result < 0 ? result : put_user(stat, to);
}

i64 sys_fstat(const u64 *a) { return put_stat(a[0], 0, AT_EMPTY_PATH, a[1]); }
i64 sys_newfstatat(const u64 *a) { return put_stat(a[0], a[1], a[3], a[2]); }

i64 sys_statx(const u64 *a) {
	struct stat stat;
	i64 result = stat_path(a[0], a[1], a[2], &stat);
	if (result < 0) return result;
	struct statx statx = {.mask = STATX_BASIC_STATS, .mode = stat.mode, .nlink = 1, .ino = stat.ino, .size = stat.size};
	statx.blocks = stat.blocks;
	statx.blksize = PAGE;
	statx.dev_minor = DEVICE;
	statx.atime.seconds = statx.mtime.seconds = statx.ctime.seconds = statx.btime.seconds = stat.mtime;
	return put_user(statx, a[4]);
}
