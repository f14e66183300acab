// Package api is the management API: one typed schema for the command line, the page, scripts and labs.
//
// The schema is grove/v1/grove.proto; the code beside it is generated from it by tools/generate.sh. New makes an
// http.Handler that answers by Connect, gRPC and gRPC-Web; behind it stands a Router: daemon/host for a real router,
// labs/sim for a simulated one. The conversions from the values with which machines answer queries (each package's
// show.go) to the messages are pure and exported, so that a lab checks the same values as a person sees.
//
// # Files
//
//   - router.go: Router, what the API asks of a router, and Event
//   - server.go, server_pim.go: the methods
//   - convert*.go: from the machines' values to messages
//   - listen.go: the unix socket, both ends
//
// # Known gaps
//
//   - Who may open the socket may ask everything: there is nothing but reading yet.
package api
