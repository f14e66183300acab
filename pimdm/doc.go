// Package pimdm is Protocol Independent Multicast - Dense Mode, RFC 3973, for IPv4 and IPv6, as an engine.Machine.
package pimdm
