/* Formatted text: the part of printf that the kernel uses. Formats are the kernel's own, checked by the compiler. */
#include "kernel.h"

struct output {
	char *to;
	size_t size, length; /* length counts what did not fit as well */
};

static void put(struct output *out, char c) {
	if (out->length + 1 < out->size) out->to[out->length] = c;
	out->length++;
}

static void put_number(struct output *out, u64 value, u32 base, int width, char padding) {
	char digits[20];
	int count = 0;
	do digits[count++] = "0123456789abcdef"[value % base];
	while (value /= base);
	for (; width > count; width--) put(out, padding);
	while (count) put(out, digits[--count]);
}

static int vformat(char *to, size_t size, const char *format, va_list arguments) {
	struct output out = {to, size, 0};
	for (; *format; format++) {
		if (*format != '%') {
			put(&out, *format);
			continue;
		}
		char padding = *++format == '0' ? '0' : ' ';
		int width = 0;
		for (; *format >= '0' && *format <= '9'; format++) width = width * 10 + (*format - '0');
		bool wide = *format == 'l';
		format += wide;
		if (*format == 's') {
			for (const char *text = __builtin_va_arg(arguments, char *); *text; text++) put(&out, *text);
			continue;
		}
		u64 value = wide ? __builtin_va_arg(arguments, u64) : __builtin_va_arg(arguments, u32);
		if (*format == 'd') {
			i64 number = wide ? (i64)value : (i32)value;
			if (number < 0) put(&out, '-');
			value = (u64)(number < 0 ? -number : number);
		}
		put_number(&out, value, *format == 'x' ? 16 : 10, width, padding);
	}
	if (size) to[MIN(out.length, size - 1)] = '\0';
	return (int)out.length;
}

int format(char *to, size_t size, const char *format, ...) {
	va_list arguments;
	__builtin_va_start(arguments, format);
	int length = vformat(to, size, format, arguments);
	__builtin_va_end(arguments);
	return length;
}

void print(const char *format, ...) {
	char line[512];
	va_list arguments;
	__builtin_va_start(arguments, format);
	int length = vformat(line, sizeof line, format, arguments);
	__builtin_va_end(arguments);
	if (console_line_open && strncmp(line, "[kernel]", 8) == 0)
		console_write("\n", 1); /* the program's output may end anywhere */
	console_write(line, MIN((size_t)length, sizeof line - 1));
}
