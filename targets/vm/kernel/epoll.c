/*
 * Waiting for many files: epoll and poll.
 *
 * An item is one file in one set. It is in two lists for as long as it exists, its set's and its file's watchers, and
 * in the set's ready list when an event may have made its file ready: file_event() puts it there, so that a wait looks
 * at nothing else. What is found not ready drops out; what is ready and level-triggered goes to the end of the list.
 *
 * A set may watch another that watches none, and no more: that bounds the depth of events and rules out circles.
 */
#include "calls.h"
#include "kernel.h"

#define MAX_ITEMS  MAX_FILES
#define ALWAYS     (EPOLLERR | EPOLLHUP)
#define EVENT_BITS 0xffffu

struct set;
struct epoll_item {
	struct epoll_item *next, **link;             /* in the set */
	struct epoll_item *watch_next, **watch_link; /* of the file */
	struct epoll_item *ready_next;
	bool queued;
	struct set *set;
	struct file *file;
	int fd;
	u32 events; /* ALWAYS included; 0: a one-shot that has been delivered */
	u64 data;
};
struct set {
	struct file *file;
	struct epoll_item *items;
	u32 count, nested; /* items; those that are sets */
	struct epoll_item *ready, **ready_end;
};

static char poll_event; /* channel of poll() */
static u32 pollers;     /* threads that sleep there */

static void queue(struct epoll_item *item) {
	item->queued = true;
	item->ready_next = NULL;
	*item->set->ready_end = item;
	item->set->ready_end = &item->ready_next;
}

static struct epoll_item *take(struct set *set) {
	struct epoll_item *item = set->ready;
	set->ready = item->ready_next;
	if (!set->ready) set->ready_end = &set->ready;
	item->queued = false;
	return item;
}

static u32 item_poll(const struct epoll_item *item) {
	return item->events ? file_poll(item->file) & item->events & EVENT_BITS : 0;
}

static u32 epoll_poll(struct file *file) {
	struct set *set = file->state;
	while (set->ready && !item_poll(set->ready)) take(set);
	return set->ready ? EPOLLIN : 0;
}

static void epoll_close(struct file *file);
static const struct file_operations epoll_operations = {.poll = epoll_poll, .close = epoll_close, .mode = 0600};

static struct set *set_of(const struct file *file) {
	return file->operations == &epoll_operations ? file->state : NULL;
}

static void item_free(struct epoll_item *item) {
	struct set *set = item->set;
	struct epoll_item **at = &set->ready;
	while (item->queued && *at != item) at = &(*at)->ready_next;
	if (item->queued) *at = item->ready_next;
	if (set->ready_end == &item->ready_next) set->ready_end = at;
	*item->link = item->next;
	if (item->next) item->next->link = item->link;
	*item->watch_link = item->watch_next;
	if (item->watch_next) item->watch_next->watch_link = item->watch_link;
	set->count--;
	set->nested -= set_of(item->file) != NULL;
	kfree(item, sizeof *item);
}

static void epoll_close(struct file *file) {
	struct set *set = file->state;
	while (set->items) item_free(set->items);
	kfree(set, sizeof *set);
}

void epoll_forget(struct file *file) {
	while (file->watchers) item_free(file->watchers);
}

void epoll_event(struct file *file) {
	for (struct epoll_item *item = file->watchers; item; item = item->watch_next) {
		if (item->queued || !item->events) continue;
		queue(item);
		file_event(item->set->file);
	}
	if (pollers) wake(&poll_event);
}

static i64 epoll_open(u32 flags) {
	struct set *set = kmalloc(sizeof *set);
	struct file *file = set ? file_new(&epoll_operations, O_RDWR) : NULL;
	if (!file) {
		kfree(set, sizeof *set);
		return -ENOMEM;
	}
	set->file = file;
	set->ready_end = &set->ready;
	file->state = set;
	return file_install(file, 0, flags & O_CLOEXEC);
}

/* Takes new terms and looks at once: what is ready already will cause no event. */
static i64 item_change(struct epoll_item *item, const struct epoll_event *event) {
	item->events = event->events | ALWAYS;
	item->data = event->data;
	if (!item->queued && item_poll(item)) {
		queue(item);
		file_event(item->set->file);
	}
	return 0;
}

static i64 item_add(struct set *set, struct file *file, int fd, const struct epoll_event *event) {
	struct set *other = set_of(file);
	if (!file->operations->poll) return -EPERM;
	if (other && (other->nested || set->file->watchers)) return -ELOOP;
	if (set->count == MAX_ITEMS) return -ENOSPC;
	struct epoll_item *item = kmalloc(sizeof *item);
	if (!item) return -ENOMEM;
	*item = (struct epoll_item){.set = set, .file = file, .fd = fd};
	item->next = set->items;
	item->link = &set->items;
	if (item->next) item->next->link = &item->next;
	set->items = item;
	item->watch_next = file->watchers;
	item->watch_link = &file->watchers;
	if (item->watch_next) item->watch_next->watch_link = &item->watch_next;
	file->watchers = item;
	set->count++;
	set->nested += other != NULL;
	return item_change(item, event);
}

