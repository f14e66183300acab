package kernel

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/mroute.h and linux/mroute6.h. The options of both families have the same numbers.
const (
	mrtInit   = 200
	mrtAddVIF = 202
	mrtDelVIF = 203
	mrtAddMFC = 204
	mrtDelMFC = 205
	mrtPIM    = 208
	mrtTable  = 209

	vifRegister   = 0x4 // VIFF_REGISTER
	vifUseIfindex = 0x8 // VIFF_USE_IFINDEX
	mifRegister   = 0x1 // MIFF_REGISTER

	upcallWrongVIFWhole = 4 // IGMPMSG_WRVIFWHOLE; as the value of MRT_PIM it asks for these upcalls

	siocGetSGCount  = 0x89e1 // SIOCGETSGCNT
	siocGetSGCount6 = 0x89e1 // SIOCGETSGCNT_IN6: SIOCPROTOPRIVATE + 1

	familyIPMR   = 128 // RTNL_FAMILY_IPMR
	familyIP6MR  = 129 // RTNL_FAMILY_IP6MR
	protoMrouted = 17  // RTPROT_MROUTED

	defaultTable  = 253 // RT_TABLE_DEFAULT, of IPv4
	defaultTable6 = 254 // RT6_TABLE_DFLT

	attrTypeMask = 0x3fff // NLA_TYPE_MASK
)

// vifctl is struct vifctl.
type vifctl struct {
	vif       uint16
	flags     uint8
	threshold uint8
	_         uint32 // rate limit
	ifindex   int32
	_         [4]byte // remote address of a tunnel
}

// mif6ctl is struct mif6ctl.
type mif6ctl struct {
	mif       uint16
	flags     uint8
	threshold uint8
	ifindex   uint16
	_         uint32 // rate limit
}

// mfcctl is struct mfcctl.
type mfcctl struct {
	origin, group [4]byte
	parent        uint16
	ttls          [32]uint8
	_             [4]uint32 // counters and expiry, for reading
}

// mf6cctl is struct mf6cctl.
type mf6cctl struct {
	origin, group unix.RawSockaddrInet6
	parent        uint16
	set           [8]uint32 // struct if_set: one bit per MIF
}

// sgReq is struct sioc_sg_req; C's unsigned long has the size of a pointer.
type sgReq struct {
	source, group         [4]byte
	packets, bytes, wrong uintptr
}

// sgReq6 is struct sioc_sg_req6.
type sgReq6 struct {
	source, group         unix.RawSockaddrInet6
	packets, bytes, wrong uintptr
}

func sockaddr6(a netip.Addr) unix.RawSockaddrInet6 {
	return unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.As16()}
}

// setopt is setsockopt with a struct or a number.
func setopt[T any](fd, level, name int, value *T) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(value)), unsafe.Sizeof(*value), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ioctl is ioctl with a struct.
func ioctl[T any](fd int, request uintptr, value *T) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(value)))
	if errno != 0 {
		return errno
	}
	return nil
}
