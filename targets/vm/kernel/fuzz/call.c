/* System calls, and what a compiler wants of a library. */
#include "worker.h"

void *memcpy(void *to, const void *from, size_t n) {
	for (size_t i = 0; i < n; i++) ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
	return to;
}

void *memset(void *to, int byte, size_t n) {
	for (size_t i = 0; i < n; i++) ((volatile u8 *)to)[i] = (u8)byte;
	return to;
}

i64 call6(u64 number, const u64 *a) {
	register u64 r10 asm("r10") = a[3];
	register u64 r8 asm("r8") = a[4];
	register u64 r9 asm("r9") = a[5];
	i64 result;
	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return result;
}

u32 length_of(const char *text) {
	u32 n = 0;
	while (text[n]) n++;
	return n;
}
