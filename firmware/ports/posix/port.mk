# The firmware as a process of the host: for tests, and as the smallest port there is.
PORT_CROSS :=
PORT_SOURCES := ports/posix/port.c
PORT_ADDRESS := 0
PORT_CFLAGS := -D_GNU_SOURCE
PORT_LDFLAGS :=