i64 sys_epoll_ctl(const u64 *a) {
	struct file *set_file = file_get(a[0]), *file = file_get(a[2]);
	struct epoll_event event = {0};
	if (!set_file || !file) return -EBADF;
	struct set *set = set_of(set_file);
	if (!set || file == set_file) return -EINVAL;
	if (a[1] != EPOLL_CTL_DEL && get_user(event, a[3]) < 0) return -EFAULT;
	struct epoll_item *item = file->watchers;
	while (item && !(item->set == set && item->fd == (int)a[2])) item = item->watch_next;
	if (a[1] == EPOLL_CTL_ADD) return item ? -EEXIST : item_add(set, file, a[2], &event);
	if (a[1] != EPOLL_CTL_DEL && a[1] != EPOLL_CTL_MOD) return -EINVAL;
	if (!item) return -ENOENT;
	if (a[1] == EPOLL_CTL_MOD) return item_change(item, &event);
	item_free(item);
	return 0;
}

/* Delivers what is ready, each item at most once. */
static i64 collect(struct set *set, u64 to, int max) {
	struct epoll_item *again = NULL; /* the first that went back to the end of the list */
	int n = 0;
	while (n < max && set->ready && set->ready != again) {
		struct epoll_item *item = take(set);
		struct epoll_event event = {.events = item_poll(item), .data = item->data};
		if (!event.events) continue;
		if (put_user(event, to + n * sizeof event) < 0) {
			queue(item);
			return n ? n : -EFAULT;
		}
		n++;
		if (item->events & EPOLLONESHOT) {
			item->events = 0;
		} else if (!(item->events & EPOLLET)) {
			queue(item);
			again = again ? again : item;
		}
	}
	return n;
}

/* A timeout is a count of milliseconds, for ever if negative, or the address of a timespec. Deadline 0: do not wait. */
static i64 read_timeout(u64 *deadline, u64 timeout, bool is_timespec) {
	u64 nanoseconds = MAX((i32)timeout, 0) * (NANOSECONDS / 1000);
	i64 result = is_timespec && timeout ? timespec_from_user(&nanoseconds, timeout) : 0;
	if (is_timespec ? !timeout : (i32)timeout < 0)
		*deadline = FOREVER;
	else
		*deadline = nanoseconds ? deadline_after(nanoseconds) : 0;
	return result;
}

static i64 epoll_sleep(const u64 *a, bool is_timespec, u64 mask, u64 mask_size) {
	struct file *file = file_hold(a[0]);
	u64 deadline;
	i64 result = -EINVAL;
	if (!file) return -EBADF;
	if (set_of(file) && (int)a[2] > 0) result = read_timeout(&deadline, a[3], is_timespec);
	if (result == 0) result = signal_mask_for_call(mask, mask_size);
	while (result == 0) {
		result = collect(file->state, a[1], a[2]);
		if (result || !deadline || block_on(file, deadline)) break;
		result = current->interrupted ? -EINTR : 0;
	}
	file_release(file);
	return result;
}

i64 sys_epoll_create(const u64 *a) { return (int)a[0] > 0 ? epoll_open(0) : -EINVAL; }
i64 sys_epoll_create1(const u64 *a) { return a[0] & ~(u64)O_CLOEXEC ? -EINVAL : epoll_open(a[0]); }
i64 sys_epoll_wait(const u64 *a) { return epoll_sleep(a, false, 0, 0); }
i64 sys_epoll_pwait(const u64 *a) { return epoll_sleep(a, false, a[4], a[5]); }
i64 sys_epoll_pwait2(const u64 *a) { return epoll_sleep(a, true, a[4], a[5]); }

static i64 poll_once(u64 fds, u64 count) {
	i64 ready = 0;
	for (u64 i = 0; i < count; i++) {
		struct pollfd entry;
		if (get_user(entry, fds + i * sizeof entry) < 0) return -EFAULT;
		struct file *file = file_get(entry.fd);
		entry.revents = entry.fd < 0 ? 0 : POLLNVAL;
		if (file) entry.revents = file_poll(file) & ((u16)entry.events | ALWAYS);
		if (put_user(entry, fds + i * sizeof entry) < 0) return -EFAULT;
		ready += entry.revents != 0;
	}
	return ready;
}

static i64 poll_sleep(const u64 *a, bool is_timespec, u64 mask, u64 mask_size) {
	u64 deadline;
	i64 result = (u32)a[1] > MAX_FILES ? -EINVAL : read_timeout(&deadline, a[2], is_timespec);
	if (result == 0) result = signal_mask_for_call(mask, mask_size);
	while (result == 0) {
		result = poll_once(a[0], (u32)a[1]);
		if (result || !deadline) break;
		pollers++;
		bool timed_out = block_on(&poll_event, deadline);
		pollers--;
		if (timed_out) break;
		result = current->interrupted ? -EINTR : 0;
	}
	return result;
}

i64 sys_poll(const u64 *a) { return poll_sleep(a, false, 0, 0); }
i64 sys_ppoll(const u64 *a) { return poll_sleep(a, true, a[3], a[4]); }
