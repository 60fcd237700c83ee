/* A chip that is a process: its UART is a pty, a TCP socket on 127.0.0.1 or standard input and
 * output, its flash a file, a reset is an exec of itself.
 *
 *   quantcheck-posix [--pty | --listen PORT | --stdio] [--flash FILE] [--pool BYTES]
 *                    [--unique-id TEXT] [--max-baud RATE]
 *
 * --pty and --listen print the port's name as the first line of standard output (PORT 0: any).
 * FILE is the flash from address 0 on: a tag of 16 bytes and this executable, the store from 2 MiB
 * on. Without it the firmware is this executable's file and there is no store.
 * Rates above --max-baud are accepted and spoil every byte, as a cable that is too long does.
 *
 * The counter is CLOCK_MONOTONIC in nanoseconds, given as the cycles of a 1 GHz clock: it measures
 * this machine, so it differs from run to run. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "qc_port.h"

#define POOL_BYTES (4u << 20)
#define STORE_ADDRESS 0x200000u
#define STORE_ALIGNMENT 4096u
#define FIRMWARE_TAG_BYTES 16u
#define WRITE_MS 2000 /* nobody reads: what is written is lost, as on a wire */

static struct {
  int input;
  int output;
  int listener;
  int retained_file;
  void *retained;
  uint32_t pool_bytes;
  uint32_t baud;
  uint32_t max_baud;
  const char *flash;
  const char *unique_id;
  char **arguments;
} port = {.input = -1,
          .output = -1,
          .listener = -1,
          .retained_file = -1,
          .pool_bytes = POOL_BYTES,
          .baud = 115200,
          .max_baud = 4000000,
          .unique_id = "posix"};

#define RETAINED_BYTES 4096u

static void die(const char *what) {
  fprintf(stderr, "quantcheck-posix: %s: %s\n", what, strerror(errno));
  exit(2);
}

/* --- console -------------------------------------------------------------------------------- */

static void open_pty(void) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) die("pty");
  /* Held open here too, so that a host may close and open it again. */
  int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  struct termios raw;
  if (slave < 0 || tcgetattr(slave, &raw) != 0) die("pty");
  cfmakeraw(&raw);
  if (tcsetattr(slave, TCSANOW, &raw) != 0) die("pty");
  port.input = port.output = master;
  printf("%s\n", ptsname(master));
}

static void open_listener(const char *number) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(number))};
  socklen_t bytes = sizeof address;
  int yes = 1;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  port.listener = socket(AF_INET, SOCK_STREAM, 0);
  if (port.listener < 0) die("socket");
  (void)setsockopt(port.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(port.listener, (struct sockaddr *)&address, bytes) != 0) die("bind");
  if (listen(port.listener, 1) != 0 ||
      getsockname(port.listener, (struct sockaddr *)&address, &bytes) != 0) {
    die("listen");
  }
  printf("socket://127.0.0.1:%d\n", ntohs(address.sin_port));
}

static void hang_up(void) {
  if (port.listener < 0) exit(0); /* standard input has ended */
  close(port.input);
  port.input = port.output = -1;
}

/* True when `descriptor` is ready within the time. */
static int ready(int descriptor, short events, int milliseconds) {
  struct pollfd wanted = {.fd = descriptor, .events = events};
  return poll(&wanted, 1, milliseconds) > 0;
}

static void spoil(uint8_t *data, uint32_t bytes) {
  for (uint32_t i = 0; port.baud > port.max_baud && i < bytes; i++) data[i] ^= 0x5A;
}

uint32_t qc_port_read(uint8_t *data, uint32_t limit) {
  if (limit == 0) return 0;
  if (port.input < 0) {
    if (!ready(port.listener, POLLIN, 1)) return 0;
    port.input = port.output = accept(port.listener, NULL, NULL);
    return 0;
  }
  if (!ready(port.input, POLLIN, 1)) return 0;
  ssize_t came = read(port.input, data, limit);
  if (came == 0 || (came < 0 && errno != EINTR && errno != EAGAIN && errno != EIO)) hang_up();
  if (came <= 0) return 0;
  spoil(data, (uint32_t)came);
  return (uint32_t)came;
}

void qc_port_write(const uint8_t *data, uint32_t bytes) {
  uint8_t line[256];
  while (bytes != 0 && port.output >= 0) {
    uint32_t part = bytes < sizeof line ? bytes : (uint32_t)sizeof line;
    memcpy(line, data, part);
    spoil(line, part);
    if (!ready(port.output, POLLOUT, WRITE_MS)) return;
    ssize_t went = write(port.output, line, part);
    if (went < 0 && errno != EINTR && errno != EAGAIN) return;
    if (went > 0) {
      data += went;
      bytes -= (uint32_t)went;
    }
  }
}

void qc_port_flush(void) {}

uint32_t qc_port_overruns(void) {
  return 0;
}

int qc_port_set_baud(uint32_t baud) {
  if (baud < 300 || baud > 4000000) return 0;
  port.baud = baud;
  return 1;
}

/* --- counter -------------------------------------------------------------------------------- */

