package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableName is the table that holds everything here, and nothing else.
const tableName = "meshc"

// Install puts the rules of p into the network namespace of the calling
// thread, in place of those of an earlier call: in one transaction, so that
// there is no moment with half of them. It needs CAP_NET_ADMIN.
func Install(p *Plan) error {
	if err := p.Check(); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}
	c.AddTable(table) // or there might be nothing to delete
	c.DelTable(table)
	c.AddTable(table)
	for _, ch := range p.chains() {
		hook := nftables.ChainHookPrerouting
		if ch.name == "output" {
			hook = nftables.ChainHookOutput
		}
		policy := nftables.ChainPolicyAccept
		made := c.AddChain(&nftables.Chain{
			Name: ch.name, Table: table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest, Policy: &policy,
		})
		for _, r := range ch.rules {
			c.AddRule(&nftables.Rule{Table: table, Chain: made, Exprs: r.expressions()})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("capture: install the rules: %w", explained(err))
	}
	return nil
}

// explained says what is missing where the kernel only says no.
func explained(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (CAP_NET_ADMIN is missing)", err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w (the kernel has no nftables with redirect for inet, from Linux 5.2 on)", err)
	}
	return err
}

// register 1 holds what a condition compares.
const register = 1

func (r rule) expressions() []expr.Any {
	var out []expr.Any
	for _, c := range r.when {
		out = append(out, c.expressions()...)
	}
	if r.to == 0 {
		return append(out, &expr.Verdict{Kind: expr.VerdictReturn})
	}
	return append(out,
		&expr.Immediate{Register: register, Data: binary.BigEndian.AppendUint16(nil, r.to)},
		&expr.Redir{RegisterProtoMin: register})
}

func (c condition) expressions() []expr.Any {
	switch c.kind {
	case toPort:
		const offset, size = 2, 2 // of the destination in a TCP header
		return append(isTCP(),
			&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: size},
			equal(binary.BigEndian.AppendUint16(nil, uint16(c.number))))
	case ofUser:
		return []expr.Any{&expr.Meta{Key: expr.MetaKeySKUID, Register: register}, equal(binary.NativeEndian.AppendUint32(nil, c.number))}
	case loopback:
		name := make([]byte, unix.IFNAMSIZ)
		copy(name, "lo")
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register}, equal(name)}
	case toRange:
		return inRange(c.prefix, expr.CmpOpEq)
	case notToPrefix:
		return inRange(c.prefix, expr.CmpOpNeq)
	default:
		return isTCP()
	}
}

func equal(data []byte) *expr.Cmp {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data}
}

func isTCP() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}, equal([]byte{unix.IPPROTO_TCP})}
}

// inRange compares the destination, of packets of the range's family only.
func inRange(p netip.Prefix, op expr.CmpOp) []expr.Any {
	protocol, offset := byte(unix.NFPROTO_IPV4), uint32(16)
	if p.Addr().Is6() {
		protocol, offset = unix.NFPROTO_IPV6, 24
	}
	address := p.Addr().AsSlice()
	size := uint32(len(address))
	out := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register}, equal([]byte{protocol}),
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
	}
	if !p.IsSingleIP() {
		mask := make([]byte, size)
		for i := range p.Bits() {
			mask[i/8] |= 0x80 >> (i % 8)
		}
		out = append(out, &expr.Bitwise{SourceRegister: register, DestRegister: register, Len: size, Mask: mask, Xor: make([]byte, size)})
	}
	return append(out, &expr.Cmp{Op: op, Register: register, Data: address})
}
