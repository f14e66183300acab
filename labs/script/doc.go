// Package script is a lab as data, and what runs it: a topology file that containerlab accepts, one grove configuration
// per node, and script.yml, which says what happens, when, and what must be true. It knows no engine: labs/sim runs a
// lab in virtual time and labs/netns on the real kernel, and both are asked the same questions (Engine).
//
// # Files
//
//   - topology.go: the part of containerlab's topology file that a lab uses
//   - script.go: script.yml: Script, Step, Action, Check, and their reading
//   - bgp.go: what BGP brings the routers, which the simulator is told
//   - engine.go: what an engine must be able to do; state.go: what it asks of a router, by the management API
//   - check.go: what is true; links.go: of the links, what they carried; interdomain.go: of MSDP and the routes of BGP
//   - run.go: one run, step by step, and its Result
//   - print.go: what the person sees
//
// A step does its actions at once and then waits for its checks: it is over as soon as all are true, and failed if they
// are not within its time. There is no fixed sleep in a lab, so that it takes as long as the routers take.
package script
