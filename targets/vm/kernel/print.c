/* Formatted text: the part of printf that the kernel uses. */
#include "kernel.h"

struct output {
	char *to;
	size_t size, length; /* length counts what did not fit as well */
};

static void put(struct output *out, char c) {
	if (out->length + 1 < out->size) out->to[out->length] = c;
	out->length++;
}

static void put_field(struct output *out, const char *text, int length, int width, bool left, bool zeros) {
	int padding = width - length;
	/* Zeros go between the sign and the digits. */
	if (zeros && !left && length && *text == '-') {
		put(out, *text++);
		length--;
	}
	for (; !left && padding > 0; padding--) put(out, zeros ? '0' : ' ');
	for (int i = 0; i < length; i++) put(out, text[i]);
	for (; padding > 0; padding--) put(out, ' ');
}

/* Writes the digits so that they end before `end`; returns where they begin. */
static char *number(char *end, u64 value, u32 base, bool negative) {
	do {
		*--end = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative) *--end = '-';
	return end;
}

int vformat(char *to, size_t size, const char *format, va_list arguments) {
	struct output out = {to, size, 0};
	for (; *format; format++) {
		if (*format != '%') {
			put(&out, *format);
			continue;
		}
		bool left = false, zeros = false, wide = false;
		int width = 0;
		for (format++; *format == '-' || *format == '0'; format++) {
			left |= *format == '-';
			zeros |= *format == '0';
		}
		for (; *format >= '0' && *format <= '9'; format++) width = MIN(width * 10 + (*format - '0'), 256);
		for (; *format == 'l'; format++) wide = true;

		char digits[24], *end = digits + sizeof digits, *text = digits;
		int length = 1;
		u64 value;
		switch (*format) {
		case 's':
			text = __builtin_va_arg(arguments, char *);
			if (!text) text = "(null)";
			length = (int)strlen(text);
			break;
		case 'c': digits[0] = (char)__builtin_va_arg(arguments, int); break;
		case 'd':
			value = wide ? __builtin_va_arg(arguments, u64) : (u64) __builtin_va_arg(arguments, int);
			text = number(end, (i64)value < 0 ? -value : value, 10, (i64)value < 0);
			length = (int)(end - text);
			break;
		case 'u':
		case 'x':
		case 'p':
			wide |= *format == 'p';
			value = wide ? __builtin_va_arg(arguments, u64) : __builtin_va_arg(arguments, u32);
			text = number(end, value, *format == 'u' ? 10 : 16, false);
			length = (int)(end - text);
			break;
		case '\0':
			format--;
			length = 0;
			break;
		default: digits[0] = *format;
		}
		put_field(&out, text, length, width, left, zeros);
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
