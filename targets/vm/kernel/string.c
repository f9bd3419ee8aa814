/* Memory and strings. Words by the processor's own loops, which it runs in bigger pieces. */
#include "kernel.h"

void *memcpy(void *to, const void *from, size_t n) {
	void *at = to;
	size_t words = n / 8;
	asm volatile("rep movsq; mov %3, %%rcx; rep movsb"
		     : "+&D"(at), "+&S"(from), "+&c"(words)
		     : "r"(n % 8)
		     : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n) {
	if ((u64)to - (u64)from >= n) return memcpy(to, from, n);
	/* `to` lies inside [from, from + n): from the end, so that nothing is overwritten before it is read. */
	for (; n >= 8; n -= 8) *(u64 *)(to + n - 8) = *(const u64 *)(from + n - 8);
	while (n--) ((u8 *)to)[n] = ((const u8 *)from)[n];
	return to;
}

void *memset(void *to, int byte, size_t n) {
	void *at = to;
	size_t words = n / 8;
	asm volatile("rep stosq; mov %2, %%rcx; rep stosb"
		     : "+&D"(at), "+&c"(words)
		     : "r"(n % 8), "a"((u8)byte * 0x0101010101010101UL)
		     : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n) {
	const u8 *a1 = a, *b1 = b;
	size_t i = 0;
	while (i + 8 <= n && *(const u64 *)(a1 + i) == *(const u64 *)(b1 + i)) i += 8;
	while (i < n && a1[i] == b1[i]) i++;
	return i < n ? a1[i] - b1[i] : 0;
}

size_t strnlen(const char *s, size_t limit) {
	size_t n = 0;
	while (n < limit && s[n]) n++;
	return n;
}

size_t strlen(const char *s) { return strnlen(s, ~0UL); }

int strncmp(const char *a, const char *b, size_t n) {
	for (; n; n--, a++, b++)
		if (*a != *b || !*a) return (u8)*a - (u8)*b;
	return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, ~0UL); }
