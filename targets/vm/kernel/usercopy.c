/*
 * Copies between the kernel and the program. A range outside the program's half is refused here; a page that is not
 * there, or not allowed, faults inside copy_user() of entry.S, and the fault resumes at its fix-up.
 *
 * The kernel ignores the program's PTE_USER when SMAP is missing, but PROT_NONE pages are not present at all and CR0.WP
 * holds it to read-only pages: so it can do what the program could do itself, and no more.
 */
#include "kernel.h"

bool user_range(u64 address, u64 length) {
	return address >= USER_BOTTOM && length <= USER_TOP && address <= USER_TOP - length;
}

i64 copy_from_user(void *to, u64 from, size_t n) {
	return !n ? 0 : user_range(from, n) ? copy_user(to, (const void *)from, n) : -EFAULT;
}

i64 copy_to_user(u64 to, const void *from, size_t n) {
	return !n ? 0 : user_range(to, n) ? copy_user((void *)to, from, n) : -EFAULT;
}

/* Page by page: the string may end just before memory does. */
i64 string_from_user(char *to, u64 from, size_t size) {
	size_t length = 0;
	while (length < size) {
		size_t part = MIN(size - length, PAGE - ((from + length) & (PAGE - 1)));
		i64 error = copy_from_user(to + length, from + length, part);
		if (error) return error;
		size_t found = strnlen(to + length, part);
		length += found;
		if (found < part) return (i64)length;
	}
	return -ENAMETOOLONG;
}