uint64_t qc_port_counter(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t qc_port_loop(uint32_t iterations) {
  uint64_t start = qc_port_counter();
  for (volatile uint32_t i = iterations; i != 0; i--) {
  }
  return qc_port_counter() - start;
}

void qc_port_loop_cost(uint32_t *per_round, uint32_t *fixed) {
  *per_round = *fixed = 0;
}

uint32_t qc_port_stack_peak(void) {
  return 0;
}

/* --- reset and crash ------------------------------------------------------------------------ */

void *qc_port_retained(uint32_t *bytes) {
  *bytes = RETAINED_BYTES;
  return port.retained;
}

/* Descriptors that live on through the exec are handed over in this variable. */
#define HANDED_OVER "QC_POSIX_DESCRIPTORS"

void qc_port_reset(uint32_t mode) {
  char descriptors[64];
  (void)mode; /* there is no serial loader */
  snprintf(descriptors, sizeof descriptors, "%d %d %d %d", port.input, port.output, port.listener,
           port.retained_file);
  setenv(HANDED_OVER, descriptors, 1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none,
              NULL); /* a crash came out of a handler, where its signal is blocked */
  execv("/proc/self/exe", port.arguments);
  die("exec");
}

static void open_retained(void) {
  const char *handed = getenv(HANDED_OVER);
  if (handed != NULL) {
    if (sscanf(handed, "%d %d %d %d", &port.input, &port.output, &port.listener,
               &port.retained_file) != 4) {
      die(HANDED_OVER);
    }
  } else {
    port.retained_file = memfd_create("retained", 0);
    if (port.retained_file < 0 || ftruncate(port.retained_file, RETAINED_BYTES) != 0)
      die("retained memory");
  }
  port.retained =
      mmap(NULL, RETAINED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, port.retained_file, 0);
  if (port.retained == MAP_FAILED) die("retained memory");
}

#ifndef __SANITIZE_ADDRESS__ /* there a report is worth more than a crash record */
static void on_fault(int number, siginfo_t *info, void *state) {
  const ucontext_t *context = state;
#if defined(__x86_64__)
  uint64_t pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  uint64_t pc = context->uc_mcontext.pc;
#else
  uint64_t pc = 0;
  (void)context;
#endif
  qc_harness_crash((uint32_t)number, (uint32_t)pc, (uint32_t)(uintptr_t)info->si_addr, 0);
}

static void catch_faults(void) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigaction(faults[i], &action, NULL);
}
#else
static void catch_faults(void) {}
#endif

/* --- flash ---------------------------------------------------------------------------------- */

static uint32_t file_bytes(const char *name) {
  struct stat file;
  if (stat(name, &file) != 0) die(name);
  return (uint32_t)file.st_size;
}

/* Shared, so that what a flash tool writes into the file is seen at once. */
static const uint8_t *map_file(const char *name, uint32_t bytes) {
  int file = open(name, O_RDONLY | O_CLOEXEC);
  if (file < 0) die(name);
  void *mapped = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) die(name);
  close(file);
  return mapped;
}

static void map_flash(qc_port_info_t *info) {
  info->firmware_bytes = file_bytes("/proc/self/exe");
  if (port.flash == NULL) {
    info->firmware = map_file("/proc/self/exe", info->firmware_bytes);
    return;
  }
  uint32_t bytes = file_bytes(port.flash);
  info->firmware_bytes += FIRMWARE_TAG_BYTES;
  if (bytes <= STORE_ADDRESS || info->firmware_bytes > STORE_ADDRESS) {
    errno = EFBIG;
    die("flash file too small or firmware too large");
  }
  info->firmware = map_file(port.flash, bytes);
  info->store = info->firmware + STORE_ADDRESS;
  info->store_bytes = bytes - STORE_ADDRESS;
  info->store_address = STORE_ADDRESS;
  info->store_alignment = STORE_ALIGNMENT;
}

/* --- start ---------------------------------------------------------------------------------- */

void qc_port_init(qc_port_info_t *info) {
  info->board = "posix";
  info->chip = "host";
  size_t bytes = strlen(port.unique_id);
  if (bytes > sizeof info->unique_id) bytes = sizeof info->unique_id;
  memcpy(info->unique_id, port.unique_id, bytes);
  info->unique_id_bytes = (uint8_t)bytes;
  info->clock_hz = 1000000000u;
  map_flash(info);
  info->pool_bytes = port.pool_bytes;
  info->pool = aligned_alloc(16, (port.pool_bytes + 15u) / 16u * 16u);
  if (info->pool == NULL) die("pool");
}

static int usage(const char *argument) {
  fprintf(
      stderr,
      "quantcheck-posix: '%s' is not understood\n"
      "usage: quantcheck-posix [--pty | --listen PORT | --stdio] [--flash FILE] [--pool BYTES]\n"
      "                        [--unique-id TEXT] [--max-baud RATE]\n",
      argument);
  return 2;
}

int main(int count, char **arguments) {
  const char *console = "--stdio";
  const char *number = "0";
  port.arguments = arguments;
  for (int i = 1; i < count; i++) {
    const char *name = arguments[i];
    if (strcmp(name, "--pty") == 0 || strcmp(name, "--stdio") == 0) {
      console = name;
      continue;
    }
    if (i + 1 == count) return usage(name);
    const char *value = arguments[++i];
    if (strcmp(name, "--listen") == 0) {
      console = name;
      number = value;
    } else if (strcmp(name, "--flash") == 0) {
      port.flash = value;
    } else if (strcmp(name, "--pool") == 0) {
      port.pool_bytes = (uint32_t)strtoul(value, NULL, 0);
    } else if (strcmp(name, "--unique-id") == 0) {
      port.unique_id = value;
    } else if (strcmp(name, "--max-baud") == 0) {
      port.max_baud = (uint32_t)strtoul(value, NULL, 0);
    } else {
      return usage(name);
    }
  }
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives who started it */
  catch_faults();
  open_retained();
  if (getenv(HANDED_OVER) == NULL) {
    if (strcmp(console, "--pty") == 0) {
      open_pty();
    } else if (strcmp(console, "--listen") == 0) {
      open_listener(number);
    } else {
      port.input = STDIN_FILENO;
      port.output = STDOUT_FILENO;
    }
    fflush(stdout);
  }
  qc_harness_main();
  return 0;
}
