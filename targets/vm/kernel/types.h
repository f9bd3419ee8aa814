/* Integer types, limits and the few macros that every file needs. */
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64, size_t;
typedef signed char i8;
typedef signed short i16;
typedef signed int i32;
typedef signed long i64;
typedef _Bool bool;
enum { false, true };
#define NULL ((void *)0)

#define KIB         1024UL
#define MIB         (1024UL * KIB)
#define GIB         (1024UL * MIB)
#define PAGE        4096UL
#define NANOSECONDS 1000000000UL

#define ALIGN_UP(x, a)   (((u64)(x) + (a)-1) & ~((u64)(a)-1))
#define ALIGN_DOWN(x, a) ((u64)(x) & ~((u64)(a)-1))
#define LENGTH(array)    (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define MAX(a, b)        ((a) > (b) ? (a) : (b))

_Static_assert(sizeof(u64) == 8 && sizeof(void *) == 8, "x86-64 only");
