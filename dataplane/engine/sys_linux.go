package engine

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below act on non-blocking sockets, so they return at once: telling
// the scheduler about them, as package syscall does, would cost more than the
// call saves. epollWait may sleep and does tell it.

func sysRead(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

func sysPeek(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_PEEK, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// sysWrite never raises SIGPIPE.
func sysWrite(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// epollWait looks first and sleeps only when there is nothing: under load the
// scheduler never hears of it.
func epollWait(epfd int, events []unix.EpollEvent, msec int) (int, error) {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if e == 0 && n > 0 || msec == 0 {
		return int(n), nil
	}
	got, err := unix.EpollWait(epfd, events, msec)
	if err == unix.EINTR {
		return 0, nil
	}
	return got, err
}
