package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// soOriginalDst is SO_ORIGINAL_DST, which has the same number for IPv6.
const soOriginalDst = 80

// OriginalDestination is where the connection of a socket was going before it
// was redirected.
func OriginalDestination(fd int) (netip.AddrPort, error) {
	v4 := new(unix.RawSockaddrInet4)
	if err := getsockopt(fd, unix.SOL_IP, unsafe.Pointer(v4), unsafe.Sizeof(*v4)); err == nil {
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), swapped(v4.Port)), nil
	}
	v6 := new(unix.RawSockaddrInet6)
	if err := getsockopt(fd, unix.SOL_IPV6, unsafe.Pointer(v6), unsafe.Sizeof(*v6)); err != nil {
		return netip.AddrPort{}, fmt.Errorf("original destination: %w", err)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(v6.Addr), swapped(v6.Port)), nil
}

func getsockopt(fd, level int, value unsafe.Pointer, size uintptr) error {
	length := uint32(size)
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), soOriginalDst, uintptr(value), uintptr(unsafe.Pointer(&length)), 0); errno != 0 {
		return errno
	}
	return nil
}

// swapped reads a port that stands in the order of the network.
func swapped(port uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, port))
}
