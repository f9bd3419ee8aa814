/*
 * Waiting for many files: epoll.
 *
 * An item is one file in one set. A program has a few dozen of them: they are in one list, which every call walks. What
 * was delivered goes to its end, so that all have their turn however few a call asks for.
 *
 * The signal masks of epoll_pwait are not heeded: libuv gives one only to be interrupted less often.
 */
#include "kernel.h"

enum { MAX_ITEMS = 4 * MAX_FILES, ALWAYS = EPOLLERR | EPOLLHUP, EVENT_BITS = 0xffff };

struct item {
	struct item *next;
	struct file *set, *file;
	u32 events;    /* ALWAYS included; 0: a one-shot that has been delivered */
	bool happened; /* the file had an event since it was delivered, or found not ready: for EPOLLET */
	u64 data;
};

static struct item *items, **items_end = &items;
static u32 item_count;
static const struct file_operations epoll_operations = {.mode = 0600};

static struct item *unlink(struct item **link) {
	struct item *item = *link;
	*link = item->next;
	if (!*link) items_end = link;
	return item;
}

static void append(struct item *item) {
	item->next = NULL;
	*items_end = item;
	items_end = &item->next;
}

static i64 item_free(struct item **link) {
	kfree(unlink(link), sizeof(struct item));
	item_count--;
	return 0;
}

void epoll_forget(struct file *file) {
	for (struct item **link = &items; *link;)
		if ((*link)->file == file || (*link)->set == file)
			item_free(link);
		else
			link = &(*link)->next;
}

void file_event(struct file *file) {
	for (struct item *item = items; item; item = item->next) {
		if (item->file != file) continue;
		item->happened = true;
		wake(item->set);
	}
	wake(file);
}

i64 sys_epoll_create1(const u64 *a) {
	return a[0] & ~(u64)O_CLOEXEC ? -EINVAL : file_install(file_new(&epoll_operations, O_RDWR, 0));
}

static i64 item_add(struct file *set, struct file *file) {
	if (!file->operations->poll) return -EPERM;
	struct item *item = item_count < MAX_ITEMS ? kmalloc(sizeof *item) : NULL;
	if (!item) return item_count < MAX_ITEMS ? -ENOMEM : -ENOSPC;
	*item = (struct item){.set = set, .file = file};
	append(item);
	item_count++;
	return 0;
}

i64 sys_epoll_ctl(const u64 *a) {
	struct file *set = file_get(a[0]), *file = file_get(a[2]);
	struct epoll_event event = {0};
	struct item **link = &items;
	if (!set || !file) return -EBADF;
	if (set->operations != &epoll_operations || file == set) return -EINVAL;
	if (a[1] != EPOLL_CTL_DEL && get_user(event, a[3]) < 0) return -EFAULT;
	while (*link && ((*link)->set != set || (*link)->file != file)) link = &(*link)->next;
	if (a[1] < EPOLL_CTL_ADD || a[1] > EPOLL_CTL_MOD) return -EINVAL;
	if (a[1] == EPOLL_CTL_ADD ? *link != NULL : !*link) return *link ? -EEXIST : -ENOENT;
	if (a[1] == EPOLL_CTL_DEL) return item_free(link);
	i64 result = *link ? 0 : item_add(set, file);
	if (result < 0) return result;
	/* New terms: what is ready already will cause no event, so a waiting thread looks at once. */
	(*link)->events = event.events | ALWAYS;
	(*link)->data = event.data;
	(*link)->happened = true;
	wake(set);
	return 0;
}

static u32 item_poll(struct item *item) {
	if (!item->events || (item->events & EPOLLET && !item->happened)) return 0;
	u32 ready = file_poll(item->file) & item->events & EVENT_BITS;
	if (!ready || item->events & EPOLLET) item->happened = false;
	return ready;
}

static i64 collect(const struct file *set, u64 to, int max) {
	struct item **link = &items;
	int n = 0;
	for (u32 left = item_count; left && n < max; left--) {
		struct item *item = *link;
		struct epoll_event event = {.events = item->set == set ? item_poll(item) : 0, .data = item->data};
		if (!event.events) {
			link = &item->next;
			continue;
		}
		if (put_user(event, to + n * sizeof event) < 0) return n ? n : -EFAULT;
		n++;
		if (item->events & EPOLLONESHOT) item->events = 0;
		append(unlink(link));
	}
	return n;
}

i64 sys_epoll_pwait(const u64 *a) {
	struct file *set = file_get(a[0]);
	i32 milliseconds = a[3];
	u64 deadline = milliseconds < 0 ? FOREVER : deadline_after(milliseconds * (NANOSECONDS / 1000));
	i64 result;
	if (!set) return -EBADF;
	if (set->operations != &epoll_operations || (int)a[2] <= 0) return -EINVAL;
	set->references++;
	while (!(result = collect(set, a[1], a[2])) && milliseconds && !block_on(set, deadline)) {
		if (!current->interrupted) continue;
		result = -EINTR;
		break;
	}
	file_release(set);
	return result;
}

i64 sys_epoll_wait(const u64 *a) { return sys_epoll_pwait(a); }
