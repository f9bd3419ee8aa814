/*
 * Paths: what a name stands for, and the calls that ask or open by name. "." and ".." are resolved in the text of the
 * path, before links are followed. Nothing can be created, so a missing file that was to be made is EROFS.
 */
#include "kernel.h"

static const char *working_path = "/";

/* Appends the components of a path to the `length` bytes of `to`, which is not terminated. False: too long. */
static bool append_components(const char *path, char *to, size_t *length, size_t size) {
	while (*path) {
		size_t n = 0;
		while (path[n] && path[n] != '/') n++;
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (*length && to[--*length] != '/')
				;
		} else if (n && !(n == 1 && path[0] == '.')) {
			if (*length + n + 2 > size) return false;
			to[(*length)++] = '/';
			memcpy(to + *length, path, n);
			*length += n;
		}
		path += path[n] ? n + 1 : n;
	}
	return true;
}

bool path_normalize(const char *directory, const char *path, char *to, size_t size) {
	size_t length = 0;
	if (*path != '/' && !append_components(directory, to, &length, size)) return false;
	if (!append_components(path, to, &length, size)) return false;
	if (!length) to[length++] = '/';
	to[length] = 0;
	return true;
}

/* Turns a path argument into an absolute path. Positive when it has to be a directory. */
static i64 path_from_user(int directory, u64 address, char *to) {
	char path[MAX_PATH];
	const char *start = working_path;
	i64 length = string_from_user(path, address, sizeof path);
	if (length <= 0) return length ? length : -ENOENT;
	if (path[0] != '/' && directory != AT_FDCWD) {
		struct file *file = file_get(directory);
		if (!file) return -EBADF;
		if (!node_is(file->node, S_IFDIR)) return -ENOTDIR;
		start = file->node->path;
	}
	return path_normalize(start, path, to, MAX_PATH) ? path[length - 1] == '/' : -ENAMETOOLONG;
}

i64 path_find(int directory, u64 path_address, bool follow, struct place *place) {
	i64 result = path_from_user(directory, path_address, place->path);
	if (result < 0) return result;
	bool own = follow && strcmp(place->path, "/proc/self/exe") == 0;
	place->node = own ? program_node : image_lookup(place->path, follow);
	if (place->node)
		place->mode = place->node->mode;
	else if (!special_exists(place->path, &place->mode))
		return -ENOENT;
	return result && (place->mode & S_IFMT) != S_IFDIR ? -ENOTDIR : 0;
}

i64 sys_openat(const u64 *a) {
	u32 flags = a[2];
	struct place place;
	i64 result = path_find(a[0], a[1], !(flags & O_NOFOLLOW), &place);
	if (result < 0) return result == -ENOENT && flags & O_CREAT ? -EROFS : result;
	bool directory = node_is(place.node, S_IFDIR);
	if (flags & O_CREAT && flags & O_EXCL) return -EEXIST;
	if ((place.mode & S_IFMT) == S_IFLNK) return -ELOOP;
	if (flags & O_DIRECTORY && !directory) return -ENOTDIR;
	if (place.node && flags & (O_ACCMODE | O_TRUNC)) return directory ? -EISDIR : -EROFS;
	if (!place.node) return special_open(place.path, flags);
	struct file *file = file_new(&image_operations, flags, 0);
	if (file) file->node = place.node;
	return file_install(file);
}

i64 sys_access(const u64 *a) {
	struct place place;
	i64 result = path_find(AT_FDCWD, a[0], true, &place);
	if (result < 0) return result;
	if (a[1] & W_OK && (place.node || !(place.mode & 0222))) return -EROFS;
	return a[1] & X_OK && !(place.mode & 0111) ? -EACCES : 0;
}

i64 sys_readlink(const u64 *a) {
	struct place place;
	i64 length = path_find(AT_FDCWD, a[0], false, &place);
	if (length < 0) return length;
	if ((i32)a[2] <= 0 || (place.mode & S_IFMT) != S_IFLNK) return -EINVAL;
	length = place.node ? image_read(place.node, 0, place.path, MAX_PATH)
			    : format(place.path, MAX_PATH, "%s", program_node->path);
	length = MIN(length, (i32)a[2]);
	return copy_to_user(a[1], place.path, length) < 0 ? -EFAULT : length;
}

i64 sys_getcwd(const u64 *a) {
	u64 size = strlen(working_path) + 1;
	if (a[1] < size) return -ERANGE;
	return copy_to_user(a[0], working_path, size) < 0 ? -EFAULT : (i64)size;
}

i64 sys_chdir(const u64 *a) {
	struct place place;
	i64 result = path_find(AT_FDCWD, a[0], true, &place);
	if (result == 0 && !node_is(place.node, S_IFDIR)) result = -ENOTDIR;
	if (result == 0) working_path = place.node->path;
	return result;
}
