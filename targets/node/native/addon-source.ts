/**
 * The one native piece, in C: system calls by number, memory of the kernel's as ArrayBuffers, batches of reads and
 * writes, and libuv's watching of a descriptor. Everything that knows a device is TypeScript.
 *
 * It declares what it uses of Node-API and libuv itself, both of them stable interfaces: no header of Node's is needed.
 * All integers cross as doubles, which are exact up to 2⁵³; addresses of user space have 47 bits.
 */
export const addonSource = String.raw`
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_ref__ *napi_ref;
typedef struct napi_scope__ *napi_handle_scope;
typedef struct napi_info__ *napi_callback_info;
typedef struct napi_hook__ *napi_async_cleanup_hook_handle;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
typedef void (*napi_finalize)(napi_env, void *, void *);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_get_value_int64(napi_env, napi_value, int64_t *);
int napi_create_int64(napi_env, int64_t, napi_value *);
int napi_get_arraybuffer_info(napi_env, napi_value, void **, size_t *);
int napi_create_external_arraybuffer(napi_env, void *, size_t, napi_finalize, void *, napi_value *);
int napi_create_reference(napi_env, napi_value, uint32_t, napi_ref *);
int napi_get_reference_value(napi_env, napi_ref, napi_value *);
int napi_delete_reference(napi_env, napi_ref);
int napi_open_handle_scope(napi_env, napi_handle_scope *);
int napi_close_handle_scope(napi_env, napi_handle_scope);
int napi_get_global(napi_env, napi_value *);
int napi_make_callback(napi_env, void *, napi_value, napi_value, size_t, const napi_value *, napi_value *);
int napi_get_and_clear_last_exception(napi_env, napi_value *);
int napi_fatal_exception(napi_env, napi_value);
int napi_get_uv_event_loop(napi_env, void **);
int napi_add_async_cleanup_hook(napi_env, void (*)(napi_async_cleanup_hook_handle, void *), void *,
                                napi_async_cleanup_hook_handle *);
int napi_remove_async_cleanup_hook(napi_async_cleanup_hook_handle);
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
int uv_poll_init(void *, void *, int);
int uv_poll_start(void *, int, void (*)(void *, int, int));
void uv_close(void *, void (*)(void *));
void uv_ref(void *);
void uv_unref(void *);

#define MOST 8
static void arguments(napi_env env, napi_callback_info info, int64_t *number, napi_value *value) {
  size_t count = MOST;
  napi_get_cb_info(env, info, &count, value, 0, 0);
  for (size_t i = 0; i < MOST; i++)
    if (i >= count || napi_get_value_int64(env, value[i], &number[i])) number[i] = 0;
}
#define ENTER int64_t n[MOST]; napi_value v[MOST], result = 0; arguments(env, info, n, v)
#define FUNCTION(name) static napi_value name(napi_env env, napi_callback_info info)
static napi_value number(napi_env env, int64_t value) {
  napi_value result = 0;
  napi_create_int64(env, value, &result);
  return result;
}

// call(number, six arguments): what the kernel said, errors as -errno
FUNCTION(call) {
  ENTER;
  (void)result;
  long said = syscall(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
  return number(env, said < 0 ? -errno : said);
}

// map(fd or -1, length, offset): an ArrayBuffer, unmapped when it is collected; or -errno
static void unmap(napi_env env, void *memory, void *length) { (void)env; munmap(memory, (size_t)length); }
FUNCTION(map) {
  ENTER;
  int flags = n[0] < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
  void *memory = mmap(0, n[1], PROT_READ | PROT_WRITE, flags, n[0] < 0 ? -1 : n[0], n[2]);
  if (memory == MAP_FAILED) return number(env, -errno);
  if (napi_create_external_arraybuffer(env, memory, n[1], unmap, (void *)(size_t)n[1], &result)) {
    munmap(memory, n[1]);
    return number(env, -ENOMEM);
  }
  return result;
}

// addressOf(ArrayBuffer)
FUNCTION(addressOf) {
  ENTER;
  void *memory = 0;
  size_t length;
  napi_get_arraybuffer_info(env, v[0], &memory, &length);
  (void)result;
  return number(env, (int64_t)(intptr_t)memory);
}

// readMany(fd, memory, size, largest, most, lead, slots): reads until nothing is left, each frame behind the one before,
// with lead bytes free in front and 64-byte steps; slots gets the pairs (offset, length). How many, or -errno.
FUNCTION(readMany) {
  ENTER;
  (void)result;
  uint8_t *memory = (uint8_t *)(intptr_t)n[1];
  int32_t *slot = (int32_t *)(intptr_t)n[6];
  int64_t at = 0, count = 0;
  for (; count < n[4] && at + n[5] + n[3] <= n[2]; count++) {
    ssize_t got = read(n[0], memory + at + n[5], n[3]);
    if (got < 0) return number(env, count ? count : -errno);
    slot[2 * count] = at + n[5];
    slot[2 * count + 1] = got;
    at = (at + n[5] + got + 63) & ~63LL;
  }
  return number(env, count);
}

// writeMany(fd, memory, slots, count): writes each pair (offset, length); a length becomes -errno when it failed.
// How many were written whole.
FUNCTION(writeMany) {
  ENTER;
  (void)result;
  uint8_t *memory = (uint8_t *)(intptr_t)n[1];
  int32_t *slot = (int32_t *)(intptr_t)n[2];
  int64_t whole = 0;
  for (int64_t i = 0; i < n[3]; i++) {
    ssize_t put = write(n[0], memory + slot[2 * i], slot[2 * i + 1]);
    if (put == slot[2 * i + 1]) whole++;
    else slot[2 * i + 1] = put < 0 ? -errno : 0;
  }
  return number(env, whole);
}

// watch(fd, callback): calls back while the descriptor is readable, as one of Node's own callbacks. A handle, or -errno.
typedef struct {
  _Alignas(16) char poll[1024]; // more than any handle of libuv's
  napi_env env;
  napi_ref callback;
  napi_async_cleanup_hook_handle hook;
} Watch;
static void readable(void *handle, int status, int events) {
  (void)status, (void)events;
  Watch *w = handle;
  napi_handle_scope scope;
  napi_value function, global, ignored, error;
  napi_open_handle_scope(w->env, &scope);
  napi_get_reference_value(w->env, w->callback, &function);
  napi_get_global(w->env, &global);
  if (napi_make_callback(w->env, 0, global, function, 0, 0, &ignored) &&
      !napi_get_and_clear_last_exception(w->env, &error))
    napi_fatal_exception(w->env, error);
  napi_close_handle_scope(w->env, scope);
}
static void closed(void *handle) {
  Watch *w = handle;
  napi_remove_async_cleanup_hook(w->hook);
  free(w);
}
static void ending(napi_async_cleanup_hook_handle hook, void *watch) { (void)hook; uv_close(watch, closed); }
FUNCTION(watch) {
  ENTER;
  (void)result;
  void *loop;
  Watch *w = calloc(1, sizeof *w);
  if (!w || napi_get_uv_event_loop(env, &loop)) return free(w), number(env, -ENOMEM);
  int refused = uv_poll_init(loop, w, n[0]);
  if (refused) return free(w), number(env, refused);
  w->env = env;
  napi_create_reference(env, v[1], 1, &w->callback);
  napi_add_async_cleanup_hook(env, ending, w, &w->hook);
  uv_poll_start(w, 1, readable);
  return number(env, (int64_t)(intptr_t)w);
}
// unwatch(handle): at once; the descriptor may be closed then
FUNCTION(unwatch) {
  ENTER;
  Watch *w = (Watch *)(intptr_t)n[0];
  napi_delete_reference(env, w->callback);
  uv_close(w, closed);
  return result;
}
// hold(handle, whether): whether the process lives on for it
FUNCTION(hold) {
  ENTER;
  (n[1] ? uv_ref : uv_unref)((void *)(intptr_t)n[0]);
  return result;
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  static const struct { const char *name; napi_callback function; } all[] = {
      {"call", call}, {"map", map}, {"addressOf", addressOf}, {"readMany", readMany}, {"writeMany", writeMany},
      {"watch", watch}, {"unwatch", unwatch}, {"hold", hold}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    napi_value function;
    napi_create_function(env, all[i].name, (size_t)-1, all[i].function, 0, &function);
    napi_set_named_property(env, exports, all[i].name, function);
  }
  return exports;
}
`;
